//! A session: from the start of a guest to the end that its owner learns of. It owns the guest; the hub serves it.

use std::{
    fs,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Receiver},
    },
    thread,
    time::Duration,
};

use flob_link::{
    Scope,
    host::{Log, Notice},
};

use super::{
    Config, Door, Hub, clients, long_work::LongWork, machine::Machine, news::News, notices, output::Output,
    remote, restore, save,
};
use crate::{
    Claim, Error, HubEvent, LinkState, Owner, SessionInfo,
    boot::{arguments, qemu},
    sessions,
};

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
    pub(super) hub: Arc<Hub>,
    pub(super) endings: Receiver<Ending>,
    socket: PathBuf,
    /// Its name, for as long as it lives.
    _claim: Claim,
    folder: PathBuf,
}

impl Session {
    /// Starts a guest and its hub. The calling thread must live as long as the session.
    pub fn start(config: Config) -> Result<Self, Error> {
        let socket = sessions::socket(config.claim.name())?;
        let folder = make_folder(&config)?;
        let listener = config.claim.listen()?;
        Self::begin(config, socket, folder, listener)
    }

    pub(super) fn begin(
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
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Its logs.
    pub fn folder(&self) -> &Path {
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

fn make_folder(config: &Config) -> Result<PathBuf, Error> {
    let folder = sessions::directory()?.join(format!("{}.logs", config.claim.name()));
    fs::create_dir_all(&folder).map_err(|error| Error::io(format!("making {}", folder.display()), error))?;
    Ok(folder)
}
