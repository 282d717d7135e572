//! The hub of a session: has the link to the guest, answers clients on a Unix socket, and keeps the books of who holds
//! what. What starts and ends it is its session ([`Session`]).

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
mod session;
mod spots;
mod supply;
#[cfg(test)]
mod tests;
mod traces;
mod traffic;
mod undo;
mod watches;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicU64},
        mpsc::Sender,
    },
    time::{SystemTime, UNIX_EPOCH},
};

use flob_image::{Environment, Place, store::Store};
use flob_link::{Capacity, Progress, Request, host::Link};

pub(crate) use flob_link::host::lock;

pub use clients::Door;
pub(crate) use clients::Inward;
pub use config::{Config, Emulated, GuestPlan, Standard};
pub use session::{Ending, Session};

use crate::{HubEvent, LinkState, Owner, SessionInfo, symbols};
use base::Base;
use cache::Cache;
use catches::Catches;
use fanout::Fanout;
use holds::{Holds, Member};
use input::Input;
use long_work::LongWork;
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

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
