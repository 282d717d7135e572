//! A headless session that is measured, and its store.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use flob_image::store::{ExportOptions, Store};
use flob_link::Scope;
use flob_session::{Client, Error, HubReply, HubRequest, LineFigures, LongRequest, Owner};

use super::savevm::Drive;

/// Saves of which the one that took least counts, for other work of the machine only ever adds.
const TIMES: usize = 3;

/// A save.
#[derive(Clone, Debug)]
pub struct Save {
    /// The checkpoint.
    pub id: String,
    /// Until the store had it.
    pub seconds: f64,
    /// Over the line.
    pub bytes: u64,
    /// That the store has grown by.
    pub stored: u64,
    /// Of memory that is not zero: the program's own pages and those that it has filled.
    pub memory: u64,
}

impl Save {
    /// Bytes a second.
    pub fn rate(&self) -> f64 {
        self.bytes as f64 / self.seconds
    }
}

/// A restore.
#[derive(Clone, Copy, Debug)]
pub struct Restore {
    /// Until the program ran.
    pub seconds: f64,
    /// Until all of its memory was there.
    pub whole: f64,
    /// Over the line, either way, before the program ran.
    pub bytes: u64,
    /// What the guest did for it before the program ran: nanoseconds of its time, so instructions if those are counted.
    pub work: u64,
}

/// A migration.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// From the request to its end.
    pub seconds: f64,
    /// For which the program stood still.
    pub stop: f64,
    /// Rounds, the last one included.
    pub rounds: u32,
    /// Pages that travelled.
    pub pages: u64,
}

/// What runs, and how.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// MiB of the program.
    pub size: u32,
    /// Every which page it writes.
    pub every: u32,
    /// MiB of the guest.
    pub memory: u32,
    /// Instructions are counted.
    pub is_counted: bool,
}

/// It ends when this is dropped.
pub struct Session {
    hub: Child,
    /// The connection to it.
    pub client: Client,
    store: PathBuf,
}

impl Session {
    /// Starts `scribble` in this folder and waits until its memory is filled.
    pub fn start(world: &Path, setup: Setup, drive: Option<&Drive>) -> Result<Self, Error> {
        Self::start_as("bench", world, setup, drive)
    }

    /// The same under another name.
    pub fn start_as(name: &str, world: &Path, setup: Setup, drive: Option<&Drive>) -> Result<Self, Error> {
        let io = |error| Error::io("starting a session", error);
        let store = world.join("store");
        let Setup { size, every, memory, is_counted } = setup;
        let mut command = Command::new(std::env::current_exe().map_err(io)?);
        command.args(["-s", name, "run", "--headless", "--memory", &memory.to_string()]);
        command.args(is_counted.then_some("--counted"));
        command.args(["scribble", &size.to_string(), "--every", &every.to_string()]);
        command.env("XDG_RUNTIME_DIR", world).env("FLOB_STORE", &store);
        if let Some(drive) = drive {
            command.env(flob_session::boot::qemu::VARIABLE, drive.emulator());
        }
        let mut hub = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(io)?;
        let said = hub.stdout.take().map(BufReader::new).and_then(|output| output.lines().next());
        let client = match said {
            Some(Ok(line)) if line == "ready" => {
                Client::connect_path(&world.join("flob").join(format!("{name}.session")))
            }
            other => Err(Error::Guest(format!("scribble did not get ready: {other:?}"))),
        };
        match client {
            Ok(client) => Ok(Self { hub, client, store }),
            Err(error) => {
                // It may have ended already.
                let _ = hub.kill();
                let _ = hub.wait();
                Err(error)
            }
        }
    }

    /// Holds the program.
    pub fn hold(&self) -> Result<(), Error> {
        self.client.request(HubRequest::Hold { owner: Owner::User, scope: Scope::Environment }).map(drop)
    }

    /// Lets it go.
    pub fn release(&self) -> Result<(), Error> {
        let (owner, scope) = (Owner::User, Scope::Environment);
        self.client.request(HubRequest::Release { owner, scope, force: false }).map(drop)
    }

    /// Saves some times, with something done before each; the save that took least.
    pub fn saves(&self, full: bool, before: impl Fn() -> Result<(), Error>) -> Result<Save, Error> {
        let save = |_| {
            before()?;
            self.save(full)
        };
        let all = (0..TIMES).map(save).collect::<Result<Vec<_>, _>>()?;
        let least = all.into_iter().min_by(|one, other| one.seconds.total_cmp(&other.seconds));
        least.ok_or_else(|| Error::Internal("nothing was saved".into()))
    }

    /// Takes everything out of the store.
    pub fn empty_store(&self) -> Result<(), Error> {
        let store = Store::open(&self.store)?;
        store.list()?.iter().try_for_each(|listed| store.remove(&listed.id).map(drop))?;
        Ok(store.gc().map(drop)?)
    }

    /// Saves once.
    pub fn save(&self, full: bool) -> Result<Save, Error> {
        let (before, stored) = (self.line(0)?.received, bytes_in(&self.store));
        let begin = Instant::now();
        let reply = self.client.request(LongRequest::Save { name: None, when: None, full })?;
        let seconds = begin.elapsed().as_secs_f64();
        let HubReply::Checkpoint(id) = reply else {
            return Err(Error::Internal(format!("the hub gave another kind of answer: {reply:?}")));
        };
        let bytes = self.line(0)?.received - before;
        let stored = bytes_in(&self.store).saturating_sub(stored);
        let memory = Store::open(&self.store)?.load(&id)?.summary().stored;
        Ok(Save { id, seconds, bytes, stored, memory })
    }

    /// Bytes of the file that a checkpoint is exported into, without the program's ELF.
    pub fn export(&self, id: &str) -> Result<u64, Error> {
        let options = ExportOptions { without_program: true, ..ExportOptions::default() };
        let file = self.store.with_extension("exported");
        Ok(Store::open(&self.store)?.load(id)?.export(&file, options, &mut |_, _, _| ())?)
    }

    /// From the request to go back to a checkpoint until the program runs.
    pub fn restore(&self, id: &str, lazy: bool) -> Result<Restore, Error> {
        let begin = Instant::now();
        self.client.request(LongRequest::Restore { id: id.into(), force: false, lazy })?;
        self.release()?;
        let seconds = begin.elapsed().as_secs_f64();
        let (bytes, work) = (self.client.info()?.restore_bytes, self.line(0)?.restore_time);
        self.client.request(LongRequest::AwaitPages)?;
        Ok(Restore { seconds, whole: begin.elapsed().as_secs_f64(), bytes, work })
    }

    /// Restores lazily some times; the restore before which least went over the line: now and then what the link says of
    /// itself is among it.
    pub fn restores_lazily(&self, id: &str) -> Result<Restore, Error> {
        let all = (0..TIMES).map(|_| self.restore(id, true)).collect::<Result<Vec<_>, _>>()?;
        let least = all.into_iter().min_by_key(|restore| restore.bytes);
        least.ok_or_else(|| Error::Internal("nothing was restored".into()))
    }

    /// Moves the program into another session while it runs; this one ends.
    pub fn migrate(&self, to: &str) -> Result<Migration, Error> {
        let begin = Instant::now();
        match self.client.request(LongRequest::Migrate { to: to.into() })? {
            HubReply::Migrated(moved) => Ok(Migration {
                seconds: begin.elapsed().as_secs_f64(),
                stop: Duration::from_nanos(moved.stop_nanoseconds).as_secs_f64(),
                rounds: moved.rounds,
                pages: moved.pages,
            }),
            other => Err(Error::Internal(format!("the hub gave another kind of answer: {other:?}"))),
        }
    }

    /// What so many full messages of the line show.
    pub fn line(&self, messages: u32) -> Result<LineFigures, Error> {
        match self.client.request(HubRequest::MeasureLine { messages })? {
            HubReply::Line(figures) => Ok(figures),
            other => Err(Error::Internal(format!("the hub gave another kind of answer: {other:?}"))),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A session that has ended already needs no end.
        let _ = self.client.request(HubRequest::Shutdown);
        let _ = self.hub.wait();
    }
}

/// Bytes of all files in a folder and its folders.
fn bytes_in(folder: &Path) -> u64 {
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    fs::read_dir(folder).map_or(0, |entries| entries.flatten().map(size).sum())
}
