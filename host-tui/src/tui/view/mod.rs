//! The view: a pure function of the state. A pane a file; what they share is in [`rows`].

pub mod calls;
pub mod checkpoints;
pub mod choices;
pub mod code;
pub mod console;
pub mod detail;
pub mod flobs;
pub mod footer;
pub mod graph;
pub mod help;
pub mod memory;
pub mod palette;
pub mod points;
pub mod popup;
pub mod reading;
pub mod rows;
pub mod threads;
pub mod top;

use ratatui::{Frame, buffer::Buffer, layout::Position, layout::Rect, style::Modifier};

use super::{
    layout,
    state::{Mode, State, Tab},
    text,
};

/// Smallest screen that anything can be shown on.
const SMALLEST: (u16, u16) = (30, 6);

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, state: &State) {
    let cursor = paint(frame.buffer_mut(), state);
    if let Some(position) = cursor {
        frame.set_cursor_position(position);
    }
}

/// Draws everything; where the cursor is, if text is being typed.
pub fn paint(buffer: &mut Buffer, state: &State) -> Option<Position> {
    let (width, height) = state.size;
    if width < SMALLEST.0 || height < SMALLEST.1 {
        buffer.set_stringn(0, 0, text::TOO_SMALL, usize::from(width), state.theme.trouble());
        return None;
    }
    let areas = layout::areas(state);
    top::draw(buffer, areas.top, state);
    if areas.list.area() > 0 {
        tab(buffer, areas.list, state);
    }
    if areas.detail.area() > 0 {
        detail::draw(buffer, areas.detail, state);
    }
    if areas.console.area() > 0 {
        console::draw(buffer, areas.console, state);
        console::draw_log(buffer, areas.log, state);
    }
    if let Some(coach) = state.coach {
        let style = state.theme.title().add_modifier(Modifier::REVERSED);
        let width = usize::from(areas.coach.width);
        buffer.set_stringn(
            areas.coach.x,
            areas.coach.y,
            rows::fit(&state.keymap.fill(coach.text()), width),
            width,
            style,
        );
    }
    let cursor = footer::draw(buffer, areas.footer, state);
    match &state.mode {
        Mode::Help(scroll) => help::draw(buffer, *scroll, state),
        Mode::Reading(text) => reading::draw(buffer, text, state),
        Mode::Edit(editor) => {
            choices::draw(buffer, areas.footer, editor, state);
            return cursor;
        }
        Mode::Palette(palette) => return palette::draw(buffer, palette, state),
        Mode::Confirm(question) => popup::draw(buffer, question, state),
        _ => return cursor,
    }
    None
}

fn tab(buffer: &mut Buffer, area: Rect, state: &State) {
    match state.tab {
        Tab::Flobs => flobs::draw(buffer, area, state),
        Tab::Threads => threads::draw(buffer, area, state),
        Tab::Memory => memory::draw(buffer, area, state),
        Tab::Graph => graph::draw(buffer, area, state),
        Tab::Console => console::draw(buffer, area, state),
        Tab::Checkpoints => checkpoints::draw(buffer, area, state),
        Tab::Log => console::draw_log(buffer, area, state),
        Tab::Calls => calls::draw(buffer, area, state),
        Tab::Breakpoints => points::draw(buffer, area, state),
    }
}
