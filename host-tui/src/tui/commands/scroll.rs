//! Moving within a pane: selections, scrolling, the cursor in memory.

use super::super::{
    layout::{detail_height, has_detail, list_height},
    list::{List, Move},
    memory::ROW,
    message::Ask,
    state::{Focus, State, Tab},
};
use super::{memory, navigate};

/// The list of the tab and the number of its rows, if it has one.
pub fn list(state: &mut State) -> Option<(&mut List, usize)> {
    let snapshot = state.shown().cloned();
    let snapshot = snapshot.as_deref();
    match state.tab {
        Tab::Flobs => Some((&mut state.tree, state.visible.len())),
        Tab::Threads => Some((&mut state.threads.list, state.threads.rows.len())),
        Tab::Graph => Some((&mut state.graph, snapshot.map_or(0, |snapshot| snapshot.graph.len()))),
        Tab::Checkpoints => Some((&mut state.checkpoints.list, state.checkpoints.rows.len())),
        Tab::Calls => {
            let count = state.calls.count();
            Some((&mut state.calls.list, count))
        }
        Tab::Breakpoints => {
            let count = state.points.list.rows.len();
            Some((&mut state.points.list.list, count))
        }
        Tab::Memory | Tab::Console | Tab::Log => None,
    }
}

fn go(state: &mut State, movement: Move) -> Vec<Ask> {
    let height = list_height(state);
    if has_detail(state.tab) && state.focus == Focus::Detail {
        let (rows, height) = (navigate::selectable_rows(state), detail_height(state));
        state.detail.list.go_among(movement, &rows, height);
        return Vec::new();
    }
    if let Some((list, count)) = list(state) {
        list.go(movement, count, height);
        return Vec::new();
    }
    match state.tab {
        Tab::Flobs | Tab::Threads | Tab::Graph | Tab::Checkpoints | Tab::Calls | Tab::Breakpoints => {}
        Tab::Memory => return go_memory(state, movement, height),
        Tab::Console => {
            let lines = lines(movement, height);
            state.console.scroll(lines, height);
        }
        Tab::Log => {
            let most = state.shown_log().count().saturating_sub(height);
            state.log_back =
                state.log_back.saturating_add_signed(lines(movement, height).saturating_neg()).min(most);
        }
    }
    Vec::new()
}

fn lines(movement: Move, height: usize) -> isize {
    let page = isize::try_from(height.saturating_sub(1)).unwrap_or(1).max(1);
    match movement {
        Move::Up => -1,
        Move::Down => 1,
        Move::PageUp => -page,
        Move::PageDown => page,
        Move::First => isize::MIN,
        Move::Last => isize::MAX,
    }
}

fn go_memory(state: &mut State, movement: Move, height: usize) -> Vec<Ask> {
    let rows = match movement {
        Move::First => return memory::show_memory(state, state.memory.memory, 0),
        Move::Last => return Vec::new(),
        other => lines(other, height) as i64,
    };
    if state.memory.is_code {
        state.memory.step_code(rows, height);
    } else {
        state.memory.step(rows.saturating_mul(ROW as i64), height);
    }
    memory::read_memory(state)
}

/// A step to the side.
fn sideways(state: &mut State, by: i64) -> Vec<Ask> {
    match (state.tab, state.focus) {
        (Tab::Memory, _) => {
            let height = list_height(state);
            if state.memory.is_code {
                state.memory.step_code(by, height);
            } else {
                state.memory.step(by, height);
            }
            memory::read_memory(state)
        }
        (Tab::Flobs, Focus::List) => navigate::set_folded(state, by < 0),
        (Tab::Threads | Tab::Graph, Focus::List) if by > 0 => navigate::open(state, ""),
        (tab, Focus::Detail) if by < 0 && has_detail(tab) => navigate::back(state, ""),
        _ => Vec::new(),
    }
}

verbs! {
    /// One up.
    up = |state| go(state, Move::Up);
    /// One down.
    down = |state| go(state, Move::Down);
    /// Fold, or the byte before.
    left = |state| sideways(state, -1);
    /// Unfold, or the next byte.
    right = |state| sideways(state, 1);
    /// A page up.
    page_up = |state| go(state, Move::PageUp);
    /// A page down.
    page_down = |state| go(state, Move::PageDown);
    /// To the first.
    first = |state| go(state, Move::First);
    /// To the last.
    last = |state| go(state, Move::Last);
}
