//! Where everything is on screen: the one place that knows, for drawing and for scrolling alike.

use ratatui::layout::Rect;

use super::{
    state::{Focus, Mode, State, Tab},
    view::{calls, points, rows},
};

/// The areas of the screen. An area of no height or width is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Areas {
    /// The tabs and, if there is room, the state of the session.
    pub top: Rect,
    /// The pane of the tab.
    pub list: Rect,
    /// The flob that is looked at.
    pub detail: Rect,
    /// Below: output …
    pub console: Rect,
    /// … and log.
    pub log: Rect,
    /// A line for the coach of the demo.
    pub coach: Rect,
    /// Two lines: notice or what is typed, and keys.
    pub footer: Rect,
}

/// The areas for this state.
pub fn areas(state: &State) -> Areas {
    let (width, height) = state.size;
    let footer = height.min(2);
    let coach = u16::from(state.coach.is_some()).min(height - footer);
    let top = (height - footer - coach).min(1);
    let body = Rect::new(0, top, width, height - top - coach - footer);
    let mut areas = Areas {
        top: Rect::new(0, 0, width, top),
        coach: Rect::new(0, height - footer - coach, width, coach),
        footer: Rect::new(0, height - footer, width, footer),
        ..Areas::default()
    };
    if state.is_wide() {
        wide(state, body, &mut areas)
    } else {
        narrow(state, body, &mut areas)
    }
    areas
}

fn narrow(state: &State, body: Rect, areas: &mut Areas) {
    if has_detail(state.tab) && state.focus == Focus::Detail {
        areas.detail = body
    } else {
        areas.list = body
    }
}

fn wide(state: &State, body: Rect, areas: &mut Areas) {
    let below = if matches!(state.tab, Tab::Console | Tab::Log) { 0 } else { (body.height / 4).clamp(5, 14) };
    let below = if body.height < 16 { 0 } else { below };
    let upper = Rect { height: body.height - below, ..body };
    let lower = Rect { y: body.y + upper.height, height: below, ..body };
    (areas.console, areas.log) = split(lower, 50);
    (areas.list, areas.detail) =
        if has_detail(state.tab) { split(upper, 50) } else { (upper, Rect::default()) };
}

fn split(area: Rect, percent: u16) -> (Rect, Rect) {
    let left = area.width * percent / 100;
    (Rect { width: left, ..area }, Rect { x: area.x + left, width: area.width - left, ..area })
}

/// Whether a flob is looked at beside the list of this tab.
pub fn has_detail(tab: Tab) -> bool {
    matches!(tab, Tab::Flobs | Tab::Threads | Tab::Graph)
}

/// Rows between the borders of an area.
pub fn inner_height(area: Rect) -> usize {
    usize::from(area.height.saturating_sub(2))
}

/// Columns between the borders of the tab's pane.
fn inner_width(state: &State) -> usize {
    usize::from(areas(state).list.width.saturating_sub(2))
}

/// Lines above the rows of the tab's list: column titles, and one that names a deadlock.
pub fn head_lines(state: &State) -> usize {
    match state.tab {
        Tab::Threads => 1 + rows::deadlock_lines(state, inner_width(state)).len(),
        Tab::Flobs => rows::deadlock_lines(state, inner_width(state)).len(),
        Tab::Checkpoints | Tab::Memory | Tab::Calls | Tab::Breakpoints => 1,
        Tab::Graph | Tab::Console | Tab::Log => 0,
    }
}

/// Lines below the rows of the tab's list: the sentence of the selected thread, the marks of a memory row, an input line.
pub fn foot_lines(state: &State) -> usize {
    match state.tab {
        Tab::Threads => {
            state.selected_thread().map_or(0, |facts| rows::wrap(&facts.why, inner_width(state)).len()).min(8)
        }
        Tab::Memory => 2,
        Tab::Calls => calls::full(&state.calls, inner_width(state)).len(),
        Tab::Breakpoints => points::full(state, inner_width(state)).len(),
        Tab::Console if state.typed_input || matches!(state.mode, Mode::Typing(_)) => 1,
        _ => 0,
    }
}

/// Visible rows of the tab's list.
pub fn list_height(state: &State) -> usize {
    inner_height(areas(state).list).saturating_sub(head_lines(state) + foot_lines(state))
}

/// Visible rows of the detail pane.
pub fn detail_height(state: &State) -> usize {
    inner_height(areas(state).detail)
}
