//! One space as a debugger's process: what is known of its threads while they are held, and how it is held.
//!
//! The debugger believes that nothing changes while it thinks the program stopped. So what it was told is remembered
//! ([`Inferior::seen`]), to be compared before the program goes on.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Instant,
};

use flob_abi::{Registers, ThreadState, flob::thread_link};
use flob_image::{Environment, Flob, Link, Place, State};
use flob_link::{Scope, Watch};
use flob_session::{Error, names::Names, place::Map, symbols::Symbols, trace::Trace};
use gdbstub::{
    common::{Signal, Tid},
    target::ext::breakpoints::WatchKind,
};

use crate::{
    arch,
    guest::Guest,
    names,
    pages::Pages,
    resume::Plan,
    stop::{Stop, StopKind, signal_of},
};

/// Whether what the debugger knows still holds: less and less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Knowledge {
    /// As far as anybody can tell.
    #[default]
    Good,
    /// Somebody changed something.
    Doubtful,
    /// The environment is another one.
    Void,
}

/// The environment, as it was when somebody looked last.
struct Known {
    environment: Environment,
    names: Names,
    has_vectors: bool,
}

/// A space under a debugger.
pub struct Inferior<G> {
    pub(crate) guest: G,
    pub(crate) space: Place,
    /// Its number as a process.
    pub(crate) process: u64,
    /// Threads by number: the first has number 1. A place keeps its number for the life of the connection.
    numbers: Vec<Place>,
    known: Option<Known>,
    /// Read from the program's ELF when a name is asked for.
    pub(crate) symbols: Option<Symbols>,
    pub(crate) pages: Pages,
    /// States that came with a stop, newer than the environment.
    fresh: HashMap<Place, ThreadState>,
    /// Registers as the debugger knows them.
    pub(crate) seen: HashMap<Place, Registers>,
    pub(crate) knowledge: Knowledge,
    pub(crate) breakpoints: BTreeSet<u64>,
    /// Breakpoints that the debugger has taken out and the guest still has: gdb takes all of them out with every stop,
    /// and puts them in again before it goes on.
    pub(crate) idle_breakpoints: BTreeSet<u64>,
    /// What the debugger watches, how gdb calls it, and the same of what it has taken out for now.
    pub(crate) watches: BTreeMap<Watch, WatchKind>,
    pub(crate) idle_watches: BTreeMap<Watch, WatchKind>,
    /// Numbers of the kernel calls that are caught.
    pub(crate) catches: BTreeSet<u64>,
    /// What has been read of the trace.
    pub(crate) trace: Trace,
    is_attached: bool,
    /// The space is held, and no thread of it let go.
    pub(crate) whole: bool,
    /// It is held again, all of it, when a stop is told.
    pub(crate) stops_whole: bool,
    /// A thread is stepped alone until then.
    pub(crate) alone_until: Option<Instant>,
    /// `flob undo` comes back to before what the debugger has written since the last stop.
    pub(crate) is_kept: bool,
    /// Changes that were made here and that the hub has not told of yet.
    pub(crate) own_changes: usize,
    /// Environments that were put in place here and whose beginning the events have not come to yet.
    pub(crate) own_environments: usize,
    pub(crate) plan: Plan,
    /// Threads that hit a breakpoint or touched what is watched when the debugger had been told of another stop already, and
    /// where they stand.
    pub(crate) untold: Vec<(Place, u64, StopKind)>,
    /// A stop to be reported as soon as the debugger waits for one.
    pub(crate) immediate: Option<Stop>,
    /// The last stop: the answer to `?`.
    pub(crate) last: Stop,
    pub(crate) exit: Option<i32>,
    pub(crate) running: bool,
    /// Lines for the debugger's console, when it next listens.
    pub(crate) console: Vec<String>,
    /// Why what the debugger has just asked for is answered with an error.
    pub(crate) refusal: Option<String>,
}

impl<G: Guest> Inferior<G> {
    /// Attaches: holds the space and looks at it.
    pub fn attach(guest: G, space: Place) -> Result<Self, Error> {
        let mut inferior = Self {
            guest,
            space,
            process: 1,
            numbers: Vec::new(),
            known: None,
            symbols: None,
            pages: Pages::default(),
            fresh: HashMap::new(),
            seen: HashMap::new(),
            knowledge: Knowledge::Good,
            breakpoints: BTreeSet::new(),
            idle_breakpoints: BTreeSet::new(),
            watches: BTreeMap::new(),
            idle_watches: BTreeMap::new(),
            catches: BTreeSet::new(),
            trace: Trace::default(),
            is_attached: false,
            whole: false,
            stops_whole: false,
            alone_until: None,
            is_kept: false,
            own_changes: 0,
            own_environments: 0,
            plan: Plan::default(),
            untold: Vec::new(),
            immediate: None,
            last: Stop::signal(None, Signal::SIGTRAP),
            exit: None,
            running: false,
            console: Vec::new(),
            refusal: None,
        };
        inferior.attach_to(space)?;
        Ok(inferior)
    }

    /// Turns to this space: the one before is let go, and what was known of it forgotten.
    pub fn attach_to(&mut self, space: Place) -> Result<(), Error> {
        self.detach();
        self.exit = self.guest.exit()?;
        self.space = space;
        self.knowledge = Knowledge::Good;
        self.is_attached = true;
        self.stop_world();
        let looked = self.first_stop();
        self.last = looked.inspect_err(|_| self.detach())?;
        Ok(())
    }

    /// Whether there is a space under the debugger now.
    pub fn is_attached(&self) -> bool {
        self.is_attached
    }

    /// Lets everything go that this debugger held or planted. Errors do not matter any more: the hub takes all of it
    /// back when the connection ends.
    pub fn detach(&mut self) {
        if !std::mem::take(&mut self.is_attached) {
            return;
        }
        let mut planted = std::mem::take(&mut self.breakpoints);
        planted.append(&mut self.idle_breakpoints);
        for address in planted {
            let _ = self.guest.set_breakpoint(self.space, address, false);
        }
        if !std::mem::take(&mut self.catches).is_empty() {
            let _ = self.guest.catch_calls(self.space, &[]);
        }
        let mut watched = std::mem::take(&mut self.watches);
        watched.append(&mut self.idle_watches);
        for watch in watched.into_keys() {
            let _ = self.guest.set_watch(watch, false);
        }
        let _ = self.guest.release(Scope::Space(self.space));
        self.whole = false;
        self.stops_whole = false;
        self.forget();
        self.numbers.clear();
        self.seen.clear();
        self.untold.clear();
        self.plan = Plan::default();
        self.immediate = None;
        self.last = Stop::signal(None, Signal::SIGTRAP);
        self.running = false;
        self.alone_until = None;
    }

    fn first_stop(&mut self) -> Result<Stop, Error> {
        // A debugger asks for all registers of all threads first.
        let space = self.space;
        self.process = flob_session::names::process(self.environment(true)?, space);
        // What has ended can still be looked at, as long as there is anything left of it.
        let threads = self.threads()?;
        if let (Some(code), []) = (self.exit, threads.as_slice()) {
            return Ok(Stop { thread: None, kind: StopKind::Exited(code) });
        }
        let dead =
            threads.iter().copied().find_map(|thread| Some((thread, self.unserved_exception(thread)?)));
        Ok(match dead {
            Some((thread, code)) => Stop::signal(Some(thread), signal_of(code)),
            None => Stop::signal(threads.first().copied(), Signal::SIGTRAP),
        })
    }

    /// The exception that this thread has died of: one that nobody is handling.
    fn unserved_exception(&mut self, thread: Place) -> Option<u32> {
        let Flob { state: State::Thread(state), links, .. } = self.environment(false).ok()?.flob(thread)?
        else {
            return None;
        };
        let nobody = |link: usize| matches!(links.get(link), None | Some(Link::Null));
        let unserved = nobody(thread_link::IDEMPOTENT_SERVER) && nobody(thread_link::WAITING_FOR);
        Some(state.exception.code).filter(|code| *code != 0 && unserved)
    }

    /// The environment as it was when the program stopped, or is now if nobody has looked yet.
    pub fn environment(&mut self, vectors: bool) -> Result<&Environment, Error> {
        self.why(vectors).map(|why| why.environment)
    }

    /// The same with its names, and what is to be known of its threads.
    pub fn why(&mut self, vectors: bool) -> Result<Map<'_>, Error> {
        if !self.known.as_ref().is_some_and(|known| known.has_vectors || !vectors) {
            self.look(vectors)?;
        }
        match (&self.known, &self.symbols) {
            (Some(Known { environment, names, .. }), Some(symbols)) => {
                Ok(Map { environment, names, symbols })
            }
            _ => Err(Error::Internal("an environment got lost".into())),
        }
    }

    fn look(&mut self, vectors: bool) -> Result<(), Error> {
        let environment = self.guest.environment(vectors)?;
        for thread in names::threads_of(&environment, self.space) {
            if !self.numbers.contains(&thread.place) {
                self.numbers.push(thread.place);
            }
        }
        let (guest, symbols) = (&mut self.guest, &mut self.symbols);
        let symbols = symbols.get_or_insert_with(|| {
            // What has no symbols is called by its address.
            guest.elf().and_then(|elf| Symbols::open(&elf).ok()).unwrap_or_else(Symbols::none)
        });
        let names = Names::new(&environment, symbols);
        self.fresh.clear();
        self.known = Some(Known { environment, names, has_vectors: vectors });
        Ok(())
    }

    /// Forgets what was looked at: the program goes on, or somebody has changed something.
    pub fn forget(&mut self) {
        self.forget_flobs();
        self.pages.clear();
    }

    pub(crate) fn forget_flobs(&mut self) {
        self.known = None;
        self.fresh.clear();
    }

    /// A thread's state that came with an event.
    pub(crate) fn learn(&mut self, thread: Place, state: ThreadState) {
        self.fresh.insert(thread, state);
    }

    /// The threads of the space, ascending by place.
    pub fn threads(&mut self) -> Result<Vec<Place>, Error> {
        if !self.is_attached {
            return Ok(Vec::new());
        }
        let space = self.space;
        Ok(names::threads_of(self.environment(false)?, space).map(|thread| thread.place).collect())
    }

    /// The number of a thread.
    pub fn number(&mut self, thread: Place) -> Option<Tid> {
        let index = self.numbers.iter().position(|place| *place == thread).unwrap_or_else(|| {
            self.numbers.push(thread);
            self.numbers.len() - 1
        });
        Tid::new(index + 1)
    }

    /// The thread with this number, whether it still exists or not.
    pub fn thread(&self, number: Tid) -> Option<Place> {
        self.numbers.get(number.get() - 1).copied()
    }

    /// A thread's state, and whether it waits in a call.
    pub fn state(&mut self, thread: Place, vectors: bool) -> Result<(ThreadState, bool), Error> {
        if let Some(state) = self.fresh.get(&thread).filter(|_| !vectors) {
            return Ok((*state, false));
        }
        match self.environment(vectors)?.flob(thread) {
            Some(Flob { state: State::Thread(state), links, .. }) => {
                let waits = !matches!(links.get(thread_link::WAITING_FOR), None | Some(Link::Null));
                Ok((*state, waits))
            }
            _ => Err(Error::NotFound(format!("there is no thread at {thread:#x} any more"))),
        }
    }

    /// A thread's registers, to be told to the debugger.
    pub fn registers(&mut self, thread: Place, vectors: bool) -> Result<arch::Registers, Error> {
        let (state, waits) = self.state(thread, vectors)?;
        if waits {
            // What it waits for may come, and with it other registers: no sign of an edit.
            self.seen.remove(&thread);
        } else {
            self.seen.insert(thread, state.registers);
        }
        Ok(arch::Registers::load(&state, if waits { state.registers.rax } else { arch::NO_CALL }))
    }

    /// The environment is another one: nothing of what was there before is held, or known, any more.
    pub(crate) fn begin_anew(&mut self) {
        self.untold.clear();
        self.exit = None;
        self.whole = false;
        self.stops_whole = false;
        self.forget();
        self.knowledge = Knowledge::Void;
    }

    /// The environment as it is now, whatever was known.
    pub fn look_afresh(&mut self) -> Result<Environment, Error> {
        self.forget_flobs();
        self.environment(true).cloned()
    }

    /// What the flobs of another environment of this program are called.
    pub fn names_of(&mut self, environment: &Environment) -> Names {
        // Without symbols addresses serve.
        let _ = self.why(false);
        match &self.symbols {
            Some(symbols) => Names::new(environment, symbols),
            None => Names::new(environment, &Symbols::none()),
        }
    }

    /// Reads memory; short where it ends. 0 bytes: there is none.
    pub fn read(&mut self, address: u64, room: &mut [u8]) -> usize {
        let (guest, space) = (&mut self.guest, self.space);
        self.pages.read(address, room, |start, count| guest.read(space, start, count))
    }

    /// What the debugger may be told on its console now.
    pub fn take_console(&mut self) -> Vec<String> {
        std::mem::take(&mut self.console)
    }
}
