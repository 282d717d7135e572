//! Single steps, and steps off a breakpoint: the program's own byte comes back, that thread alone runs one instruction,
//! the breakpoint is put back, the others go on. If the instruction is a call that blocks, the watcher tells, and the
//! others go on without waiting for it.

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec,
    vec::Vec,
};

use crate::breakpoints::INT3;
use flob_abi::{Status, ThreadHead};
use flob_checkpointer::release;
use flob_image::Place;
use flob_link::{Event, Scope, StopReason};
use flob_runtime::{
    flob::{Links, Thread},
    nester::Environment,
};
use zerocopy::IntoBytes;

use super::adjustment::{Adjustment, RESUME_FLAG, TRAP_FLAG};
use super::catch;
use super::page_watch;
use super::state::{Nester, State};
use super::threads::{self, Seen, look, seize, space_of, stop_all, translator};
use super::trace;
use super::watch;
use super::watcher;

/// DR6.BS: a single step is done.
pub const SINGLE_STEP: u32 = 1 << 14;

/// Whether an exception, by its code and detail, is the end of a single step and nothing else. (Some bits of DR6 always
/// read as one.)
pub const fn is_only_step(code: u32, detail: u32) -> bool {
    code == flob_abi::ExceptionCode::Debug as u32 && detail & SINGLE_STEP != 0 && detail & watch::WATCHED == 0
}

/// Whether a step that nobody asked for may be of an earlier one: a program that got a thread's state while that was stepped, and
/// sets it later, brings the mark back.
pub fn may_be_left_over(state: &State, code: u32, detail: u32) -> bool {
    state.has_stepped && is_only_step(code, detail)
}

/// What a step is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The host asked for it: the thread is held afterwards, and the host is told; unless it is still between these addresses.
    Report(Option<(u64, u64)>),
    /// To get off a breakpoint: the thread runs on.
    Continue,
}

/// What a thread cannot step over while it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The breakpoint at this place in memory.
    Breakpoint(Place),
    /// A page of the environment that is watched.
    Page(u64),
    /// The reflection of a space's calls.
    Calls {
        space: Place,
        /// The call that the thread is about to make.
        call: u64,
        /// Where.
        rip: u64,
    },
}

/// A step over an obstacle, which is taken away for it: all other threads are paused.
struct Job {
    thread: Place,
    obstacle: Obstacle,
    paused: Vec<Place>,
    /// Watched pages that are open meanwhile.
    opened: Vec<u64>,
}

/// The steps under way.
#[derive(Default)]
pub struct Stepping {
    steps: BTreeMap<Place, Purpose>,
    job: Option<Job>,
    /// Steps that wait until the job is done.
    queue: VecDeque<(Place, Purpose)>,
}

impl Stepping {
    /// Why this thread is being stepped, if it is.
    pub fn purpose(&self, place: Place) -> Option<Purpose> {
        self.steps.get(&place).copied()
    }
}

/// Sets or clears TF of a thread, which is stopped.
pub fn set_trap(environment: &Environment, place: Place, on: bool) -> Result<(), Status> {
    let head = environment.flob::<Thread>(place).head(&Links::NONE)?;
    Adjustment::of(place, &head).trap(on).apply(environment)
}

/// Where the breakpoint is that a thread stands at, if it does. The thread must be stopped. A look at all mappings is spared where
/// the breakpoint was asked for in this very space: should it lie elsewhere by now, it is taken away for a step that does not
/// need it, and one that is in the way is met by the step (see `exceptions::breakpoint`).
fn breakpoint_at(
    nester: &Nester,
    state: &State,
    place: Place,
    head: &ThreadHead,
) -> Result<Option<Place>, Status> {
    let rip = head.registers.rip;
    if !state.breakpoints.is_any_at(rip) {
        return Ok(None);
    }
    let Some(space) = space_of(state, place)? else { return Ok(None) };
    if let Some(place) = state.breakpoints.place((space, rip)) {
        return Ok(Some(place));
    }
    let place = translator(nester, state)?.place(space, rip);
    Ok(place.filter(|place| state.breakpoints.original(*place).is_some()))
}

/// What a stopped thread stands at, and can only step over.
pub fn obstacle_at(
    nester: &Nester,
    state: &State,
    place: Place,
    head: &ThreadHead,
) -> Result<Option<Obstacle>, Status> {
    match breakpoint_at(nester, state, place, head)? {
        Some(breakpoint) => Ok(Some(Obstacle::Breakpoint(breakpoint))),
        None => catch::standing_at(state, place, head),
    }
}

/// Steps a stopped thread.
pub fn begin(nester: &Nester, state: &mut State, place: Place, purpose: Purpose) -> Result<(), Status> {
    let Some(head) = look(&state.environment, place)? else { return Ok(()) };
    let obstacle = obstacle_at(nester, state, place, &head)?;
    begin_at(state, Adjustment::of(place, &head), purpose, obstacle)
}

/// Steps a stopped thread that stands at this, or at nothing.
pub fn begin_at(
    state: &mut State,
    thread: Adjustment<'_>,
    purpose: Purpose,
    obstacle: Option<Obstacle>,
) -> Result<(), Status> {
    let place = thread.place();
    if state.stepping.job.is_some() {
        if let Some(Obstacle::Calls { rip, .. }) = obstacle {
            catch::stays(state, place, rip);
        }
        state.stepping.queue.push_back((place, purpose));
        return thread.apply(&state.environment);
    }
    if let Some(obstacle) = obstacle {
        let paused = stop_all(&state.environment)?;
        take_away(state, obstacle);
        if let Obstacle::Calls { call, rip, .. } = obstacle {
            state.catching.passes(place, call, rip);
        }
        let opened = if let Obstacle::Page(page) = obstacle { vec![page] } else { Vec::new() };
        state.stepping.job = Some(Job { thread: place, obstacle, paused, opened });
        watcher::look_again(state);
    }
    state.has_stepped = true;
    state.stepping.steps.insert(place, purpose);
    let thread = watch::disarm(state, watch::pass(state, thread));
    thread.trap(true).run().apply(&state.environment)
}

/// The thread has been stopped behind its step (or for another reason that ends it); its exception is taken over, and TF. The
/// step may have hit something, too: then that is told.
pub fn ended(
    nester: &Nester,
    state: &mut State,
    place: Place,
    seen: &Seen,
    hit: Option<StopReason>,
) -> Result<(), Status> {
    let purpose = state.stepping.steps.remove(&place);
    trace::step_ended(nester, state, place, &seen.state);
    catch::call_is_over(state, place)?;
    watch::rearm(state, place, seen)?;
    let is_job = state.stepping.job.as_ref().is_some_and(|job| job.thread == place);
    match (purpose, hit) {
        (_, Some(hit)) => report(nester, state, place, seen, hit),
        (Some(purpose @ Purpose::Report(within)), None) if goes_on(state, within, seen) => {
            if is_job {
                end_job(nester, state)?;
            }
            return begin(nester, state, place, purpose);
        }
        (Some(Purpose::Report(_)), None) => report(nester, state, place, seen, StopReason::Step),
        (Some(Purpose::Continue), None) if is_job => {
            if let Some(job) = &mut state.stepping.job {
                job.paused.push(place);
            }
        }
        (Some(Purpose::Continue), None) => {
            Adjustment::of(place, &seen.state).trap(false).run().apply(&state.environment)?
        }
        (None, None) => {}
    }
    if is_job { end_job(nester, state) } else { Ok(()) }
}

/// Whether a step that has ended here is followed by another.
fn goes_on(state: &State, within: Option<(u64, u64)>, seen: &Seen) -> bool {
    let rip = seen.state.registers.rip;
    within.is_some_and(|(start, end)| (start..end).contains(&rip)) && !state.breakpoints.is_any_at(rip)
}

/// Holds a thread (if its space was to go on until then: all of that) and tells the host why.
pub fn report(nester: &Nester, state: &mut State, place: Place, seen: &Seen, reason: StopReason) {
    let events = state.events.next_number() + 1;
    state.held.add(place, events);
    let together = seen.space.filter(|space| reason != StopReason::Step && state.until_stop.remove(space));
    let whole = together.is_some_and(|space| threads::stop(state, Scope::Space(space), events).is_ok());
    let mut own = seen.state;
    own.registers.rflags &= !(TRAP_FLAG | RESUME_FLAG);
    own.exception.code = 0;
    if state.stepping.job.is_none() {
        // While somebody is held, standing still is no news.
        state.own.watcher.rest();
    }
    let event = Event::Stopped {
        thread: place,
        space: seen.space.unwrap_or(u64::MAX),
        reason,
        state: own.as_bytes().to_vec(),
        whole,
    };
    state.tell(nester, event);
}

fn take_away(state: &State, obstacle: Obstacle) {
    match obstacle {
        Obstacle::Breakpoint(place) => {
            if let Some(byte) = state.breakpoints.original(place) {
                let _ = state.environment.memory().write(place, &[byte]);
            }
        }
        // A space that is gone reflects nothing.
        Obstacle::Calls { space, .. } => {
            let _ = catch::reflect(&state.environment, space, false);
        }
        // It is opened when it is accessed.
        Obstacle::Page(_) => {}
    }
}

/// Unless nobody wants it any more.
fn put_back(state: &State, obstacle: Obstacle) {
    match obstacle {
        Obstacle::Breakpoint(place) => {
            if state.breakpoints.original(place).is_some() {
                let _ = state.environment.memory().write(place, &[INT3]);
            }
        }
        Obstacle::Calls { space, .. } => {
            if state.catching.is_on(space) {
                let _ = catch::reflect(&state.environment, space, true);
            }
        }
        Obstacle::Page(_) => {}
    }
}

/// Puts the job's obstacle back and returns whom it had paused.
pub fn cancel_job(state: &mut State) -> Vec<Place> {
    let Some(job) = state.stepping.job.take() else { return Vec::new() };
    put_back(state, job.obstacle);
    if !job.opened.is_empty() {
        page_watch::renew(state);
    }
    state.own.watcher.rest();
    let mut paused = job.paused;
    // Whoever waits for its step stands at its breakpoint still.
    paused.extend(state.stepping.queue.drain(..).map(|(place, _)| place));
    paused
}

/// Whether a step is under way, for which all others stand.
pub const fn is_under_way(state: &State) -> bool {
    state.stepping.job.is_some()
}

/// Ends the job: the others go on, and the next step begins.
pub fn end_job(nester: &Nester, state: &mut State) -> Result<(), Status> {
    let queue: Vec<_> = state.stepping.queue.drain(..).collect();
    let paused = cancel_job(state);
    release(&state.environment, &paused)?;
    watcher::look_again(state);
    queue.into_iter().try_for_each(|(place, purpose)| begin(nester, state, place, purpose))
}

/// Opens a watched page for a thread that is stepped alone; `false` if this one is not.
pub fn open(state: &mut State, place: Place, page: u64) -> bool {
    let job = state.stepping.job.as_mut().filter(|job| job.thread == place);
    job.map(|job| job.opened.push(page)).is_some()
}

/// Whether a watched page is open for this thread, which is stepped alone.
pub fn has_opened(state: &State, place: Place, page: u64) -> bool {
    state.stepping.job.as_ref().is_some_and(|job| job.thread == place && job.opened.contains(&page))
}

/// Lets a stopped thread make its call, with all others, and asks for its end.
pub fn along(state: &mut State, thread: Adjustment<'_>) -> Result<(), Status> {
    state.has_stepped = true;
    state.stepping.steps.entry(thread.place()).or_insert(Purpose::Continue);
    watch::disarm(state, thread).trap(true).run().apply(&state.environment)
}

/// Nothing of the child runs: a step at a breakpoint has come to a call that blocks, or to an end that is under way.
pub fn child_is_idle(nester: &Nester, state: &mut State) -> Result<(), Status> {
    page_watch::child_is_idle(state);
    if state.stepping.job.is_some() { end_job(nester, state) } else { Ok(()) }
}

/// Threads that would be let go while a job is on wait for its end: `true` if so.
pub fn pause_instead(state: &mut State, threads: &[(Place, ThreadHead)]) -> bool {
    let Some(job) = &mut state.stepping.job else { return false };
    job.paused.extend(threads.iter().map(|(place, _)| *place));
    true
}

/// Whether any step is under way.
pub fn is_on(state: &State) -> bool {
    state.stepping.job.is_some() || !state.stepping.steps.is_empty()
}

/// Whether the thread is stopped only for the duration of the job.
pub fn is_paused(state: &State, place: Place) -> bool {
    paused(state).any(|paused| paused == place)
}

/// The threads that are stopped only for the duration of the job.
pub fn paused(state: &State) -> impl Iterator<Item = Place> {
    let job = state.stepping.job.iter().flat_map(|job| &job.paused);
    job.chain(state.stepping.queue.iter().map(|(queued, _)| queued)).copied()
}

/// The job does not let this thread go at its end.
pub fn unpause(state: &mut State, place: Place) {
    if let Some(job) = &mut state.stepping.job {
        job.paused.retain(|paused| *paused != place);
    }
    state.stepping.queue.retain(|(queued, _)| *queued != place);
}

/// A thread was stopped in the middle of its step: there is no step any more.
pub fn forget(state: &mut State, place: Place) {
    if state.stepping.steps.remove(&place).is_none() {
        return;
    }
    page_watch::forget(state, place);
    let _ = catch::interrupted(state, place);
    let _ = clean(&state.environment, place);
    if let Ok(Some(seen)) = seize(state, place) {
        let _ = watch::rearm(state, place, &seen);
    }
    if state.stepping.job.as_ref().is_some_and(|job| job.thread == place) {
        let paused = cancel_job(state);
        let _ = release(&state.environment, &paused);
    }
}

/// Takes the marks of a step off a stopped thread: TF, and the exception that ends a step.
pub fn clean(environment: &Environment, place: Place) -> Result<(), Status> {
    let Some(head) = look(environment, place)? else { return Ok(()) };
    let thread = Adjustment::of(place, &head).trap(false);
    let is_step = is_only_step(head.exception.code, head.exception.detail);
    if is_step { thread.without_exception() } else { thread }.apply(environment)
}

/// The threads that are being stepped.
pub fn stepped(state: &State) -> Vec<Place> {
    state.stepping.steps.keys().copied().collect()
}

/// Forgets all steps: the environment they belong to is gone.
pub fn forget_all(state: &mut State) {
    state.own.watcher.rest();
    state.stepping = Stepping::default();
}
