//! The saved checkpoints, as a tree: each below the one it was made from.

use ratatui::{buffer::Buffer, layout::Rect, style::Style, text::Line};

use super::super::{
    layout,
    state::{Focus, State, Tab},
    store::Saved,
    text,
};
use super::rows::{self, fit, span};

/// Draws the pane.
pub fn draw(buffer: &mut Buffer, area: Rect, state: &State) {
    let focused = state.focus == Focus::List;
    let inner = rows::pane(buffer, area, rows::title(state, Tab::Checkpoints), focused, state);
    if state.saved.is_empty() {
        buffer.set_stringn(
            inner.x,
            inner.y,
            state.keymap.fill(text::NO_CHECKPOINTS),
            usize::from(inner.width),
            state.theme.dim(),
        );
        return;
    }
    let columns = columns(inner.width);
    buffer.set_line(inner.x, inner.y, &rows::heading(state, &text::CHECKPOINT_HEAD, &columns), inner.width);
    let list = rows::lines_of(inner, layout::head_lines(state), usize::from(inner.height));
    let window = state.checkpoints.list.window(state.checkpoints.rows.len(), usize::from(list.height));
    rows::draw(buffer, list, window, |index| {
        let line = state
            .checkpoints
            .row(index)
            .and_then(|row| state.saved.get(row))
            .map(|(depth, saved)| row(state, *depth, saved, columns))
            .unwrap_or_default();
        line.style(rows::row_style(state, index == state.checkpoints.list.selected, focused))
    });
}

fn columns(width: u16) -> [usize; 5] {
    let rest = usize::from(width).saturating_sub(9 + 19 + 4);
    let program = if width < 100 { 0 } else { rest * 25 / 100 };
    let id = (rest - program) * 60 / 100;
    [id, rest.saturating_sub(program + id), 9, 19, program]
}

fn cells(widths: [usize; 5], texts: [String; 5], style: Style) -> Line<'static> {
    let cells: Vec<String> = texts.iter().zip(widths).map(|(text, width)| fit(text, width)).collect();
    Line::from(span(cells.join(" "), style))
}

fn row(state: &State, depth: usize, saved: &Saved, columns: [usize; 5]) -> Line<'static> {
    let is_last = state.info.as_ref().is_some_and(|info| info.checkpoint.as_ref() == Some(&saved.id));
    let here = if is_last { state.theme.signs().running } else { " " };
    let marked = state.marked.as_ref() == Some(&saved.id);
    let here = if marked { state.theme.signs().marked } else { here };
    let edited = if saved.edited { text::EDITED } else { "" };
    let id = format!(
        "{here} {}{}{edited}",
        "  ".repeat(if state.checkpoints.sieve.column.is_none() { depth } else { 0 }),
        saved.id
    );
    let texts = [
        id,
        saved.name.clone().unwrap_or_default(),
        text::bytes(saved.bytes),
        text::date(saved.time),
        saved.program.clone(),
    ];
    cells(columns, texts, if is_last { state.theme.title() } else { Style::new() })
}
