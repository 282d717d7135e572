//! The hub of a session: owns the guest and the link, answers clients on a Unix socket, and keeps the books of who holds
//! what.

mod base;
mod cache;
mod catches;
mod clients;
mod config;
mod control;
mod fanout;
mod finding_out;
mod holds;
mod input;
mod known;
mod line;
mod long_work;
mod machine;
mod memory;
mod migrate;
mod news;
mod notices;
mod output;
mod outward;
mod points;
mod receive;
mod remote;
mod replacing;
mod requests;
mod restart;
mod restore;
mod runs;
mod save;
mod supply;
#[cfg(test)]
mod tests;
mod traces;
mod traffic;
mod undo;
mod watches;

use std::{
    fs,
    os::unix::net::UnixListener,
    path::PathBuf,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use flob_image::{Environment, Place, store::Store};
use flob_link::{
    Capacity, Progress, Request, Scope,
    host::{Link, Log, Notice},
};

pub(crate) use flob_link::host::lock;

pub use clients::Door;
pub(crate) use clients::Inward;
pub use config::{Config, Emulated, GuestPlan, Standard};

use crate::{
    Claim, Error, HubEvent, LinkState, Owner, SessionInfo,
    boot::{arguments, qemu},
    sessions, symbols,
};
use base::Base;
use cache::Cache;
use catches::Catches;
use fanout::Fanout;
use holds::{Holds, Member};
use input::Input;
use long_work::LongWork;
use machine::Machine;
use news::News;
use output::Output;
use points::Points;
use receive::Receiving;
use replacing::{Arriving, Unknown};
use save::Moment;
use supply::Supply;
use traces::Traces;
use traffic::Traffic;
use watches::Watches;

/// How long the end of a session waits for answers on their way to clients.
const LAST_ANSWERS: Duration = Duration::from_secs(2);
/// How long it waits for saves that lack nothing of the guest any more: stores that answer at all are faster.
const LAST_SAVES: Duration = Duration::from_secs(30);

/// How a session ended, or what happened that its owner may want to end it for.
#[derive(Debug)]
pub enum Ending {
    /// The program has ended with this code.
    Exited(i32),
    /// A thread died of an exception (a `flob_abi::ExceptionCode`); the sentence says where. The environment stands still.
    Died {
        #[expect(missing_docs, reason = "see above")]
        code: u32,
        #[expect(missing_docs, reason = "see above")]
        sentence: String,
    },
    /// Nothing of the program can run, and it waits for nothing outside: a deadlock, or threads that sleep for good.
    StandsStill,
    /// A page of the checkpoint that was restored lazily cannot be had: the program is held.
    PagesLost(Error),
    /// The program has moved into the session of this name.
    Moved(String),
    /// A client asked for the end.
    Shutdown,
    /// The guest is gone or does not fit.
    Failed(Error),
}

/// A running session. Dropping it ends the guest, if that is its own.
pub struct Session {
    guest: Machine,
    hub: Arc<Hub>,
    endings: Receiver<Ending>,
    socket: PathBuf,
    /// Its name, for as long as it lives.
    _claim: Claim,
    folder: PathBuf,
}

/// What all threads of the hub share.
pub(crate) struct Hub {
    /// For threads of its own.
    me: Weak<Self>,
    link: Link,
    news: Arc<News>,
    info: Mutex<SessionInfo>,
    books: Mutex<Books>,
    fanout: Mutex<Fanout>,
    /// Number of the next client's connection.
    connections: AtomicU64,
    /// What is on its way from and to clients.
    traffic: Arc<Traffic>,
    /// Long work that clients have asked for.
    long_traffic: Arc<Traffic>,
    cache: Mutex<Cache>,
    input: Arc<Input>,
    takes_typing: bool,
    output: Output,
    long_work: LongWork,
    /// The guest is ended by us: that it ends is no news.
    is_closing: AtomicBool,
    /// At most one look at the environment at a time.
    looking: Mutex<()>,
    /// Where a save hears of the moment it waits for.
    moments: Mutex<Option<Sender<Moment>>>,
    /// What the line to the guest carries.
    capacity: Mutex<Capacity>,
    store: Store,
    /// What the next save need not fetch again.
    base: Mutex<Option<Base>>,
    /// What is still missing of a checkpoint that was restored lazily.
    supply: Mutex<Option<Arc<Supply>>>,
    /// A program of another session that is on its way into this one.
    receiving: Mutex<Option<Receiving>>,
    /// Checkpoints taken before edits and restores, the latest last.
    undo: Mutex<Vec<String>>,
    /// The program's ELF, to be kept with its checkpoints, and where it is.
    program: Option<Vec<u8>>,
    elf: Option<PathBuf>,
    /// ELFs, one of which may be the program's, where the guest is not ours.
    known: Vec<Vec<u8>>,
    /// Identification of the kernel, for checkpoints.
    kernel: String,
    /// Where the guest's kernel writes.
    console: PathBuf,
    endings: Sender<Ending>,
}

/// Who holds, wants and does what with threads. One change at a time, the guest's answer included.
#[derive(Default)]
pub(crate) struct Books {
    holds: Holds,
    points: Points,
    watches: Watches,
    catches: Catches,
    traces: Traces,
    /// The threads of the last look, and those that have stopped since.
    seen: Vec<Member>,
    /// The first event that nothing here says anything of. The guest lets nobody go whose stop is told by that or a later one.
    unseen: u64,
    /// The number of the environment ([`flob_link::Mark::environment`]), once it is known.
    environment: Option<u32>,
    /// The guest's events have not come to its beginning yet: what stops until then was in one before.
    is_unannounced: bool,
    /// What is missing of it is, or was, brought from here.
    is_supplied: bool,
    /// Why what is missing of it comes from nowhere, once that was noticed.
    unsupplied: Option<String>,
    /// A checkpoint that the guest was asked to put in place and may put in place yet, for it was given up.
    arriving: Option<Arriving>,
    /// What is in place was not looked at yet.
    unknown: Option<Unknown>,
    /// So many were put in place in all.
    replaced: u64,
    /// Who holds all of a space again as soon as a thread of it stops.
    until_stop: Vec<(Owner, Place)>,
    /// Owners that are clients, with their connection.
    clients: Vec<(u64, Owner)>,
}

impl Session {
    /// Starts a guest and its hub. The calling thread must live as long as the session.
    pub fn start(config: Config) -> Result<Self, Error> {
        let socket = sessions::socket(config.claim.name())?;
        let folder = make_folder(&config)?;
        let listener = config.claim.listen()?;
        Self::begin(config, socket, folder, listener)
    }

    fn begin(
        config: Config,
        socket: PathBuf,
        folder: PathBuf,
        listener: UnixListener,
    ) -> Result<Self, Error> {
        let manner = config.manner();
        let restored =
            config.restore.as_deref().map(|id| restore::prepare(&config.store, id, manner)).transpose()?;
        let beginning = if restored.is_some() { arguments::Beginning::Restore } else { config.beginning() };
        let input = config.open_input(restored.as_ref())?;
        let guest = Machine::begin(&config, beginning, &folder)?;
        let io = |error| Error::io("starting the hub", error);
        let log = Log::to_file(&folder.join("link.log")).map_err(io)?;
        let news: Arc<News> = Arc::default();
        let link = guest.connect(config.timing, log, Arc::clone(&news)).map_err(io)?;
        let (ending, endings) = mpsc::channel();
        let hub = Arc::new_cyclic(|me| Hub {
            me: Weak::clone(me),
            link,
            news,
            info: Mutex::new(config.info(guest.process())),
            books: Mutex::default(),
            fanout: Mutex::default(),
            connections: AtomicU64::new(1),
            traffic: Arc::default(),
            long_traffic: Arc::default(),
            cache: Mutex::default(),
            input,
            takes_typing: !config.standard.input,
            output: Output::new(config.standard.output),
            long_work: LongWork::default(),
            is_closing: AtomicBool::new(false),
            looking: Mutex::new(()),
            moments: Mutex::new(None),
            capacity: Mutex::default(),
            base: Mutex::default(),
            supply: Mutex::default(),
            receiving: Mutex::default(),
            undo: Mutex::default(),
            program: config.program_elf(),
            elf: config.elf.clone(),
            known: config.known(),
            kernel: config.kernel(),
            store: config.store.clone(),
            console: qemu::console_log(&folder),
            endings: ending,
        });
        let mut session = Self { guest, hub, endings, socket, folder, _claim: config.claim };
        session.come_up()?;
        if let Some(checkpoint) = restored {
            session.hub.begin_with(checkpoint, config.paused, manner)?;
        } else if config.paused {
            session.hub.hold(&Owner::User, Scope::Environment, None).map_err(Error::from)?;
        }
        // Neither before: nobody is to see, or save, an environment that is about to be replaced; and what is sent to it only
        // keeps the line busy.
        clients::accept(listener, Arc::clone(&session.hub)).map_err(io)?;
        session
            .hub
            .input
            .pump_into(session.hub.link.clone())
            .map_err(|error| Error::io("starting the hub", error))?;
        Ok(session)
    }

    /// Waits for the guest's hello, and follows what it says.
    fn come_up(&mut self) -> Result<(), Error> {
        match self.hub.news.first(self.guest.patience()) {
            Some(Notice::Up(guest)) => self.hub.greeted(&guest),
            Some(Notice::Version(text)) => return Err(Error::Guest(text)),
            _ => return Err(self.boot_failure()),
        }
        if self.guest.is_remote() {
            self.hub.meet().map_err(Error::from)?;
        }
        qemu::remove_boot_files(&self.folder);
        let io = |error| Error::io("starting the hub", error);
        self.hub.set_link(LinkState::Up);
        let hub = Arc::clone(&self.hub);
        thread::Builder::new().name("notices".into()).spawn(move || hub.follow()).map_err(io)?;
        Ok(())
    }

    fn boot_failure(&mut self) -> Error {
        if let Machine::Remote(device) = &self.guest {
            return remote::nobody_answers(device.port());
        }
        let status = self.guest.end();
        let status = status.map_or(String::new(), |status| format!(" ({status})"));
        let said = |path: PathBuf| notices::last_lines(&path);
        let said = said(qemu::emulator_log(&self.folder)) + &said(qemu::console_log(&self.folder));
        Error::Guest(format!(
            "the guest did not come up{status}; its logs are in {}{said}",
            self.folder.display()
        ))
    }

    /// Waits until something happens that may end the session. To be asked again if it shall go on. A save that is under way
    /// when the program comes to its end is of the time before: it is not lost. Nor is the end of the trace.
    pub fn wait(&self) -> Ending {
        let ending = self.endings.recv().unwrap_or(Ending::Shutdown);
        if matches!(ending, Ending::Exited(_)) {
            // Nobody cancels the wait.
            drop(self.hub.long_work.begin(&AtomicBool::new(false), &|_, _, _| ()));
            self.hub.tell_last_trace();
        }
        ending
    }

    /// What session this is.
    pub fn info(&self) -> SessionInfo {
        self.hub.info()
    }

    /// Where clients in this process come in.
    pub fn door(&self) -> Door {
        Door(Arc::downgrade(&self.hub))
    }

    /// Its socket.
    pub fn socket(&self) -> &std::path::Path {
        &self.socket
    }

    /// Its logs.
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// Saves a checkpoint; its id.
    pub fn save(&self, name: Option<String>) -> Result<String, Error> {
        let cancelled = AtomicBool::new(false);
        let order = save::Order { name, ..save::Order::default() };
        self.hub.save(order, &cancelled, &|_, _, _| ()).map_err(Error::from)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.hub.output.drain();
        self.hub.traffic.settle(LAST_ANSWERS);
        self.hub.is_closing.store(true, Ordering::Relaxed);
        self.hub.input.close();
        if self.guest.is_remote() {
            self.hub.leave();
        }
        self.guest.end();
        // What has all that it needs of the guest is done, and told; the rest finds the guest gone, and says so.
        self.hub.wake_long_work();
        self.hub.long_traffic.settle_and_tell(LAST_SAVES, || self.hub.tell(HubEvent::Finishing));
        self.hub.traffic.settle(LAST_ANSWERS);
    }
}

impl Hub {
    fn info(&self) -> SessionInfo {
        let mut info = lock(&self.info).clone();
        info.holders = lock(&self.books).holds.all_holders();
        info.received = self.link.received();
        info.sent = self.link.sent();
        (info.fetching, info.lost) = self.fetching();
        info.lost = info.lost.or_else(|| lock(&self.books).unsupplied.clone());
        info
    }

    fn capacity(&self) -> Capacity {
        *lock(&self.capacity)
    }

    fn tell(&self, event: HubEvent) {
        lock(&self.fanout).tell(event);
    }

    /// Somebody changed something: what is cached is old.
    fn changed(&self) {
        lock(&self.cache).clear();
        self.tell(HubEvent::Changed);
    }

    fn set_link(&self, state: LinkState) {
        lock(&self.info).link = state;
        self.tell(HubEvent::Link(state));
    }

    fn set_progress(&self, progress: Progress) {
        lock(&self.info).progress = progress;
        self.input.wanted(progress.input_from, progress.input_to);
    }

    /// The ELF of the program of this environment, where there is a file of it.
    fn elf_of(&self, environment: &Environment) -> Option<PathBuf> {
        let ours = self.program.as_deref().is_some_and(|elf| symbols::is_program_of(elf, environment));
        if ours && self.elf.is_some() {
            return self.elf.clone();
        }
        self.store.program_file(&environment.build_id).ok().flatten()
    }

    /// Asks the guest to end, if it is ours; the emulator's end follows.
    fn shut_down(&self) {
        if lock(&self.info).device.is_none() {
            self.tell_guest(Request::Shutdown);
        }
        // The owner may have gone already.
        let _ = self.endings.send(Ending::Shutdown);
    }
}

fn make_folder(config: &Config) -> Result<PathBuf, Error> {
    let folder = sessions::directory()?.join(format!("{}.logs", config.claim.name()));
    fs::create_dir_all(&folder).map_err(|error| Error::io(format!("making {}", folder.display()), error))?;
    Ok(folder)
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
