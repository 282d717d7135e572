//! Connections of clients: each has a thread that reads, one that writes, and one that answers in order; saves and restores
//! have a thread of their own, so that they can be cancelled and nothing waits for them.

use std::{
    collections::HashMap,
    io,
    os::unix::net::{UnixListener, UnixStream},
    sync::{
        Arc, Mutex,
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
use crate::{FromHub, HubReply, HubRequest, ToHub, wire};

/// Requests of a client that may wait for those before them; no more are read.
const MOST_REQUESTS: usize = 64;

/// Lets clients in until the process ends.
pub fn accept(listener: UnixListener, hub: Arc<Hub>) -> io::Result<()> {
    let accept = move || {
        for (stream, number) in listener.incoming().flatten().zip(1..) {
            let hub = Arc::clone(&hub);
            // Without a thread the stream is dropped, and the client sees that.
            let _ = thread::Builder::new().name("client".into()).spawn(move || serve(stream, number, hub));
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

fn serve(stream: UnixStream, number: u64, hub: Arc<Hub>) {
    let Ok(writing) = stream.try_clone() else { return };
    let (outward, way) = Outward::new(writing, &hub.traffic);
    let (in_order, requests) = mpsc::sync_channel(MOST_REQUESTS);
    let connection = Arc::new(Connection { number, outward, long: Mutex::default() });
    let same = Arc::clone(&hub);
    let write = move || write_all(&way, &same);
    let answer = {
        let (hub, connection) = (Arc::clone(&hub), Arc::clone(&connection));
        move || answer_all(&hub, &connection, &requests)
    };
    let writer = thread::Builder::new().name("client writer".into()).spawn(write);
    let answerer = thread::Builder::new().name("client requests".into()).spawn(answer);
    if writer.is_ok() && answerer.is_ok() {
        read_all(stream, &hub, &connection, &in_order);
    }
    // What was asked before the end is done before it is cleaned up after.
    drop(in_order);
    if let Ok(answerer) = answerer {
        // It does not panic.
        let _ = answerer.join();
    }
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

/// The same where nobody is there to be told.
fn end_if_moved(message: &FromHub, hub: &Hub) {
    if let FromHub::Reply { result: Ok(HubReply::Migrated(moved)), .. } = message {
        hub.end(Ending::Moved(moved.to.clone()));
    }
}

fn answer_all(hub: &Hub, connection: &Connection, requests: &Receiver<(ToHub, Underway)>) {
    for (ToHub { number, request }, _underway) in requests {
        // A client that has gone needs no answer.
        drop(connection.answer(number, hub.answer(request, connection)));
    }
}

fn read_all(
    mut stream: UnixStream,
    hub: &Arc<Hub>,
    connection: &Arc<Connection>,
    in_order: &SyncSender<(ToHub, Underway)>,
) {
    while let Ok(message) = wire::read::<ToHub>(&mut stream) {
        match message.request {
            HubRequest::Cancel { number } => {
                if let Some(cancelled) = lock(&connection.long).get(&number) {
                    cancelled.store(true, Ordering::Relaxed);
                    hub.wake_long_work();
                }
                drop(connection.answer(message.number, Ok(HubReply::Done)));
            }
            HubRequest::Save { .. }
            | HubRequest::Restore { .. }
            | HubRequest::AwaitPages
            | HubRequest::Migrate { .. }
            | HubRequest::Remember { .. }
            | HubRequest::Restart { .. }
            | HubRequest::Undo => start_long(hub, connection, message),
            _ => {
                if in_order.send((message, hub.traffic.begin())).is_err() {
                    return;
                }
            }
        }
    }
}

fn start_long(hub: &Arc<Hub>, connection: &Arc<Connection>, message: ToHub) {
    let ToHub { number, request } = message;
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
        if let Some(untold) = theirs.answer(number, result) {
            end_if_moved(&untold, &hub);
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
