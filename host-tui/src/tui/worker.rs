//! The connection: threads that talk to the hub and the store, so that the screen never waits for them. Each has one kind
//! of work: looking, reading, quick jobs, long jobs, and listening to events.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use flob_session::{Client, Error, HubReply, HubRequest, Point, Source, TracePart, Update};

use super::{
    insight::Insight,
    jobs,
    message::{Ask, Job, Message},
    snapshot::Snapshot,
    store::Store,
    text,
};

/// Shortest time between the end of a look and the beginning of the next.
const SHORTEST: Duration = Duration::from_millis(250);
/// Longest time between looks while they are quick.
const LONGEST: Duration = Duration::from_secs(5);
/// With more threads than this, looks leave their vectors out.
const THREADS_WITH_VECTORS: usize = 64;

/// Brings a connection to the session's hub, however long that takes.
pub type Connect = Box<dyn FnOnce() -> Result<Client, Error> + Send>;

/// What workers need.
#[derive(Clone)]
pub struct Tools {
    /// The hub, if there is a session, once it is connected.
    pub client: Option<Arc<OnceLock<Client>>>,
    /// The checkpoints, if there is a store.
    pub store: Option<Arc<dyn Store>>,
    /// Names.
    pub insight: Arc<dyn Insight>,
    /// Where everything goes.
    pub messages: Sender<Message>,
    /// The long job under way is to be given up.
    pub cancel: Arc<AtomicBool>,
}

/// The workers. They end when this is dropped and what they are doing is done.
pub struct Workers {
    looks: Sender<()>,
    reads: Sender<Ask>,
    quick: Sender<Job>,
    long: Sender<Job>,
    cancel: Arc<AtomicBool>,
}

impl Workers {
    /// Starts them; `connect` leads to the session, if there is one.
    pub fn start(tools: &Tools, connect: Option<Connect>) -> Result<Self, Error> {
        let (looks, look_asks) = mpsc::channel();
        if let Some((connect, client)) = connect.zip(tools.client.clone()) {
            let tools = tools.clone();
            spawn("session", move || {
                if let Err(error) = follow(&tools, connect, &client, look_asks) {
                    let _ = tools.messages.send(Message::NoSession(error));
                }
            })?;
        }
        let reads = lane("reads", tools, read)?;
        // Giving a long job up does not touch the short ones.
        let unhurried = Tools { cancel: Arc::new(AtomicBool::new(false)), ..tools.clone() };
        let quick = lane("jobs", &unhurried, jobs::run)?;
        let long = lane("long jobs", tools, jobs::run)?;
        Ok(Self { looks, reads, quick, long, cancel: Arc::clone(&tools.cancel) })
    }

    /// Has something done. A worker that is gone has sent why.
    pub fn ask(&self, ask: Ask) {
        let _ = match ask {
            Ask::Look => self.looks.send(()).is_ok(),
            Ask::Do(job) if job.is_long() => {
                // Here and not where it begins: it may be given up before that. No other is under way.
                self.cancel.store(false, Ordering::Relaxed);
                self.long.send(job).is_ok()
            }
            Ask::Do(job) => self.quick.send(job).is_ok(),
            Ask::Cancel => {
                self.cancel.store(true, Ordering::Relaxed);
                true
            }
            other => self.reads.send(other).is_ok(),
        };
    }
}

/// Connects, begins to look, and tells what the hub tells until it ends.
fn follow(
    tools: &Tools,
    connect: Connect,
    slot: &OnceLock<Client>,
    look_asks: Receiver<()>,
) -> Result<(), Error> {
    let client = connect()?;
    let _ = slot.set(client.clone());
    let events = client.subscribe()?;
    tell_of_others(tools);
    let looking = tools.clone();
    spawn("looks", move || look(&looking, &client, &look_asks))?;
    for event in events {
        if tools.messages.send(Message::Hub(event)).is_err() {
            return Ok(());
        }
    }
    let _ = tools.messages.send(Message::HubGone);
    Ok(())
}

/// A command that is logged names the session where it is not the only one.
fn tell_of_others(tools: &Tools) {
    if tools.client.is_none() {
        return;
    }
    let several = flob_session::sessions::list().is_ok_and(|names| names.len() > 1);
    let _ = tools.messages.send(Message::Several(several));
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(work);
    started
        .map(drop)
        .map_err(|source| Error::Io { context: format!("starting the thread for {name}"), source })
}

/// A thread that does one thing after the other until nobody can ask any more.
fn lane<T: Send + 'static>(
    name: &str,
    tools: &Tools,
    work: fn(&Tools, T) -> Message,
) -> Result<Sender<T>, Error> {
    let (sender, receiver) = mpsc::channel();
    let tools = tools.clone();
    spawn(name, move || {
        for item in receiver {
            if tools.messages.send(work(&tools, item)).is_err() {
                return;
            }
        }
    })?;
    Ok(sender)
}

/// Looks again and again: the next look begins only after the last has come, later on a slow link, at once if asked.
fn look(tools: &Tools, client: &Client, asks: &Receiver<()>) {
    let mut last: Option<Arc<Snapshot>> = None;
    // What the screen shows until it takes the new one: it is dropped here, because that of a large one takes several frames.
    let mut retired = None;
    let mut points = Vec::new();
    loop {
        let started = Instant::now();
        let vectors = last.as_ref().is_none_or(|last| last.threads.len() <= THREADS_WITH_VECTORS);
        let seen = client.look(vectors).and_then(|environment| Ok((environment, client.info()?)));
        let is_gone = tools.messages.send(match seen {
            Ok((environment, info)) => {
                let _ = tools.messages.send(Message::Info(Box::new(info)));
                let snapshot = match last.take() {
                    Some(last) if *last.environment == environment => last,
                    before => {
                        let environment_before =
                            before.as_ref().map(|before| Arc::clone(&before.environment));
                        drop(std::mem::replace(&mut retired, before));
                        Arc::new(Snapshot::new(
                            environment,
                            environment_before,
                            Arc::clone(&tools.insight),
                            &mut client.clone(),
                        ))
                    }
                };
                tell_points(tools, client, &snapshot, &mut points);
                last = Some(Arc::clone(&snapshot));
                Message::Looked { snapshot, took: started.elapsed() }
            }
            Err(error) => Message::LookFailed(error.to_string()),
        });
        if is_gone.is_err() || wait(asks, pause_after(started.elapsed())) {
            return;
        }
    }
}

/// Tells the breakpoints if they are others than before.
fn tell_points(tools: &Tools, client: &Client, snapshot: &Snapshot, before: &mut Vec<Point>) {
    let Ok(HubReply::Points(points)) = client.request(HubRequest::Points) else { return };
    if points != *before {
        let named =
            |point: &Point| (point.clone(), tools.insight.describe(&snapshot.environment, &point.spot));
        let _ = tools.messages.send(Message::Points(points.iter().map(named).collect()));
        *before = points;
    }
}

fn pause_after(took: Duration) -> Duration {
    // However slow looks are: the program has most of its time.
    (took * 3).clamp(SHORTEST, LONGEST.max(took * 3))
}

/// Waits until it is time for the next look; true if nobody wants one any more.
fn wait(asks: &Receiver<()>, pause: Duration) -> bool {
    match asks.recv_timeout(pause) {
        Ok(()) => {
            // Several wishes are one look.
            while asks.try_recv().is_ok() {}
            false
        }
        Err(RecvTimeoutError::Timeout) => false,
        Err(RecvTimeoutError::Disconnected) => true,
    }
}

fn no_store() -> Error {
    Error::Environment(text::NO_STORE.into())
}

/// The store, or an error that says that there is none.
pub fn store(tools: &Tools) -> Result<&dyn Store, Error> {
    tools.store.as_deref().ok_or_else(no_store)
}

fn read(tools: &Tools, ask: Ask) -> Message {
    match ask {
        Ask::Read { checkpoint, memory, address, count } => {
            let result = match (checkpoint, &tools.client) {
                (Some(id), _) => store(tools).and_then(|store| store.read(&id, memory, address, count)),
                (None, Some(client)) => client.wait().clone().read(memory, address, count),
                (None, None) => Err(Error::Guest(text::NO_SESSION.into())),
            };
            Message::Memory { memory, address, result: result.map_err(|error| error.to_string()) }
        }
        Ask::Trace { from } => Message::Traced(trace(tools, from).map_err(|error| error.to_string())),
        Ask::Compare(before, after) => {
            let compared = store(tools).and_then(|store| store.compare(&before, &after));
            Message::Compared(text::compared(&before, &after), compared.map_err(|error| error.to_string()))
        }
        Ask::Open(id) => Message::Opened(open(tools, &id).map_err(|error| error.to_string())),
        _ => {
            tell_of_others(tools);
            Message::Checkpoints(store(tools).and_then(Store::list).map_err(|error| error.to_string()))
        }
    }
}

fn trace(tools: &Tools, from: u64) -> Result<TracePart, Error> {
    let client = tools.client.as_ref().ok_or_else(|| Error::Guest(text::NO_SESSION.into()))?;
    match client.wait().request(HubRequest::Trace { from })? {
        HubReply::Trace(part) => Ok(part),
        _ => Err(Error::Internal(text::UNEXPECTED.into())),
    }
}

fn open(tools: &Tools, id: &str) -> Result<(String, Arc<Snapshot>), Error> {
    let (id, mut source) = store(tools)?.open(id)?;
    let environment = source.environment(true)?;
    let snapshot = Snapshot::new(environment, None, Arc::clone(&tools.insight), source.as_mut());
    Ok((id, Arc::new(snapshot)))
}

/// Asks the hub for something long: its progress is told, and it can be cancelled.
pub fn request(tools: &Tools, request: impl Into<HubRequest>) -> Result<HubReply, Error> {
    // Before the session is up, what is asked waits for it.
    let client = tools
        .client
        .as_ref()
        .map(|client| client.wait())
        .ok_or_else(|| Error::Guest(text::NO_SESSION.into()))?;
    let pending = client.start(request)?;
    let mut cancelled = false;
    loop {
        match pending.updates.recv_timeout(Duration::from_millis(100)) {
            Ok(Update::Done(result)) => return result,
            Ok(Update::Progress { phase, done, total }) => {
                let _ = tools.messages.send(Message::Progress { phase, done, total });
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Error::Guest(text::HUB_GONE.into())),
        }
        if tools.cancel.load(Ordering::Relaxed) && !cancelled {
            cancelled = true;
            pending.cancel()?;
        }
    }
}
