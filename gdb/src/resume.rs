//! Going on and stopping: which threads run, which step, and what keeps the debugger's wish from coming true.
//!
//! While the debugger thinks the program stopped, the whole space is held. To let only some threads go, these are
//! released one by one, so that none of the others runs in between.
//!
//! A step of one thread while the others run begins as a step of that thread alone, because it is over before anybody
//! could tell the difference; unless the instruction is a call that blocks (or a fault that another thread must mend):
//! then the others are let go a moment later ([`PATIENCE`]). So are they where gdb steps a thread off a breakpoint and asks
//! for the others to stand still meanwhile: the call may wait for one of them.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use flob_image::Place;
use flob_link::{Access, Scope, Watch};
use flob_session::{Error, Owner};
use gdbstub::{common::Signal, target::ext::breakpoints::WatchKind};

use crate::{
    guest::Guest,
    inferior::{Inferior, Knowledge},
    stop::{Stop, StopKind},
};

/// A step that takes longer needs the other threads.
const PATIENCE: Duration = Duration::from_millis(50);

/// What one thread shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Run.
    Continue,
    /// One instruction.
    Step,
    /// Instructions, as long as it stays between these addresses.
    StepWithin(u64, u64),
}

impl Action {
    /// The addresses that a step is to leave, if it is one of several.
    pub const fn within(self) -> Option<(u64, u64)> {
        match self {
            Self::StepWithin(start, end) => Some((start, end)),
            Self::Continue | Self::Step => None,
        }
    }
}

/// What the debugger wants of the threads when it lets the program go.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Threads with an action of their own.
    pub actions: HashMap<Place, Action>,
    /// The others stay where they are (scheduler locking); else they run.
    pub locked: bool,
}

impl Plan {
    fn action(&self, thread: Place) -> Option<Action> {
        self.actions.get(&thread).copied().or((!self.locked).then_some(Action::Continue))
    }

    /// The only thread that is to do anything, if that is one step.
    fn lone_step(&self) -> Option<Place> {
        let mut actions = self.actions.iter();
        match (actions.next(), actions.next()) {
            (Some((thread, Action::Step)), None) if self.locked => Some(*thread),
            _ => None,
        }
    }

    fn steps(&self) -> Vec<Place> {
        let steps = self.actions.iter().filter(|(_, action)| **action != Action::Continue);
        let mut threads: Vec<Place> = steps.map(|(thread, _)| *thread).collect();
        threads.sort_unstable();
        threads
    }
}

impl<G: Guest> Inferior<G> {
    /// Carries the plan out; where it cannot, the debugger is told at once by a stop and a line on its console.
    pub fn go(&mut self) {
        // For a stop a debugger waits as long as it takes.
        self.guest.hurry(None);
        match self.obstacle() {
            Ok(Some(stop)) => self.immediate = Some(stop),
            Ok(None) => {
                self.running = true;
                self.is_kept = false;
                if let Err(error) = self.let_go() {
                    self.refuse(&error);
                }
            }
            Err(error) => self.refuse(&error),
        }
    }

    fn refuse(&mut self, error: &Error) {
        self.console.push(format!("flob: cannot go on: {error}"));
        self.immediate = Some(Stop::signal(self.last.thread, Signal::SIGSTOP));
    }

    /// Why the program cannot go on: it has ended, it is no longer what the debugger saw, or a thread stands at a
    /// breakpoint that was not told yet.
    fn obstacle(&mut self) -> Result<Option<Stop>, Error> {
        if let Some(code) = self.exit {
            return Ok(Some(Stop { thread: None, kind: StopKind::Exited(code) }));
        }
        if self.changed_meanwhile()? {
            self.knowledge = Knowledge::Good;
            self.console.push("flob: the state was changed meanwhile: stopped at the new state".into());
            let threads = self.threads()?;
            let current = self.last.thread.filter(|thread| threads.contains(thread));
            return Ok(Some(Stop::signal(current.or(threads.first().copied()), Signal::SIGSTOP)));
        }
        self.knowledge = Knowledge::Good;
        self.next_untold()
    }

    /// Whether an edit or a restore has changed what the debugger thinks it knows.
    fn changed_meanwhile(&mut self) -> Result<bool, Error> {
        if self.knowledge == Knowledge::Good {
            return Ok(false);
        }
        self.forget();
        if self.knowledge == Knowledge::Void {
            return Ok(true);
        }
        let seen = self.seen.clone();
        let differs = |(thread, registers)| match self.state(thread, false) {
            Ok((state, _)) => Ok(state.registers != registers),
            Err(Error::NotFound(_)) => Ok(true),
            Err(error) => Err(error),
        };
        let mut differences = seen.into_iter().map(differs);
        differences.find(|difference| !matches!(difference, Ok(false))).unwrap_or(Ok(false))
    }

    /// A thread that is to run and stands at a breakpoint that it has hit already.
    fn next_untold(&mut self) -> Result<Option<Stop>, Error> {
        while let Some(index) =
            self.untold.iter().position(|(thread, ..)| self.plan.action(*thread).is_some())
        {
            let (thread, address, kind) = self.untold.remove(index);
            let still_there =
                matches!(self.state(thread, false), Ok((state, _)) if state.registers.rip == address);
            if still_there && self.still_matters(address, kind) {
                return Ok(Some(Stop { thread: Some(thread), kind }));
            }
        }
        Ok(None)
    }

    /// Whether the debugger still wants to hear of such a stop.
    fn still_matters(&self, address: u64, kind: StopKind) -> bool {
        match kind {
            StopKind::Breakpoint => self.breakpoints.contains(&address),
            StopKind::HardwareBreakpoint => {
                self.watches.keys().any(|watch| watch.access == Access::Execute && watch.address == address)
            }
            StopKind::Watch(_, watched) => self.watches.keys().any(|watch| watch.address == watched),
            StopKind::Call(_) => !self.catches.is_empty(),
            StopKind::Signal(_) | StopKind::Exited(_) => false,
        }
    }

    fn let_go(&mut self) -> Result<(), Error> {
        let steps = self.plan.steps();
        let is_step_over = self.is_step_over();
        if !is_step_over {
            self.take_idle_breakpoints_out()?;
        }
        let is_continued = |action: &Action| *action == Action::Continue;
        if steps.is_empty() && !self.plan.locked {
            self.whole = false;
            self.forget_all();
            let (holders, stops_whole) = self.guest.go_on(self.space)?;
            self.stops_whole = stops_whole;
            self.own_changes += 1;
            self.tell_holders(&holders);
            return Ok(());
        }
        if self.plan.actions.values().any(is_continued) {
            self.release_continued()?;
        } else if !self.plan.locked || is_step_over {
            self.alone_until = Some(Instant::now() + PATIENCE);
        }
        self.forget_all();
        steps.into_iter().try_for_each(|thread| {
            let within = self.plan.actions.get(&thread).and_then(|action| action.within());
            self.guest.step(thread, within)
        })
    }

    /// gdb lets a thread step alone off a breakpoint that it has taken out for that, so that no other thread misses it. The
    /// guest needs no such help, and has the breakpoint still. (A step under scheduler locking off a breakpoint looks the
    /// same, and is treated the same.)
    fn is_step_over(&mut self) -> bool {
        let Some(thread) = self.plan.lone_step() else { return false };
        matches!(self.state(thread, false), Ok((state, _)) if self.idle_breakpoints.contains(&state.registers.rip))
    }

    fn take_idle_breakpoints_out(&mut self) -> Result<(), Error> {
        while let Some(address) = self.idle_breakpoints.pop_first() {
            self.guest.set_breakpoint(self.space, address, false)?;
        }
        while let Some((watch, _)) = self.idle_watches.pop_first() {
            self.guest.set_watch(watch, false)?;
        }
        Ok(())
    }

    fn forget_all(&mut self) {
        self.forget();
        self.seen.clear();
    }

    fn release_continued(&mut self) -> Result<(), Error> {
        self.whole = false;
        let threads = self.threads()?;
        let continued =
            threads.into_iter().filter(|thread| self.plan.action(*thread) == Some(Action::Continue));
        continued.collect::<Vec<_>>().into_iter().try_for_each(|thread| self.release(Scope::Thread(thread)))
    }

    /// How long the events of a lone step may be waited for.
    pub fn patience(&self) -> Option<Duration> {
        self.alone_until.map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// A lone step does not end: the other threads go on beside it.
    pub fn lose_patience(&mut self) {
        self.plan.locked = false;
        if self.alone_until.take().is_some()
            && let Err(error) = self.release_continued()
        {
            self.console.push(format!("flob: cannot let the other threads go: {error}"));
        }
    }

    fn release(&mut self, scope: Scope) -> Result<(), Error> {
        let holders = self.guest.release(scope)?;
        self.own_changes += 1;
        self.tell_holders(&holders);
        Ok(())
    }

    fn tell_holders(&mut self, holders: &[Owner]) {
        let names: Vec<&str> = holders
            .iter()
            .map(|holder| match holder {
                Owner::User => "the user (flob resume lets it go)",
                Owner::Client(name) => name,
            })
            .collect();
        if !names.is_empty() {
            self.console
                .push(format!("flob: still held by {}: it goes on when they let it go", names.join(", ")));
        }
    }

    /// Holds the whole space, unless it is held already.
    pub fn stop_world(&mut self) {
        self.running = false;
        self.alone_until = None;
        if self.whole || !self.is_attached() {
            return;
        }
        match self.guest.hold(Scope::Space(self.space)) {
            Ok(()) => {
                self.whole = true;
                self.own_changes += 1;
            }
            Err(error) => self.console.push(format!("flob: cannot hold the program: {error}")),
        }
    }

    /// Ctrl-C.
    pub fn interrupt(&mut self) -> Option<Stop> {
        if !self.running {
            return None;
        }
        // A step that is under way ends by a hold.
        self.whole = false;
        self.stops_whole = false;
        self.stop_world();
        self.forget();
        let threads = self.threads().unwrap_or_default();
        let current = self.last.thread.filter(|thread| threads.contains(thread));
        Some(Stop::signal(current.or(threads.first().copied()), Signal::SIGINT))
    }

    /// Takes a breakpoint in, or out for now.
    pub fn set_breakpoint(&mut self, address: u64, wanted: bool) -> Result<(), Error> {
        if !wanted {
            if self.breakpoints.remove(&address) {
                self.idle_breakpoints.insert(address);
            }
            return Ok(());
        }
        if !self.idle_breakpoints.remove(&address) {
            self.guest.set_breakpoint(self.space, address, true)?;
        }
        self.breakpoints.insert(address);
        Ok(())
    }

    /// Takes a hardware breakpoint or watchpoint in, or out for now. What is refused is told on the console when the debugger
    /// next listens.
    pub fn set_watch(&mut self, watch: Watch, kind: WatchKind, wanted: bool) -> Result<(), Error> {
        if !wanted {
            if let Some(kind) = self.watches.remove(&watch) {
                self.idle_watches.insert(watch, kind);
            }
            return Ok(());
        }
        if self.idle_watches.remove(&watch).is_none() {
            self.make_room_for(watch)?;
        }
        self.watches.insert(watch, kind);
        Ok(())
    }

    /// What was only taken out for now may be in the way of what is new.
    fn make_room_for(&mut self, watch: Watch) -> Result<(), Error> {
        match self.guest.set_watch(watch, true) {
            Err(_) if !self.idle_watches.is_empty() => {
                while let Some((idle, _)) = self.idle_watches.pop_first() {
                    self.guest.set_watch(idle, false)?;
                }
                self.guest.set_watch(watch, true)
            }
            done => done,
        }
        .inspect_err(|error| self.console.push(format!("flob: {error}")))
    }
}
