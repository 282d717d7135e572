//! When a command makes sense: only then its key means it, and the key line shows it.

use super::super::{
    layout::has_detail,
    state::{Focus, State, Tab},
};
use super::{control, editing, memory, navigate};

pub fn always(_: &State) -> bool {
    true
}

pub fn guest(state: &State) -> bool {
    state.has_guest() && state.is_live()
}

fn live_guest(state: &State) -> bool {
    state.has_guest()
}

pub fn running(state: &State) -> bool {
    guest(state) && !state.is_all_held() && state.ended.is_none()
}

pub fn held(state: &State) -> bool {
    live_guest(state) && state.is_held()
}

pub fn in_tree(state: &State) -> bool {
    state.tab == Tab::Flobs && state.focus == Focus::List
}

pub fn in_memory(state: &State) -> bool {
    state.tab == Tab::Memory
}

pub fn has_code(state: &State) -> bool {
    in_memory(state) || has_detail(state.tab) && memory::attentive_thread(state).is_some()
}

pub fn in_checkpoints(state: &State) -> bool {
    state.tab == Tab::Checkpoints && state.selected_checkpoint().is_some()
}

pub fn in_calls(state: &State) -> bool {
    state.tab == Tab::Calls
}

pub fn in_breakpoints(state: &State) -> bool {
    state.tab == Tab::Breakpoints && state.points.selected().is_some()
}

pub fn can_break(state: &State) -> bool {
    state.tab == Tab::Breakpoints && state.has_guest()
}

pub fn can_trace(state: &State) -> bool {
    in_calls(state) && state.has_guest()
}

pub fn can_open(state: &State) -> bool {
    navigate::can_open(state)
}

pub fn can_go_back(state: &State) -> bool {
    state.focus == Focus::Detail || state.opened.is_some() && state.has_session
}

pub fn can_edit(state: &State) -> bool {
    state.tab == Tab::Memory || in_checkpoints(state) || editing::field_under_cursor(state).is_some()
}

pub fn can_restore(state: &State) -> bool {
    live_guest(state) && control::restore_target(state).is_some()
}

pub fn pending(state: &State) -> bool {
    !state.pending.is_empty()
}

pub fn working(state: &State) -> bool {
    state.work.is_some()
}

pub fn console(state: &State) -> bool {
    state.typed_input && live_guest(state) && state.ended.is_none()
}

pub fn searched(state: &State) -> bool {
    !state.search.is_empty()
}
