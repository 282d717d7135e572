//! What the program asks of its parent and of the kernel: a call a row, the latest last; below, the selected one in full.

use ratatui::{buffer::Buffer, layout::Rect, style::Style, text::Line};

use super::super::{
    calls::{Calls, Row},
    layout,
    state::{Focus, State, Tab},
    text,
};
use super::rows::{self, fit, span};

/// Most lines of the selected call: the beginnings of two messages take a few.
const MOST_LINES: usize = 8;
/// Columns of the time.
const TIME: usize = 11;

/// Draws the pane.
pub fn draw(buffer: &mut Buffer, area: Rect, state: &State) {
    let (calls, focused) = (&state.calls, state.focus == Focus::List);
    let inner =
        rows::pane(buffer, area, rows::sifted(state, Tab::Calls, text::calls_title(calls)), focused, state);
    if calls.count() == 0 {
        for (y, line) in (inner.y..inner.bottom())
            .zip(rows::wrap(&state.keymap.fill(nothing(state)), usize::from(inner.width)))
        {
            buffer.set_stringn(inner.x, y, line, usize::from(inner.width), state.theme.dim());
        }
        return;
    }
    let (head, foot) = (layout::head_lines(state), layout::foot_lines(state));
    let height = usize::from(inner.height).saturating_sub(head + foot);
    let widths = widths(inner.width);
    buffer.set_line(inner.x, inner.y, &rows::heading(state, &text::CALLS_HEAD, &widths), inner.width);
    let list = rows::lines_of(inner, head, height);
    rows::draw(buffer, list, calls.list.window(calls.count(), height), |index| {
        let line = calls.row(index).map(|row| line(state, row, widths)).unwrap_or_default();
        line.style(rows::row_style(state, index == calls.list.selected, focused))
    });
    let below = rows::lines_of(inner, head + height, foot);
    for (y, line) in (below.y..below.bottom()).zip(full(calls, usize::from(below.width))) {
        buffer.set_stringn(below.x, y, line, usize::from(below.width), Style::new());
    }
}

fn nothing(state: &State) -> &str {
    let calls = &state.calls;
    match &calls.error {
        Some(error) => error,
        None if !state.has_session => text::NO_SESSION,
        None if !calls.sieve.filter.is_empty() => text::NOTHING_FITS,
        None if calls.tracing.is_on() => text::NOTHING_TRACED_YET,
        None => text::NOTHING_TRACED,
    }
}

fn widths(width: u16) -> [usize; 3] {
    let rest = usize::from(width).saturating_sub(TIME + 2);
    let thread = (rest / 5).clamp(8, 24);
    [TIME, thread, rest.saturating_sub(thread)]
}

fn line(state: &State, row: &Row, [time, thread, rest]: [usize; 3]) -> Line<'static> {
    let theme = state.theme;
    let waits = row.ended.is_none();
    let style = if row.is_kernel { theme.link() } else { Style::new() };
    let sign = if waits { theme.signs().waiting } else { " " };
    Line::from(vec![
        span(format!("{} ", fit(&text::moment(row.at), time)), theme.dim()),
        span(format!("{} ", fit(&format!("{sign} {}", row.described.thread), thread)), Style::new()),
        span(fit(&sentence(row), rest), if waits { theme.pending() } else { style }),
    ])
}

fn sentence(row: &Row) -> String {
    let asked = row.described.asked();
    if row.described.outcome.is_empty() { asked } else { format!("{asked} = {}", row.described.outcome) }
}

/// The selected call, and how long it took.
pub fn full(calls: &Calls, width: usize) -> Vec<String> {
    let Some(row) = calls.selected() else { return Vec::new() };
    let took = row.ended.map(|ended| text::took(ended.saturating_sub(row.at)));
    let took = took.unwrap_or_else(|| text::UNDER_WAY.to_owned());
    let mut lines = rows::wrap(&format!("{} ({took})", sentence(row)), width);
    lines.truncate(MOST_LINES);
    lines
}
