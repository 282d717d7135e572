//! The palette: what is typed, and below it the commands that fit, with their keys.

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::Style,
    text::{Line, Span},
    widgets::{Clear, Widget},
};

use super::super::{
    commands::Command,
    palette::{Palette, height},
    state::State,
    text,
};
use super::{
    footer,
    rows::{self, fit, span},
};

/// Draws it over everything; where the cursor is.
pub fn draw(buffer: &mut Buffer, palette: &Palette, state: &State) -> Option<Position> {
    let width = state.size.0.min(90);
    let area = Rect {
        x: (state.size.0 - width) / 2,
        y: 1,
        width,
        height: (height(state) as u16 + 3).min(state.size.1.saturating_sub(2)),
    };
    Clear.render(area, buffer);
    let inner = rows::pane(buffer, area, Line::from(text::PALETTE_TITLE), true, state);
    let cursor = footer::typed(buffer, rows::lines_of(inner, 0, 1), text::PALETTE_PROMPT, &palette.line);
    let list = rows::lines_of(inner, 1, usize::from(inner.height));
    if palette.found.is_empty() {
        buffer.set_stringn(list.x, list.y, text::NOT_FOUND, usize::from(list.width), state.theme.dim());
    }
    let window = palette.list.window(palette.found.len(), usize::from(list.height));
    rows::draw(buffer, list, window, |index| {
        let line = palette.command(index).map(|command| row(state, command)).unwrap_or_default();
        line.style(rows::row_style(state, index == palette.list.selected, true))
    });
    cursor
}

fn row(state: &State, command: &Command) -> Line<'static> {
    let keys = state.keymap.commands().find(|(other, _)| other.name == command.name);
    let keys: Vec<String> = keys.iter().flat_map(|(_, keys)| keys.iter()).map(|key| key.label()).collect();
    let is_possible = (command.enabled)(state);
    let style = if is_possible { Style::new() } else { state.theme.dim() };
    let name = format!("{} {}", command.name, command.arguments);
    let sign = if is_possible { " " } else { "-" };
    Line::from(vec![
        span(format!("{sign} {} ", fit(&keys.join(" "), 9)), state.theme.key()),
        span(format!("{} ", fit(&name, 30)), style),
        Span::styled(command.help, style),
    ])
}
