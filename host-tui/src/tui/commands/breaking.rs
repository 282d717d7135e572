//! Breakpoints: set, switched, deleted; the same as `flob break`.

use flob_link::Memory;
use flob_session::PointChange;

use super::super::{
    line::Line,
    message::{Ask, Job},
    state::{Mode, State, Tab},
    text,
};
use super::{log_command, memory, trouble};

/// Sets a breakpoint, or asks where.
pub fn set(state: &mut State, arguments: &str) -> Vec<Ask> {
    if arguments.is_empty() {
        state.mode = Mode::Command(Line::new("break "));
        return Vec::new();
    }
    match arguments.split_once(" if ") {
        Some((location, condition)) => {
            log_command(state, &["break", location.trim(), "if", condition.trim()])
        }
        None => log_command(state, &["break", arguments]),
    }
    vec![Ask::Do(Job::Break(arguments.to_owned()))]
}

/// Enables or disables the selected one.
pub fn toggle(state: &mut State, _: &str) -> Vec<Ask> {
    let is_enabled = state.points.selected().is_some_and(|point| point.is_enabled);
    let (word, change) =
        if is_enabled { ("--disable", PointChange::Disable) } else { ("--enable", PointChange::Enable) };
    self::change(state, word, change)
}

/// Deletes the selected one.
pub fn delete(state: &mut State, _: &str) -> Vec<Ask> {
    change(state, "--delete", PointChange::Delete)
}

fn change(state: &mut State, word: &str, change: PointChange) -> Vec<Ask> {
    let Some(id) = state.points.selected().map(|point| point.id) else {
        return trouble(state, text::NO_BREAKPOINT);
    };
    log_command(state, &["break", word, &id.to_string()]);
    vec![Ask::Do(Job::Point { id, change })]
}

/// Shows the memory where the selected one is.
pub fn show(state: &mut State) -> Vec<Ask> {
    let Some((space, address)) = state.points.address() else { return Vec::new() };
    state.tab = Tab::Memory;
    memory::show_memory(state, Memory::Space(space), address)
}
