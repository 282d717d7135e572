//! A client of a session's hub. A [`Client`] is a handle: clone it, use it from any thread; several requests may be under way
//! at once. When the last handle goes, the connection ends, and with it what a [`crate::Owner::Client`] held.

use std::{
    collections::HashMap,
    fmt,
    net::Shutdown,
    os::unix::net::UnixStream,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use flob_image::{Environment, Place};
use flob_link::{Change, Failure, FailureKind, Memory, host::lock};

use crate::{
    Error, FromHub, HubEvent, HubReply, HubRequest, SessionInfo, Source, ToHub, doubt, hub::Inward, sessions,
    wire,
};

/// A connection to a hub.
#[derive(Clone, Debug)]
pub struct Client {
    connection: Arc<Connection>,
}

#[derive(Debug)]
struct Connection {
    way: Way,
    next: AtomicU32,
    inbox: Arc<Mutex<Inbox>>,
}

/// How requests get to the hub.
#[derive(Debug)]
enum Way {
    /// By a socket. The last handle's drop closes it, which ends the reading thread.
    Far(Mutex<UnixStream>),
    /// The hub is in this process.
    Near(Inward),
}

/// Hears what happens in a session, until it says `false`; it goes when nothing more will be told. It must not wait for anything.
pub type Hears = Box<dyn FnMut(HubEvent) -> bool + Send>;

/// What comes from the hub, and who waits for it.
#[derive(Default)]
pub(crate) struct Inbox {
    pending: HashMap<u32, Sender<Update>>,
    subscribers: Vec<Hears>,
    closed: bool,
    /// Why, if the hub has said so.
    reason: Option<String>,
}

/// What comes of a request that is under way.
#[derive(Debug)]
pub enum Update {
    /// How far it is; `total` is 0 if not known.
    Progress {
        /// What is done now, for people.
        phase: String,
        #[expect(missing_docs, reason = "the name says it")]
        done: u64,
        #[expect(missing_docs, reason = "the name says it")]
        total: u64,
    },
    /// Its end. Nothing follows.
    Done(Result<HubReply, Error>),
}

/// A request under way. Dropping it does not cancel it.
#[derive(Debug)]
pub struct Pending {
    client: Client,
    number: u32,
    /// Its progress and, last, its answer. To be polled (`try_recv`) or waited for (`recv`, `recv_timeout`).
    pub updates: Receiver<Update>,
}

impl Pending {
    /// Waits for the answer.
    pub fn wait(self) -> Result<HubReply, Error> {
        self.wait_with(|_, _, _| ())
    }

    /// Waits for the answer, telling each progress report (phase, done, total) on the way.
    pub fn wait_with(self, mut progress: impl FnMut(&str, u64, u64)) -> Result<HubReply, Error> {
        for update in &self.updates {
            match update {
                Update::Progress { phase, done, total } => progress(&phase, done, total),
                Update::Done(result) => return result,
            }
        }
        Err(hub_gone())
    }

    /// Asks the hub to give the request up; its answer is then an error.
    pub fn cancel(&self) -> Result<(), Error> {
        self.canceller().cancel()
    }

    /// What another thread can cancel it with.
    pub fn canceller(&self) -> Canceller {
        Canceller { client: self.client.clone(), number: self.number }
    }
}

/// Cancels a request that is under way.
#[derive(Clone, Debug)]
pub struct Canceller {
    client: Client,
    number: u32,
}

impl Canceller {
    /// Asks the hub to give the request up; its answer is then an error.
    pub fn cancel(&self) -> Result<(), Error> {
        self.client.start(HubRequest::Cancel { number: self.number }).map(drop)
    }
}

impl Client {
    /// Connects to a session by its name or the path of its socket. `None`: `FLOB_SESSION`, else the only session there
    /// is; with several, the error lists them.
    pub fn connect(session: Option<&str>) -> Result<Self, Error> {
        sessions::find(session).and_then(|path| Self::connect_path(&path))
    }

    /// Connects to the hub at this socket.
    pub fn connect_path(path: &Path) -> Result<Self, Error> {
        let stream = UnixStream::connect(path)
            .map_err(|_| Error::NotFound(format!("no session answers at {}", path.display())))?;
        Self::over(stream)
    }

    /// A client over a stream that leads to a hub.
    pub fn over(stream: UnixStream) -> Result<Self, Error> {
        let context = "connecting to the session";
        let mut reading = stream.try_clone().map_err(|source| Error::io(context, source))?;
        let inbox = Arc::default();
        let client = Self::new(Way::Far(Mutex::new(stream)), Arc::clone(&inbox));
        let read = move || {
            while let Ok(message) = wire::read(&mut reading) {
                lock(&inbox).deliver(message);
            }
            lock(&inbox).close();
        };
        thread::Builder::new()
            .name("hub client".into())
            .spawn(read)
            .map_err(|source| Error::io(context, source))?;
        Ok(client)
    }

    /// A client of a hub in this process.
    pub(crate) fn near<E>(inward: impl FnOnce(&Arc<Mutex<Inbox>>) -> Result<Inward, E>) -> Result<Self, E> {
        let inbox = Arc::default();
        let inward = inward(&inbox)?;
        Ok(Self::new(Way::Near(inward), inbox))
    }

    fn new(way: Way, inbox: Arc<Mutex<Inbox>>) -> Self {
        Self { connection: Arc::new(Connection { way, next: AtomicU32::new(1), inbox }) }
    }

    /// Asks, and waits for the answer.
    pub fn request(&self, request: impl Into<HubRequest>) -> Result<HubReply, Error> {
        let request = request.into();
        match &self.connection.way {
            Way::Near(inward) if !matches!(request, HubRequest::Long(_)) => Ok(inward.answer(request)?),
            _ => self.start(request)?.wait(),
        }
    }

    /// Asks; the answer can be waited for, watched, or cancelled.
    pub fn start(&self, request: impl Into<HubRequest>) -> Result<Pending, Error> {
        let request = request.into();
        let number = self.connection.next.fetch_add(1, Ordering::Relaxed);
        let (sender, updates) = mpsc::channel();
        {
            let mut inbox = lock(&self.connection.inbox);
            if inbox.closed {
                return Err(inbox.gone());
            }
            inbox.pending.insert(number, sender);
        }
        let message = ToHub { number, request };
        let is_sent = match &self.connection.way {
            Way::Far(stream) => wire::write(&mut *lock(stream), &message).is_ok(),
            Way::Near(inward) => inward.take(message),
        };
        if !is_sent {
            return Err(hub_gone());
        }
        Ok(Pending { client: self.clone(), number, updates })
    }

    /// What happens in the session from now on. They come once [`HubRequest::Subscribe`] was asked: see
    /// [`Client::subscribe`]. The receiver ends with the connection.
    pub fn events(&self) -> Receiver<HubEvent> {
        let (sender, receiver) = mpsc::channel();
        self.add(Box::new(move |event| sender.send(event).is_ok()));
        receiver
    }

    fn add(&self, hears: Hears) {
        let mut inbox = lock(&self.connection.inbox);
        if !inbox.closed {
            inbox.subscribers.push(hears);
        }
    }

    /// Subscribes: the console's output so far, then what happens.
    pub fn subscribe(&self) -> Result<Receiver<HubEvent>, Error> {
        let events = self.events();
        self.request(HubRequest::Subscribe)?;
        Ok(events)
    }

    /// The same, told on the thread that the hub's word comes on.
    pub fn tell(&self, hears: Hears) -> Result<(), Error> {
        self.add(hears);
        self.request(HubRequest::Subscribe).map(drop)
    }

    /// What session this is.
    pub fn info(&self) -> Result<SessionInfo, Error> {
        match self.request(HubRequest::Info)? {
            HubReply::Info(info) => Ok(*info),
            other => Err(unexpected(&other)),
        }
    }

    /// The environment as it is now.
    pub fn look(&self, vectors: bool) -> Result<Environment, Error> {
        match self.request(HubRequest::Look { vectors })? {
            HubReply::Environment(environment) => Ok(environment),
            other => Err(unexpected(&other)),
        }
    }
}

impl Source for Client {
    fn environment(&mut self, vectors: bool) -> Result<Environment, Error> {
        self.look(vectors)
    }

    fn read(&mut self, memory: Memory, address: u64, count: u32) -> Result<Vec<u8>, Error> {
        match self.request(HubRequest::Read { memory, address, count })? {
            HubReply::Bytes(bytes) => Ok(bytes),
            other => Err(unexpected(&other)),
        }
    }

    fn write(&mut self, memory: Memory, address: u64, bytes: &[u8]) -> Result<(), Error> {
        self.request(HubRequest::Write { memory, address, bytes: bytes.to_vec() }).map(drop)
    }

    fn set(&mut self, place: Place, hash: u64, change: Change) -> Result<(), Error> {
        self.request(HubRequest::Set { place, hash, change }).map(drop)
    }

    fn is_live(&self) -> bool {
        true
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Way::Far(stream) = &self.way {
            // Fails only if the connection has ended already.
            let _ = lock(stream).shutdown(Shutdown::Both);
        }
    }
}

impl Inbox {
    /// Receivers that are gone simply miss it.
    pub(crate) fn deliver(&mut self, message: FromHub) {
        match message {
            FromHub::Reply { number, result } => {
                if let Some(sender) = self.pending.remove(&number) {
                    let _ = sender.send(Update::Done(result.map_err(Error::from)));
                }
            }
            FromHub::Progress { number, phase, done, total } => {
                if let Some(sender) = self.pending.get(&number) {
                    let _ = sender.send(Update::Progress { phase, done, total });
                }
            }
            FromHub::CutOff(text) => self.reason = Some(text),
            FromHub::Event(event) => self.subscribers.retain_mut(|hears| hears(event.clone())),
        }
    }

    /// Why there will be no answer.
    fn gone(&self) -> Error {
        self.reason.clone().map_or_else(hub_gone, Error::Guest)
    }

    fn close(&mut self) {
        self.closed = true;
        for (_, sender) in std::mem::take(&mut self.pending) {
            let _ = sender.send(Update::Done(Err(self.gone())));
        }
        self.subscribers.clear();
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure.kind {
            FailureKind::NotFound => Self::NotFound(failure.text),
            FailureKind::Invalid => Self::BadInput(failure.text),
            FailureKind::Guest => Self::Guest(failure.text),
            FailureKind::InDoubt(effect) => Self::Guest(doubt::sentence(&failure.text, effect)),
            FailureKind::Host => Self::Environment(failure.text),
            FailureKind::State | FailureKind::Changed | FailureKind::Refused | FailureKind::Memory => {
                Self::Refused(failure.text)
            }
        }
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} answers awaited, {} who hear", self.pending.len(), self.subscribers.len())
    }
}

fn hub_gone() -> Error {
    Error::Guest("the session has ended".into())
}

fn unexpected(reply: &HubReply) -> Error {
    Error::Internal(format!("the hub gave another kind of answer: {reply:?}"))
}
