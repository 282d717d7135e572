//! Delivering answers to requests that were parked, and sleeping on behalf of those that asked for it.

use flob_runtime::{
    flob::{OwnedReference, current},
    ipc::ROOM,
    nester::ChildMemory,
    service::clock,
};

use super::search;
use super::services;
use super::state::{Nester, ParkedCall, ReadyAnswer, State};

/// The answerer's thread: one answer after the other.
pub fn deliver(nester: &Nester) {
    loop {
        let waiting =
            nester.deliver.wait_until(nester.lock(), |state| !state.ready.is_empty() && state.save.is_none());
        let mut state = waiting;
        let Some(answer) = state.ready.pop_front() else { continue };
        let joined = join(&state, &answer);
        let found = answer.found.and_then(|name| nester.desk.reference(name));
        let connection = answer.call.connection.again();
        let bytes = answer.rest().to_vec();
        state.delivering = Some(answer);
        drop(state);
        if let (Some(is_begun), Ok(connection)) = (joined, connection) {
            // A client that is gone, or goes away now, needs no answer.
            let _ = connection.answer(&bytes, found.as_slice(), is_begun);
        }
        nester.lock().delivering = None;
    }
}

/// Makes the answerer the client's peer; `None` if there is nobody to answer. See [`flob_runtime::nester::Parked::rejoin`].
fn join(state: &State, answer: &ReadyAnswer) -> Option<bool> {
    let former: alloc::vec::Vec<_> = state.own.all.iter().map(OwnedReference::at).collect();
    let server = state.own.answerer_reference.at();
    answer.call.connection.rejoin(&state.environment, server, &former).ok().flatten()
}

/// A timer thread: sleeps until the earliest end of a parked sleep, unless another one sleeps no longer than that. There
/// are a few of these, so that a shorter sleep can begin while a longer one is on.
pub fn sleep(nester: &Nester, index: usize) {
    let mut state = nester.lock();
    loop {
        let Some(until) = next_wake(&mut state) else {
            state = nester.sleepers.wait(state);
            continue;
        };
        state.sleeping.insert((until, index));
        drop(state);
        let _ = clock::sleep_until(until);
        state = nester.lock();
        state.sleeping.remove(&(until, index));
        search::time_has_passed(nester, &mut state);
        services::retry_parked(nester, &mut state);
    }
}

/// The parent's time at which the next parked sleep ends, or the search lets a thread go, if no timer wakes before.
fn next_wake(state: &mut State) -> Option<u64> {
    let now = services::now(state);
    if state.save.is_some() {
        return None;
    }
    let sleeps = state.parked.iter().filter_map(|call| services::sleep_left(call, now));
    let search = state.search.as_ref().map(|search| search.deadline().saturating_sub(now));
    let left = sleeps.chain(search).min()?;
    let until = now.wrapping_sub(state.clock.offset).saturating_add(left);
    match state.sleeping.first() {
        Some((earliest, _)) if *earliest <= until => None,
        _ => Some(until),
    }
}

/// Receives the rest of a request whose first part is in an image, in a thread of its own: its client may take its time.
pub fn receive_rest(nester: &Nester, state: &mut State, call: ParkedCall) {
    state.halves.push(call);
    nester.halves.signal();
}

/// The thread that does so.
pub fn complete(nester: &Nester, mut room: ChildMemory) {
    let own = OwnedReference::new().and_then(|own| current().reference(own.at()).map(|()| own));
    let Ok(own) = own else { return };
    loop {
        let mut state = nester.halves.wait_until(nester.lock(), |state| !state.halves.is_empty());
        let Some(call) = state.halves.pop() else { continue };
        let former = [state.own.answerer_reference.at()];
        let joined = call.connection.rejoin(&state.environment, own.at(), &former);
        let (Ok(Some(_)), Ok(connection)) = (joined, call.connection.again()) else { continue };
        // Where whoever takes a checkpoint meanwhile finds it, with what has come by then.
        let begun = call.request.len();
        let buffer = room.buffer().get_mut(..ROOM).and_then(|room| room.split_at_mut_checked(begun));
        let Some((before, rest)) = buffer else { continue };
        before.copy_from_slice(&call.request);
        let alias = services::NAMES.iter().position(|name| *name == call.service).unwrap_or(0);
        state.completing = Some(call);
        drop(state);
        let received = connection.receive_rest(rest);
        if let Ok(count) = received {
            nester.completed.hand.set(alias, begun + count);
        }
        let mut state = nester.lock();
        nester.completed.hand.clear();
        // None if the environment is another one by now.
        if let (Some(mut call), Ok(count)) = (state.completing.take(), received) {
            call.request.extend_from_slice(rest.get(..count).unwrap_or_default());
            state.parked.push(call);
            services::retry_parked(nester, &mut state);
        }
    }
}
