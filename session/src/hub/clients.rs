//! Connections of clients: each has a thread that answers in order, and over a socket one that reads and one that writes; saves and
//! restores have a thread of their own, so that they can be cancelled and nothing waits for them.

use std::{
    collections::HashMap,
    io,
    os::unix::net::{UnixListener, UnixStream},
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
};

use super::{
    Ending, Hub, lock,
    outward::{Outward, Way},
    traffic::Underway,
};
use crate::{Client, Error, FromHub, HubReply, HubRequest, LongRequest, ToHub, wire};

/// Requests of a client that may wait for those before them; no more are read.
const MOST_REQUESTS: usize = 64;

/// Lets clients in until the process ends.
pub fn accept(listener: UnixListener, hub: Arc<Hub>) -> io::Result<()> {
    let accept = move || {
        for stream in listener.incoming().flatten() {
            let hub = Arc::clone(&hub);
            // Without a thread the stream is dropped, and the client sees that.
            let _ = thread::Builder::new().name("client".into()).spawn(move || serve(stream, &hub));
        }
    };
    thread::Builder::new().name("clients".into()).spawn(accept).map(drop)
}

/// One connection, shared by its threads.
pub(super) struct Connection {
    /// Its number: no other connection of the hub has it.
    pub number: u64,
    /// What goes to the client.
    pub outward: Outward,
    /// Long requests under way, and whether they were cancelled.
    long: Mutex<HashMap<u32, Arc<AtomicBool>>>,
}

fn serve(stream: UnixStream, hub: &Arc<Hub>) {
    let Ok(writing) = stream.try_clone() else { return };
    let (outward, way) = Outward::new(writing, &hub.traffic);
    let same = Arc::clone(hub);
    let write = move || write_all(&way, &same);
    let writer = thread::Builder::new().name("client writer".into()).spawn(write);
    if let (Ok(_), Ok(inward)) = (writer, Inward::begin(hub, outward)) {
        read_all(stream, &inward);
    }
}

/// The way in from a client. When it goes, what was asked is done, and then cleaned up after.
pub(crate) struct Inward {
    hub: Arc<Hub>,
    connection: Arc<Connection>,
    in_order: SyncSender<(ToHub, Underway)>,
}

impl Inward {
    fn begin(hub: &Arc<Hub>, outward: Outward) -> io::Result<Self> {
        let (in_order, requests) = mpsc::sync_channel(MOST_REQUESTS);
        let number = hub.connections.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection { number, outward, long: Mutex::default() });
        let inward = Self { hub: Arc::clone(hub), connection: Arc::clone(&connection), in_order };
        let hub = Arc::clone(hub);
        let answer = move || {
            answer_all(&hub, &connection, &requests);
            clean_up(&hub, &connection);
        };
        thread::Builder::new().name("client requests".into()).spawn(answer)?;
        Ok(inward)
    }

    /// Takes a request. False if nobody is there to answer it.
    pub(crate) fn take(&self, message: ToHub) -> bool {
        let Self { hub, connection, in_order } = self;
        match message.request {
            HubRequest::Cancel { number } => {
                if let Some(cancelled) = lock(&connection.long).get(&number) {
                    cancelled.store(true, Ordering::Relaxed);
                    hub.wake_long_work();
                }
                drop(connection.answer(message.number, Ok(HubReply::Done)));
                true
            }
            HubRequest::Long(request) => {
                start_long(hub, connection, message.number, request);
                true
            }
            _ => in_order.send((message, hub.traffic.begin())).is_ok(),
        }
    }

    /// Answers a short request at once, on the calling thread.
    pub(crate) fn answer(&self, request: HubRequest) -> Result<HubReply, flob_link::Failure> {
        let _underway = self.hub.traffic.begin();
        self.hub.answer(request, &self.connection)
    }
}

impl std::fmt::Debug for Inward {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "connection {}", self.connection.number)
    }
}

/// Where clients of the hub's own process come in.
#[derive(Clone)]
pub struct Door(pub(super) Weak<Hub>);

impl Door {
    /// A client that asks and is told without a socket between.
    pub fn client(&self) -> Result<Client, Error> {
        let hub = self.0.upgrade().ok_or_else(|| Error::Guest("the session has ended".into()))?;
        let inward = |inbox: &Arc<_>| Inward::begin(&hub, Outward::near(inbox));
        Client::near(inward).map_err(|error| Error::io("connecting to the session", error))
    }
}

/// A connection has ended.
fn clean_up(hub: &Hub, connection: &Connection) {
    let number = connection.number;
    for cancelled in lock(&connection.long).values() {
        cancelled.store(true, Ordering::Relaxed);
    }
    hub.wake_long_work();
    lock(&hub.fanout).leave(number);
    hub.receive_no_more(number);
    hub.clean_up_after(number);
}

/// A session whose program has moved away ends once that was told.
fn write_all(way: &Way, hub: &Hub) {
    way.write_all(|to| hub.end(Ending::Moved(to.to_owned())));
}

fn answer_all(hub: &Hub, connection: &Connection, requests: &Receiver<(ToHub, Underway)>) {
    for (ToHub { number, request }, _underway) in requests {
        // A client that has gone needs no answer.
        drop(connection.answer(number, hub.answer(request, connection)));
    }
}

fn read_all(mut stream: UnixStream, inward: &Inward) {
    while let Ok(message) = wire::read::<ToHub>(&mut stream) {
        if !inward.take(message) {
            return;
        }
    }
}

fn start_long(hub: &Arc<Hub>, connection: &Arc<Connection>, number: u32, request: LongRequest) {
    let cancelled = Arc::new(AtomicBool::new(false));
    lock(&connection.long).insert(number, Arc::clone(&cancelled));
    let (hub, theirs, underway) = (Arc::clone(hub), Arc::clone(connection), hub.long_traffic.begin());
    let work = move || {
        let _underway = underway;
        let last_told = AtomicU64::new(u64::MAX);
        let progress = |phase: &str, done: u64, total: u64| {
            // A hundred reports are enough for anybody.
            let step = if total == 0 { done } else { done * 100 / total.max(1) };
            if last_told.swap(step, Ordering::Relaxed) != step || done == total {
                let _ = theirs.outward.send(FromHub::Progress { number, phase: phase.into(), done, total });
            }
        };
        let result = hub.answer_long(request, &cancelled, &progress);
        lock(&theirs.long).remove(&number);
        let moved_to =
            if let Ok(HubReply::Migrated(moved)) = &result { Some(moved.to.clone()) } else { None };
        let untold = theirs.answer(number, result);
        // Who writes to a socket ends the session when the last word is written.
        if let Some(to) = moved_to
            && (untold.is_some() || theirs.outward.is_near())
        {
            hub.end(Ending::Moved(to));
        }
    };
    if thread::Builder::new().name("save or restore".into()).spawn(work).is_err() {
        lock(&connection.long).remove(&number);
    }
}

impl Connection {
    /// Answers, or gives back what nobody is there to hear.
    fn answer(&self, number: u32, result: Result<HubReply, flob_link::Failure>) -> Option<FromHub> {
        self.outward.send(FromHub::Reply { number, result }).err()
    }
}
