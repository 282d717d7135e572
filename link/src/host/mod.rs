//! The host's end of the link: a reliable layer over a byte stream that may lose, change and delay bytes.
//!
//! - A request is repeated with the same number until its answer arrives; the guest answers a repeat from its cache.
//! - Urgent requests pass bulk ones: of these only a few are ever under way.
//! - Events are handed out in order, once each, without a gap; a gap, and every quiet second, makes the host ask again.
//! - An order that is given up is over when the guest answers again: done or never done.
//! - Nothing else here knows what a request means.

mod events;
mod exchange;
mod inward;
mod log;
mod manager;
mod outward;

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Sender},
    },
    time::Duration,
};

use thiserror::Error;

pub use inward::Inlet;
pub use log::Log;
pub use outward::Outlet;

use crate::{Capacity, Effect, Event, Failure, Progress, Reply, Request};
use inward::Inward;
use manager::{Manager, Submission};
use outward::Outward;

/// Bulk requests under way at most; urgent ones wait behind no more than these.
pub const BULK_WINDOW: usize = 6;
/// Why a request has no answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LinkError {
    /// The guest says no.
    #[error("{}", .0.text)]
    Refused(Failure),
    /// The guest has not said anything for a long while. Nothing came of the request, or nothing that matters.
    #[error("the guest does not answer")]
    Silent,
    /// The same, of a request that was sent: this may have been changed, before the guest says anything again.
    #[error("the guest does not answer")]
    InDoubt(Effect),
    /// The stream has ended.
    #[error("the guest has ended")]
    Ended,
    /// The two sides speak different versions.
    #[error("{0}")]
    Version(String),
    /// An answer of another kind than the request asks for.
    #[error("the guest gave another kind of answer: {0}")]
    Unexpected(String),
    /// Too long for a frame.
    #[error("the request is too long for one message")]
    TooLong,
}

impl LinkError {
    /// Of an answer of another kind than the request asks for.
    #[must_use]
    pub fn unexpected(reply: &Reply) -> Self {
        Self::Unexpected(format!("{reply:?}"))
    }
}

/// What the link tells its owner.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// The guest has answered the hello: requests go through. Comes again when the guest was restarted.
    Up(Guest),
    /// Nothing was heard for a while; being tried again.
    Lost,
    /// It answers again.
    Back,
    /// It answers again, and orders that failed with [`LinkError::InDoubt`] may have been carried out, before now. What came of that was told.
    GivenUp,
    /// The versions do not fit: nothing will work.
    Version(String),
    /// Something happened in the guest. In order, none twice, none left out.
    Event {
        /// One more than that of the event before.
        number: u64,
        #[allow(missing_docs)]
        event: Event,
    },
    /// The state of affairs, at least every quiet second.
    Progress(Progress),
    /// The stream has ended. Nothing follows.
    Ended,
}

/// Is told what the link has to tell. It must not wait for anything.
pub type Tell = Box<dyn FnMut(Notice) + Send>;

/// What the guest says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Bytes of the environment.
    pub size: u64,
    /// Name of the program.
    pub program: String,
    /// Changes with each start of the guest.
    pub boot: u64,
    /// Number of the first event that will be told.
    pub first_event: u64,
    /// What the line to it carries.
    pub capacity: Capacity,
}

/// How patient the link is.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// A request is repeated after this at the earliest.
    pub repeat: Duration,
    /// … and after this at the latest.
    pub longest_repeat: Duration,
    /// Without any frame for this long, the guest is asked for its state of affairs.
    pub quiet: Duration,
    /// Without any frame for this long, the link counts as lost.
    pub lost: Duration,
    /// Without any frame for this long, requests fail.
    pub give_up: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            repeat: Duration::from_millis(250),
            longest_repeat: Duration::from_secs(2),
            quiet: Duration::from_secs(1),
            lost: Duration::from_secs(5),
            give_up: Duration::from_secs(30),
        }
    }
}

/// Which request goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody waits for this one thing.
    Urgent,
    /// One of many.
    Bulk,
}

/// An answer with the tag that its request was given.
pub type Answer = (u64, Result<Reply, LinkError>);

/// What all that take part in the link share.
struct Shared {
    manager: Mutex<Manager>,
    /// The stream has ended.
    over: Condvar,
}

/// No thread panics while it holds one of these locks; if one did, the data would still be whole.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A handle to the link; clone it, use it from any thread.
#[derive(Clone, Debug)]
pub struct Link {
    shared: Arc<Shared>,
    inward: Arc<Inward>,
    received: Arc<AtomicU64>,
    sent: Arc<AtomicU64>,
}

impl Link {
    /// Starts talking over this stream. The link ends when `inlet` ends; what happens is told as it comes.
    pub fn start(
        inlet: impl Inlet,
        outlet: impl Outlet,
        timing: Timing,
        log: Log,
        tell: Tell,
    ) -> std::io::Result<Self> {
        let (received, sent) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let outward = Outward::new(outlet, Arc::clone(&sent))?;
        let manager = Mutex::new(Manager::new(outward, tell, timing, log));
        let shared = Arc::new(Shared { manager, over: Condvar::new() });
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new().name("link".into()).spawn(move || theirs.watch_the_time())?;
        let inward = Inward::start(inlet, Arc::clone(&shared), Arc::clone(&received))?;
        Ok(Self { shared, inward, received, sent })
    }

    /// Bytes that have come over the line so far.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Bytes that have gone over the line so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Asks; the answer goes to `answers` with this tag.
    pub fn submit(&self, urgency: Urgency, request: Request, tag: u64, answers: &Sender<Answer>) {
        let submission = Submission { urgency, request, tag, answers: answers.clone() };
        lock(&self.shared.manager).asked(submission);
    }

    /// Asks, and waits for the answer.
    pub fn request(&self, request: Request) -> Result<Reply, LinkError> {
        let (sender, receiver) = mpsc::channel();
        let turn = self.inward.turn();
        self.submit(Urgency::Urgent, request, 0, &sender);
        drop(sender);
        let came = turn.and_then(|turn| turn.read_until(|| receiver.try_recv().ok()));
        came.or_else(|| receiver.recv().ok()).ok_or(LinkError::Ended)?.1
    }

    /// Asks for something that gives bytes.
    pub fn bytes(&self, request: Request) -> Result<Vec<u8>, LinkError> {
        into_bytes(self.request(request)?)
    }

    /// Asks all of these, a window of them at a time, and hands each answer with its tag to `take`, in any order. Ends at
    /// the first error; requests under way then are still carried out, their answers dropped.
    pub fn pipeline<E: From<LinkError>>(
        &self,
        requests: impl IntoIterator<Item = (u64, Request)>,
        mut take: impl FnMut(u64, Reply) -> Result<(), E>,
    ) -> Result<(), E> {
        let (sender, receiver) = mpsc::channel();
        let mut requests = requests.into_iter();
        let mut under_way = 0_usize;
        loop {
            // Twice the window: one on its way, one ready to follow.
            while under_way < 2 * BULK_WINDOW {
                let Some((tag, request)) = requests.next() else { break };
                self.submit(Urgency::Bulk, request, tag, &sender);
                under_way += 1;
            }
            if under_way == 0 {
                return Ok(());
            }
            let (tag, result) = receiver.recv().map_err(|_| LinkError::Ended)?;
            under_way -= 1;
            take(tag, result?)?;
        }
    }

    /// Asks for something that has a long answer and fetches it.
    pub fn long(&self, request: Request) -> Result<Vec<u8>, LinkError> {
        match self.request(request)? {
            Reply::Long { answer, size } => self.fetch(answer, size),
            other => Err(LinkError::unexpected(&other)),
        }
    }

    /// Fetches a long answer in chunks, then lets the guest forget it.
    pub fn fetch(&self, answer: u32, size: u64) -> Result<Vec<u8>, LinkError> {
        let count = size.div_ceil(crate::CHUNK as u64);
        let mut chunks: Vec<Vec<u8>> = Vec::new();
        let requests = (0..count).map(|index| (index, Request::Chunk { answer, index: index as u32 }));
        let fetched = self.pipeline(requests, |index, reply| {
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            if chunks.len() <= index {
                chunks.resize(index + 1, Vec::new());
            }
            if let Some(place) = chunks.get_mut(index) {
                *place = into_bytes(reply)?;
            }
            Ok::<(), LinkError>(())
        });
        // Nothing depends on when it is forgotten.
        let (nobody, _) = mpsc::channel();
        self.submit(Urgency::Urgent, Request::Forget { answer }, 0, &nobody);
        fetched?;
        let bytes = chunks.concat();
        if bytes.len() as u64 == size {
            Ok(bytes)
        } else {
            Err(LinkError::Unexpected(format!("{} bytes of {size}", bytes.len())))
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a link")
    }
}

impl Shared {
    /// Does what is due until the stream ends.
    fn watch_the_time(&self) {
        let mut manager = lock(&self.manager);
        while !manager.is_over() {
            manager.tick();
            manager.write_log();
            let time = manager.sleep();
            manager = match self.over.wait_timeout(manager, time) {
                Ok((manager, _)) => manager,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }
}

/// The bytes of an answer that should be bytes.
pub fn into_bytes(reply: Reply) -> Result<Vec<u8>, LinkError> {
    match reply {
        Reply::Bytes(bytes) => Ok(bytes),
        other => Err(LinkError::unexpected(&other)),
    }
}
