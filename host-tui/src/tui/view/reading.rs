//! A text over everything, to be scrolled.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
    widgets::{Clear, Widget},
};

use super::super::state::{Reading, State};
use super::rows;

/// Columns for its lines.
fn width(state: &State) -> usize {
    usize::from(state.size.0.saturating_sub(2))
}

fn lines(state: &State, reading: &Reading) -> Vec<String> {
    reading.lines.iter().flat_map(|line| fitted(line, width(state))).collect()
}

/// A line as it was laid out if it fits; otherwise broken, all parts of it indented as it is.
fn fitted(line: &str, width: usize) -> Vec<String> {
    if Span::raw(line).width() <= width {
        return vec![line.to_owned()];
    }
    let indent = line.len() - line.trim_start().len();
    let parts = rows::wrap(line, width.saturating_sub(indent).max(1));
    parts.into_iter().map(|part| " ".repeat(indent) + &part).collect()
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
