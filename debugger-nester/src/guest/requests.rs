//! What the host asks: from a datagram to the function that does it, and back.

use flob_abi::state::group;
use flob_link::{
    Event, FailureKind, FromGuest, Progress, Reply, Request, ToGuest, VERSION, answers::Verdict,
};
use flob_runtime::service::clock;

use super::failure::{Outcome, failure, refused};
use super::saver::{Order, Question};
use super::state::{Bulk, Nester, Outgoing, State};
use super::step::{self, Purpose};
use super::{
    catch, detach, lazy, memory, record, restart, restore, save, sending, services, set, survey, threads,
    trace, watch,
};

/// Most replies that wait to be sent; the host repeats what it misses.
const MAX_OUTBOX: usize = 64;

/// What is to be done once a datagram was handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// What is to be sent may go.
    Send,
    /// So it may when the child has run.
    ChildRuns,
}

/// Handles a datagram. One that is no message is counted and dropped.
pub fn handle(nester: &Nester, state: &mut State, message: &[u8], bulk: &[u8]) -> Then {
    let Ok(ToGuest { epoch, number, request }) = postcard::from_bytes(message) else {
        state.garbled += 1;
        return Then::Send;
    };
    if !is_greeted(state, epoch, &request) {
        return Then::Send;
    }
    match (state.replies.judge(epoch, number), request) {
        (Verdict::Repeat(reply), _) => {
            let reply = reply.clone();
            queue(state, reply);
        }
        (Verdict::Stale, _) => {}
        // It is being done.
        (Verdict::New, _) if state.ordered == Some((epoch, number)) => {}
        (Verdict::New, Request::SaveBegin { when, since }) => {
            state.ordered = Some((epoch, number));
            nester.tray.order(Order { question: (epoch, number), when, since });
        }
        (Verdict::New, request) => {
            let bulk_of_reply = match &request {
                Request::SavePages { runs } => Bulk::Pages(runs.clone()),
                Request::Blank { pages } => Bulk::Blank(*pages),
                _ => Bulk::None,
            };
            let lets_go =
                matches!(request, Request::Step { .. } | Request::Resume { .. } | Request::Continue { .. });
            let result = answer(nester, state, request, bulk);
            let bulk = if matches!(result, Ok(Reply::Pages(_))) { bulk_of_reply } else { Bulk::None };
            reply_with(state, (epoch, number), result, bulk);
            if lets_go {
                return Then::ChildRuns;
            }
        }
    }
    Then::Send
}

/// Whether a request may be carried out here: one of a host that has not said hello to this guest was meant for another guest, which
/// ran before this one. How things are it may ask, and learns that.
fn is_greeted(state: &mut State, epoch: u32, request: &Request) -> bool {
    if matches!(request, Request::Hello { .. }) {
        state.greeted = Some(epoch);
    }
    state.greeted == Some(epoch) || matches!(request, Request::Sync { .. })
}

/// Answers a save.
pub fn reply(nester: &Nester, state: &mut State, question: Question, result: Outcome<Reply>) {
    state.ordered.take_if(|ordered| *ordered == question);
    reply_with(state, question, result, Bulk::None);
    state.post(nester);
}

fn reply_with(state: &mut State, (epoch, number): Question, result: Outcome<Reply>, bulk: Bulk) {
    let Ok(message) = postcard::to_allocvec(&FromGuest::<Event>::Reply { epoch, number, result }) else {
        return;
    };
    let reply = Outgoing { message, bulk };
    state.replies.keep((epoch, number), reply.clone());
    queue(state, reply);
}

fn queue(state: &mut State, reply: Outgoing) {
    if state.outbox.len() < MAX_OUTBOX {
        state.outbox.push_back(reply);
    }
}

fn answer(nester: &Nester, state: &mut State, request: Request, bulk: &[u8]) -> Outcome<Reply> {
    match request {
        Request::Hello { .. } => Ok(hello(state)),
        Request::Sync { events_from } => Ok(sync(nester, state, events_from)),
        Request::Look { vectors } => look(nester, state, vectors),
        Request::Chunk { answer, index } => chunk(state, answer, index),
        Request::Forget { answer } => {
            state.long_answers.forget(answer);
            Ok(Reply::Done)
        }
        Request::Read { memory, address, count } => memory::read(nester, state, memory, address, count),
        Request::Write { memory, address, bytes } => memory::write(nester, state, memory, address, &bytes),
        Request::Set { place, hash, change } => set::set(nester, state, place, hash, &change),
        Request::Stop(scope) => threads::stop(state, scope, 0).map(Reply::Threads),
        Request::Resume { scope, unseen } => {
            threads::resume(nester, state, scope, unseen).map(Reply::Threads)
        }
        Request::Continue { space, unseen } => {
            threads::go_on(nester, state, space, unseen).map(Reply::Threads)
        }
        Request::Step { thread, unseen, within } => step(nester, state, (thread, unseen), within),
        Request::Detach => detach::detach(nester, state),
        Request::Restart { command } => restart::restart(nester, state, command),
        Request::SetBreakpoint { space, address, conditions } => {
            memory::set_breakpoint(nester, state, (space, address), conditions)
        }
        Request::ClearBreakpoint { space, address } => memory::clear_breakpoint(state, space, address),
        Request::SetWatch(watch) => watch::set(nester, state, watch),
        Request::ClearWatch(watch) => watch::clear(nester, state, watch),
        Request::CatchCalls { space, calls } => catch::set(state, space, calls),
        Request::SetTrace(tracing) => trace::set(nester, state, tracing),
        Request::Trace { from } => Ok(trace::read(state, from)),
        // The saver's.
        Request::SaveBegin { .. } => Err(failure(FailureKind::State, "another save is on")),
        Request::RoundBegin { since } => save::begin_round(nester, state, since),
        Request::SaveSurvey { from } => survey::survey(state, from),
        Request::SavePages { runs } => sending::pages(state, &runs),
        Request::SaveHashes { runs } => sending::hashes(state, &runs),
        Request::Blank { pages } => sending::blank(state, pages),
        Request::StopTime => Ok(Reply::Nanoseconds(state.stop_time)),
        Request::RestoreTime => Ok(Reply::Nanoseconds(save::nanoseconds(state.began, state.restore_ticks))),
        Request::SaveEnd => save::end(nester, state),
        Request::RestoreBegin { record, size, is_lazy } => {
            restore::begin(nester, state, (record, size), is_lazy)
        }
        Request::RestoreRecordSize { record } => restore::resize_record(state, record),
        Request::RestoreRecord { offset, bytes } => restore::take_record(state, offset, &bytes),
        Request::RestorePacked { runs, packed } => restore::packed(state, &runs, &packed),
        Request::RestorePages { runs, .. } => restore::pages(state, &runs, bulk),
        Request::RestoreCommit { force } => restore::commit(nester, state, force),
        Request::Supply { environment, runs, .. } => lazy::supply(nester, state, (environment, &runs), bulk),
        Request::SupplyPacked { environment, runs, packed } => {
            lazy::supply_packed(nester, state, (environment, &runs), &packed)
        }
        Request::SupplyZero { environment, runs } => lazy::supply_zero(nester, state, environment, &runs),
        Request::RestoreAbandon => restore::abandon(state),
        Request::Input { position, bytes } => input(nester, state, position, &bytes),
        Request::Shutdown => {
            state.ending = true;
            Ok(Reply::Done)
        }
    }
}

fn hello(state: &State) -> Reply {
    Reply::Hello {
        version: VERSION,
        size: state.environment.size(),
        program: state.program.name.clone(),
        boot: state.boot,
        first_event: state.events.first_number(),
        capacity: state.capacity,
    }
}

fn sync(nester: &Nester, state: &mut State, events_from: u64) -> Reply {
    if state.events.sync(events_from) {
        services::retry_parked(nester, state);
    }
    let (input_from, input_to) = state.input.wanted();
    Reply::Sync(Progress {
        boot: state.boot,
        next_event: state.events.next_number(),
        input_from,
        input_to,
        input_wanted: services::is_input_wanted(state),
        garbled: state.garbled,
        stopped: state.held.len() as u32,
        environment: state.replaced,
        missing: lazy::missing(state),
        exit: state.exit,
        looks: state.looks.count,
        looking: save::nanoseconds(state.began, state.looks.ticks),
        time: clock::now().unwrap_or(0).saturating_sub(state.began.0),
    })
}

fn look(nester: &Nester, state: &mut State, vectors: bool) -> Outcome<Reply> {
    let groups = if vectors { group::ALL } else { threads::HEAD };
    let from = clock::ticks();
    let record = record::bytes(nester, state, groups, record::View::Live);
    state.looks.count += 1;
    state.looks.ticks += clock::ticks().wrapping_sub(from);
    let record = record?;
    let (answer, size) = record::kept(state, record);
    Ok(Reply::Long { answer, size })
}

fn chunk(state: &State, answer: u32, index: u32) -> Outcome<Reply> {
    let chunk = state.long_answers.chunk(answer, index);
    let chunk =
        chunk.ok_or_else(|| failure(FailureKind::NotFound, "there is no such part of a long answer"))?;
    Ok(Reply::Bytes(chunk.to_vec()))
}

fn step(
    nester: &Nester,
    state: &mut State,
    (thread, unseen): (u64, u64),
    within: Option<(u64, u64)>,
) -> Outcome<Reply> {
    if state.save.is_some() || state.exit.is_some() {
        return Err(failure(FailureKind::State, "nothing can be stepped now"));
    }
    if !state.held.take(thread, unseen) {
        let is_news = state.held.contains(thread);
        let text =
            if is_news { "the thread has just stopped" } else { "the thread is not stopped by the debugger" };
        return Err(failure(FailureKind::State, text));
    }
    step::begin(nester, state, thread, Purpose::Report(within)).map_err(refused)?;
    Ok(Reply::Done)
}

fn input(nester: &Nester, state: &mut State, position: u64, bytes: &[u8]) -> Outcome<Reply> {
    if !state.input.supply(position, bytes) {
        return Err(failure(FailureKind::State, "input is missing before this"));
    }
    services::retry_parked(nester, state);
    Ok(Reply::Done)
}
