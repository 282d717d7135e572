//! The mouse: a click chooses a tab or a row, one more on a chosen row opens it, the wheel moves the pane under it. Nothing can be
//! done with it that keys cannot do.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::{
    commands::{navigate, scroll},
    layout::{self, has_detail},
    message::Ask,
    state::{Focus, Mode, State, Tab},
    view::top,
};

/// Rows that one notch of the wheel moves.
const NOTCH: usize = 3;

/// Takes what the mouse did. While something is typed or asked, nothing.
pub fn take(state: &mut State, event: MouseEvent) -> Vec<Ask> {
    if state.mode != Mode::Normal {
        return Vec::new();
    }
    let at = Position::new(event.column, event.row);
    match event.kind {
        MouseEventKind::Down(MouseButton::Left) => click(state, at),
        MouseEventKind::ScrollUp => wheel(state, at, scroll::up),
        MouseEventKind::ScrollDown => wheel(state, at, scroll::down),
        _ => Vec::new(),
    }
}

fn click(state: &mut State, at: Position) -> Vec<Ask> {
    state.notice = None;
    let areas = layout::areas(state);
    if areas.top.contains(at) {
        return match top::tab_at(state, at.x - areas.top.x) {
            Some(tab) => navigate::choose(state, tab),
            None => Vec::new(),
        };
    }
    if areas.detail.contains(at) {
        return click_detail(state, areas.detail, at);
    }
    if areas.list.contains(at) { click_list(state, areas.list, at) } else { Vec::new() }
}

fn click_list(state: &mut State, area: Rect, at: Position) -> Vec<Ask> {
    let Some(line) = line_of(area, at).and_then(|line| line.checked_sub(layout::head_lines(state))) else {
        return Vec::new();
    };
    if line >= layout::list_height(state) {
        return Vec::new();
    }
    let had_keys = std::mem::replace(&mut state.focus, Focus::List) == Focus::List;
    let Some((list, count)) = scroll::list(state) else { return Vec::new() };
    let row = list.offset + line;
    if row >= count {
        return Vec::new();
    }
    let again = list.selected == row && had_keys;
    list.selected = row;
    // A double click must not restore or remove anything: it opens, as Enter does.
    if again && navigate::can_open(state) { navigate::open(state, "") } else { Vec::new() }
}

fn click_detail(state: &mut State, area: Rect, at: Position) -> Vec<Ask> {
    let Some(line) = line_of(area, at) else { return Vec::new() };
    let had_keys = std::mem::replace(&mut state.focus, Focus::Detail) == Focus::Detail;
    let row = state.detail.list.offset + line;
    if navigate::selectable_rows(state).get(row) != Some(&true) {
        return Vec::new();
    }
    let again = state.detail.list.selected == row && had_keys;
    state.detail.list.selected = row;
    if again { navigate::open(state, "") } else { Vec::new() }
}

/// Which line between the borders of an area.
fn line_of(area: Rect, at: Position) -> Option<usize> {
    let line = at.y.checked_sub(area.y + 1)?;
    (usize::from(line) < layout::inner_height(area)).then_some(usize::from(line))
}

fn wheel(state: &mut State, at: Position, step: fn(&mut State, &str) -> Vec<Ask>) -> Vec<Ask> {
    let areas = layout::areas(state);
    if has_detail(state.tab) && areas.list.area() > 0 && areas.detail.area() > 0 {
        state.focus = if areas.detail.contains(at) { Focus::Detail } else { Focus::List };
    }
    let asks = (0..NOTCH).map(|_| step(state, "")).last().unwrap_or_default();
    if state.tab == Tab::Memory { asks } else { Vec::new() }
}
