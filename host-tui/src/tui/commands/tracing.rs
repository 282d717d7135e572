//! The trace: what is traced, and what of it is shown.

use flob_abi::{Call, ipc};
use flob_link::Tracing;

use super::super::{
    message::{Ask, Job},
    state::{State, Tab},
    text,
};
use super::{log_command, navigate, trouble};

/// Asks for what has come, unless that is under way.
pub fn fetch(state: &mut State) -> Vec<Ask> {
    if state.calls.is_asked || !state.has_hub() {
        return Vec::new();
    }
    state.calls.is_asked = true;
    vec![Ask::Trace { from: state.calls.next() }]
}

/// Traces more: the services, kernel calls too, nothing; or what is named.
pub fn trace(state: &mut State, arguments: &str) -> Vec<Ask> {
    let now = &state.calls.tracing;
    let wanted = match arguments {
        "" if !now.services => "services",
        "" if now.calls.is_empty() => "calls",
        "" => "off",
        named => named,
    };
    let services = |calls| Tracing { services: true, calls };
    let (tracing, words) = match wanted {
        "services" => (services(Vec::new()), vec!["trace", "--on"]),
        "calls" => (services(all_calls()), vec!["trace", "--on", "--calls", "all"]),
        "off" => (Tracing::default(), vec!["trace", "--off"]),
        _ => return trouble(state, text::TRACE_USAGE),
    };
    log_command(state, &words);
    vec![Ask::Do(Job::Trace(tracing))]
}

fn all_calls() -> Vec<u64> {
    Call::ALL.iter().map(|call| *call as u64).chain([ipc::IPC]).collect()
}

/// Stops what is shown, or lets it go on.
pub fn freeze(state: &mut State, _: &str) -> Vec<Ask> {
    state.calls.freeze();
    Vec::new()
}

/// To the thread that made the selected call.
pub fn to_thread(state: &mut State) -> Vec<Ask> {
    let thread = state.calls.selected().and_then(|row| row.thread);
    let is_there = |place| state.shown().is_some_and(|snapshot| snapshot.facts_of(place).is_some());
    let Some(place) = thread.filter(|place| is_there(*place)) else {
        return trouble(state, text::THREAD_GONE);
    };
    state.tab = Tab::Threads;
    navigate::select(state, place);
    navigate::visit(state, place);
    Vec::new()
}
