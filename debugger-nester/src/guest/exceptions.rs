//! Keeper and debug port of the child. A debug exception is taken over: the thread is stopped, the exception cleared,
//! the host told. An exception that the program did not handle itself stops everything.

use alloc::vec::Vec;

use flob_abi::{
    ExceptionCode, ExceptionMessage, ExceptionReply, Status, exception::reply_action, ipc::Flavour,
};
use flob_image::Place;
use flob_link::{Event, StopReason};
use flob_runtime::{
    flob::{FlobAt, Reference},
    ipc::{Answer, Request, Server},
};
use zerocopy::FromBytes;

use super::adjustment::Adjustment;
use super::catch;
use super::conditions;
use super::page_watch;
use super::search;
use super::state::{Nester, State};
use super::step::{self, Obstacle, Purpose};
use super::threads::{Seen, seize_located, stop_everything, translator, was_stopped};
use super::torture;
use super::watch::{self, Meaning};

/// Asked about what the program does not handle.
pub const KEEPER: &str = flob_image::tags::KEEPER;
/// Asked about debug exceptions.
pub const DEBUG: &str = flob_image::tags::DEBUG;
/// Both, by alias.
pub const NAMES: &[&str] = &[KEEPER, DEBUG];

/// What becomes of an exception.
pub enum Verdict {
    /// It is over, and the thread goes on.
    Over,
    /// The thread was stopped, or nothing is to be answered.
    Taken,
}

/// The exceptions thread.
pub fn serve(nester: &Nester) {
    let Ok(mut server) = Server::new(nester.faults.set()) else { return };
    let mut answer = Answer::None;
    loop {
        let (request, _) = server.next(answer);
        answer = handle(nester, &request);
    }
}

fn handle(nester: &Nester, request: &Request<'_>) -> Answer<'static> {
    let message = ExceptionMessage::read_from_prefix(request.bytes);
    let (Ok((message, _)), Some(thread)) = (message, request.references.first()) else { return Answer::None };
    if request.incoming.flavour != Flavour::Idempotent {
        return Answer::None;
    }
    let over =
        Answer::Exception(ExceptionReply { number: message.number, action: reply_action::RETRY, access: 0 });
    let mut state = nester.lock();
    match search::step_came(nester, &mut state, &message, thread.at()) {
        Some(Verdict::Over) => return over,
        Some(Verdict::Taken) => return Answer::None,
        None => {}
    }
    if let Some(Verdict::Over) = torture::step_came(nester, &mut state, &message, thread.at()) {
        return over;
    }
    match judge(nester, &mut state, &message, thread.at()) {
        Ok(Verdict::Taken) => Answer::None,
        // What cannot be found out cannot be stopped either: let it try again.
        Ok(Verdict::Over) | Err(_) => over,
    }
}

fn judge(
    nester: &Nester,
    state: &mut State,
    message: &ExceptionMessage,
    thread: FlobAt<Reference>,
) -> Result<Verdict, Status> {
    let Ok(place) = thread.locate(state.environment.region()) else { return Ok(Verdict::Over) };
    let Some(seen) = seize_located(state, thread, place)? else { return Ok(Verdict::Over) };
    let exception = seen.state.exception;
    if was_stopped(&seen) || exception.code != message.code || exception.number != message.number {
        // Somebody stopped it meanwhile, or this is an old one: it asks again when it runs.
        if !was_stopped(&seen) {
            flob_checkpointer::resume(&state.environment, place)?;
        }
        return Ok(Verdict::Taken);
    }
    match ExceptionCode::from_number(exception.code) {
        Some(ExceptionCode::Breakpoint) => breakpoint(nester, state, place, &seen),
        Some(ExceptionCode::Debug) => debug(nester, state, place, &seen),
        Some(ExceptionCode::ReflectedCall) => match seen.space.filter(|space| state.catching.is_on(*space)) {
            Some(space) => catch::reflected(nester, state, place, space, &seen),
            None => died(nester, state, place, &seen),
        },
        _ => died(nester, state, place, &seen),
    }?;
    Ok(Verdict::Taken)
}

fn breakpoint(nester: &Nester, state: &mut State, place: Place, seen: &Seen) -> Result<(), Status> {
    let rip = seen.state.registers.rip;
    let space = seen.space.unwrap_or(u64::MAX);
    let thread = Adjustment::of(place, &seen.state).without_exception();
    if state.stepping.purpose(place).is_none() && state.breakpoints.always_stops((space, rip)) {
        // Who asked for a stop here is told of one, and no mapping need be looked at.
        thread.apply(&state.environment)?;
        step::report(nester, state, place, seen, StopReason::Breakpoint);
        return Ok(());
    }
    let translator = translator(nester, state)?;
    let at = translator.place(space, rip);
    let ours = at.filter(|at| state.breakpoints.original(*at).is_some());
    let Some(at) = ours else { return programs_own(nester, state, thread, seen) };
    if let Some(purpose) = state.stepping.purpose(place) {
        // A call that blocked while it was stepped comes back to its instruction.
        return step::begin_at(state, thread, purpose, Some(Obstacle::Breakpoint(at)));
    }
    if let Some(reason) = conditions::judge(state, &translator, (place, at), (space, rip), seen) {
        thread.apply(&state.environment)?;
        step::report(nester, state, place, seen, reason);
        return Ok(());
    }
    step::begin_at(state, thread, Purpose::Continue, Some(Obstacle::Breakpoint(at)))
}

/// The program's own `int3` (or one of ours that was taken out a moment ago: then the instruction is run again).
fn programs_own(
    nester: &Nester,
    state: &mut State,
    thread: Adjustment<'_>,
    seen: &Seen,
) -> Result<(), Status> {
    let place = thread.place();
    let rip = seen.state.registers.rip;
    let mut byte = [0];
    let at = translator(nester, state)?.place(seen.space.unwrap_or(u64::MAX), rip);
    let is_there = at.is_some_and(|at| state.environment.memory().read(at, &mut byte));
    if !is_there || byte != [crate::breakpoints::INT3] {
        return thread.run().apply(&state.environment);
    }
    // As the hardware has it: the thread stands behind the instruction.
    let thread = thread.move_to(rip.wrapping_add(1));
    thread.apply(&state.environment)?;
    let moved = Seen { state: thread.head(), space: seen.space };
    step::forget(state, place);
    step::report(nester, state, place, &moved, StopReason::Debug(0));
    Ok(())
}

fn debug(nester: &Nester, state: &mut State, place: Place, seen: &Seen) -> Result<(), Status> {
    let detail = seen.state.exception.detail;
    let thread = Adjustment::of(place, &seen.state).without_exception();
    let is_step = detail & step::SINGLE_STEP != 0 && state.stepping.purpose(place).is_some();
    let mut hits = match watch::judge(state, place, seen)? {
        Meaning::Stale if !is_step => return thread.run().apply(&state.environment),
        Meaning::Hits(hits) => hits,
        Meaning::Stale | Meaning::NotOurs => Vec::new(),
    };
    if is_step {
        thread.trap(false).apply(&state.environment)?;
        hits.extend(page_watch::outcome(state, place));
        return step::ended(nester, state, place, seen, StopReason::watched(hits));
    }
    if hits.is_empty() && step::may_be_left_over(state, seen.state.exception.code, detail) {
        return thread.trap(false).run().apply(&state.environment);
    }
    thread.apply(&state.environment)?;
    step::forget(state, place);
    let reason = StopReason::watched(hits).unwrap_or(StopReason::Debug(detail));
    step::report(nester, state, place, seen, reason);
    Ok(())
}

/// Nobody handles it: everything stops, the exception stays to be looked at.
fn died(nester: &Nester, state: &mut State, place: Place, seen: &Seen) -> Result<(), Status> {
    search::give_up(state);
    step::forget(state, place);
    let events = state.events.next_number() + 1;
    stop_everything(state, events);
    state.held.add(place, events);
    let exception = &seen.state.exception;
    let event = Event::Died {
        thread: place,
        code: exception.code,
        detail: exception.detail,
        address: exception.address,
    };
    state.tell(nester, event);
    Ok(())
}
