//! A text over everything, to be scrolled.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::Line,
    widgets::{Clear, Widget},
};

use super::super::state::{Reading, State};
use super::rows;

/// Columns for its lines.
fn width(state: &State) -> usize {
    usize::from(state.size.0.saturating_sub(2))
}

fn lines(state: &State, reading: &Reading) -> Vec<String> {
    reading.lines.iter().flat_map(|line| rows::wrap(line, width(state))).collect()
}

/// How many lines it has on this screen.
pub fn line_count(state: &State, reading: &Reading) -> usize {
    lines(state, reading).len()
}

/// Draws it.
pub fn draw(buffer: &mut Buffer, reading: &Reading, state: &State) {
    let area = Rect::new(0, 0, state.size.0, state.size.1.saturating_sub(1));
    Clear.render(area, buffer);
    let inner = rows::pane(buffer, area, Line::from(reading.title.clone()), true, state);
    let lines = lines(state, reading);
    let end = (reading.scroll + usize::from(inner.height)).min(lines.len());
    rows::draw(buffer, inner, reading.scroll.min(end)..end, |index| {
        Line::from(lines.get(index).cloned().unwrap_or_default())
    });
}
