//! Sleeping on behalf of those that asked for it.

use flob_runtime::service::clock;

use super::search;
use super::services;
use super::state::{Nester, State};

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
