//! What happens in the session, as it concerns one debugger.

use flob_abi::{ExceptionCode, FlobKind, ThreadState};
use flob_image::{Place, State};
use flob_link::{Access, Event, Hit, StopReason, Watch};
use flob_session::HubEvent;
use gdbstub::common::Signal;

use crate::{
    guest::Guest,
    inferior::{Inferior, Knowledge},
    names,
    resume::Action,
    stop::{Stop, StopKind, signal_of},
};

impl<G: Guest> Inferior<G> {
    /// Takes an event; answers the stop that the debugger is to be told now, if it waits for one.
    pub fn on_event(&mut self, event: HubEvent) -> Option<Stop> {
        if self.is_of_before(&event) || !self.is_attached() {
            return None;
        }
        let stop = match event {
            HubEvent::Changed => {
                self.changed();
                None
            }
            HubEvent::Guest(Event::Restored(_)) => self.replaced("a checkpoint was restored"),
            HubEvent::Guest(Event::Restarted(_)) => self.replaced("the program was restarted"),
            HubEvent::AnotherGuest => self.replaced("the guest was started anew"),
            HubEvent::Guest(Event::Exited { code }) => self.exited(code),
            HubEvent::Guest(Event::Died { thread, code, .. }) => self.died(thread, code),
            HubEvent::Guest(Event::Stopped { thread, space, reason, state, .. }) if space == self.space => {
                self.stopped(thread, &reason, &state)
            }
            HubEvent::Guest(_)
            | HubEvent::Link(_)
            | HubEvent::Saved(_)
            | HubEvent::Trace(_)
            | HubEvent::Arrived(_)
            | HubEvent::PagesLost(_)
            | HubEvent::GuestEnded(_)
            | HubEvent::Moved(_)
            | HubEvent::Finishing => None,
        }?;
        self.running.then_some(stop)
    }

    /// Whether it happened in an environment that was replaced from here: what stopped or ended there says nothing of the present one. That
    /// this begins is known already; another guest never says so.
    fn is_of_before(&mut self, event: &HubEvent) -> bool {
        match event {
            HubEvent::AnotherGuest => self.own_environments = 0,
            HubEvent::Guest(event) if self.own_environments > 0 => {
                self.own_environments -=
                    usize::from(matches!(event, Event::Restored(_) | Event::Restarted(_)));
                return true;
            }
            _ => {}
        }
        false
    }

    /// The hub tells everybody of every change, also who made it. Which is whose does not matter: one that is left over
    /// is somebody else's.
    fn changed(&mut self) {
        match self.own_changes.checked_sub(1) {
            Some(rest) => self.own_changes = rest,
            None if self.running => {}
            None => {
                self.forget();
                self.knowledge = self.knowledge.max(Knowledge::Doubtful);
            }
        }
    }

    /// After a restore or restart everything is held by the user; the debugger stops too, to see the new state.
    fn replaced(&mut self, how: &str) -> Option<Stop> {
        self.begin_anew();
        if !self.running {
            self.stop_world();
            return None;
        }
        // It is about to be told.
        self.knowledge = Knowledge::Good;
        self.console.push(format!("flob: {how}: stopped at the new state"));
        Some(Stop::signal(self.some_thread(), Signal::SIGSTOP))
    }

    fn exited(&mut self, code: i32) -> Option<Stop> {
        self.exit = Some(code);
        let stop = Stop { thread: None, kind: StopKind::Exited(code) };
        self.last = stop;
        Some(stop)
    }

    fn died(&mut self, thread: Place, code: u32) -> Option<Stop> {
        self.forget();
        let what = ExceptionCode::from_number(code).map_or("an exception", ExceptionCode::text);
        let ours = self.threads().unwrap_or_default().contains(&thread);
        let stop = if ours {
            self.console.push(format!("flob: nobody handled this: {what}"));
            Stop::signal(Some(thread), signal_of(code))
        } else {
            let name = self.why(false).map(|why| why.names.flob(thread)).unwrap_or_default();
            self.console.push(format!("flob: {name} of another space died: {what}; all is stopped"));
            Stop::signal(self.some_thread(), Signal::SIGSTOP)
        };
        self.last = stop;
        Some(stop)
    }

    fn stopped(&mut self, thread: Place, reason: &StopReason, state: &[u8]) -> Option<Stop> {
        let Some(State::Thread(state)) = State::from_bytes(FlobKind::Thread, state) else { return None };
        if *reason != StopReason::Step && std::mem::take(&mut self.stops_whole) {
            self.whole = true;
        }
        if !self.running {
            let kind = match reason {
                StopReason::Breakpoint | StopReason::Condition { .. } => Some(StopKind::Breakpoint),
                StopReason::Watched(hits) => Some(self.watched(hits)),
                StopReason::Call(number) => Some(StopKind::Call(*number)),
                StopReason::Step | StopReason::Debug(_) => None,
            };
            self.untold.extend(kind.map(|kind| (thread, state.registers.rip, kind)));
            self.forget();
            return None;
        }
        match reason {
            StopReason::Breakpoint | StopReason::Condition { .. } => self.stop_at(thread, state),
            StopReason::Step => self.stepped(thread, state),
            StopReason::Watched(hits) => {
                let kind = self.watched(hits);
                self.tell(thread, state, kind)
            }
            StopReason::Call(number) => self.tell(thread, state, StopKind::Call(*number)),
            StopReason::Debug(_) => self.tell(thread, state, StopKind::Signal(Signal::SIGTRAP)),
        }
    }

    /// A breakpoint that is not ours is somebody else's, who holds the thread now: the debugger stops as well. One that is
    /// out for the moment, while another thread steps off it, is hit as well.
    fn stop_at(&mut self, thread: Place, state: ThreadState) -> Option<Stop> {
        let rip = state.registers.rip;
        let ours = self.breakpoints.contains(&rip) || self.idle_breakpoints.contains(&rip);
        let kind = if ours { StopKind::Breakpoint } else { StopKind::Signal(Signal::SIGTRAP) };
        self.tell(thread, state, kind)
    }

    /// The first of our own among what was touched; a plain trap if all is somebody else's.
    fn watched(&self, hits: &[Hit]) -> StopKind {
        let covers = |watch: &&Watch| hits.iter().any(|hit| watch.is_hit(*hit));
        let all = self.watches.iter().chain(&self.idle_watches);
        match all.into_iter().find(|(watch, _)| covers(watch)) {
            Some((watch, _)) if watch.access == Access::Execute => StopKind::HardwareBreakpoint,
            Some((watch, kind)) => StopKind::Watch(*kind, watch.address),
            None => StopKind::Signal(Signal::SIGTRAP),
        }
    }

    /// A step within a range goes on by itself until it leaves the range or meets a breakpoint.
    fn stepped(&mut self, thread: Place, state: ThreadState) -> Option<Stop> {
        let rip = state.registers.rip;
        match self.plan.actions.get(&thread) {
            Some(Action::StepWithin(start, end))
                if (*start..*end).contains(&rip) && !self.breakpoints.contains(&rip) =>
            {
                match self.guest.step(thread, Some((*start, *end))) {
                    Ok(()) => None,
                    Err(error) => {
                        self.console.push(format!("flob: cannot step on: {error}"));
                        self.tell(thread, state, StopKind::Signal(Signal::SIGTRAP))
                    }
                }
            }
            Some(Action::Step | Action::StepWithin(..)) => {
                self.tell(thread, state, StopKind::Signal(Signal::SIGTRAP))
            }
            // Somebody else's step.
            Some(Action::Continue) | None => None,
        }
    }

    fn tell(&mut self, thread: Place, state: ThreadState, kind: StopKind) -> Option<Stop> {
        self.forget();
        self.learn(thread, state);
        Some(Stop { thread: Some(thread), kind })
    }

    /// Which call a thread is about to make: gdb has no words for it.
    pub(crate) fn name_call(&mut self, stop: Stop) {
        let (StopKind::Call(number), Some(thread)) = (stop.kind, stop.thread) else { return };
        let name = self.why(false).map(|why| why.names.short(thread)).unwrap_or_default();
        self.console.push(format!("flob: {name} is about to call {}", flob_abi::call_name(number)));
    }

    fn some_thread(&mut self) -> Option<Place> {
        let threads = self.threads().unwrap_or_default();
        self.last.thread.filter(|thread| threads.contains(thread)).or(threads.first().copied())
    }

    /// What a thread does or waits for, for lists of threads.
    pub fn activity(&mut self, thread: Place) -> String {
        match self.why(false) {
            Ok(why) => names::activity(&why, thread),
            Err(error) => error.to_string(),
        }
    }
}
