//! The program's output, and the log.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};

use super::super::{
    layout,
    state::{Focus, LogKind, Logged, Mode, State, Tab},
    text,
};
use super::rows::{self, span};

/// Draws the output.
pub fn draw(buffer: &mut Buffer, area: Rect, state: &State) {
    let full = state.tab == Tab::Console;
    let back = if full { state.console.back } else { 0 };
    let title = if back > 0 {
        state.keymap.fill(&text::scrolled(text::tab(Tab::Console), back))
    } else {
        text::tab(Tab::Console).to_owned()
    };
    let inner = rows::pane(buffer, area, Line::from(title), full && state.focus == Focus::List, state);
    let foot = if full { layout::foot_lines(state) } else { 0 };
    let height = usize::from(inner.height).saturating_sub(foot);
    if state.console.is_empty() {
        let nothing = if state.has_session { text::NO_OUTPUT } else { text::NO_SESSION };
        buffer.set_stringn(inner.x, inner.y, nothing, usize::from(inner.width), state.theme.dim());
    }
    let visible: Vec<_> =
        if full { state.console.visible(height).collect() } else { state.console.last(height).collect() };
    rows::draw(buffer, rows::lines_of(inner, 0, height), 0..visible.len(), |index| {
        let Some(line) = visible.get(index) else { return Line::default() };
        // Errors carry a sign too, for screens without colour.
        let style = if line.is_error { state.theme.trouble() } else { Style::new() };
        let sign = if line.is_error { "! " } else { "" };
        Line::from(vec![span(sign, style), span(line.text.clone(), style)])
    });
    if foot > 0 && !matches!(state.mode, Mode::Typing(_)) {
        let line = rows::lines_of(inner, height, 1);
        let hint = state.keymap.fill(text::INPUT_HINT);
        buffer.set_stringn(line.x, line.y, hint, usize::from(line.width), state.theme.dim());
    }
}

/// Draws the log.
pub fn draw_log(buffer: &mut Buffer, area: Rect, state: &State) {
    let full = state.tab == Tab::Log;
    let inner = rows::pane(buffer, area, rows::title(state, Tab::Log), full, state);
    let height = usize::from(inner.height);
    let back = if full { state.log_back } else { 0 };
    // Each entry may take several lines; the last ones that fit are made.
    let mut lines: Vec<Line<'static>> = Vec::new();
    for entry in state.shown_log().rev().skip(back) {
        lines.extend(log_lines(state, entry, usize::from(inner.width)).into_iter().rev());
        if lines.len() >= height {
            break;
        }
    }
    lines.truncate(height);
    lines.reverse();
    rows::draw(buffer, inner, 0..lines.len(), |index| lines.get(index).cloned().unwrap_or_default());
}

/// Columns before the text of an entry: when it was, and what kind it is.
const LOG_INDENT: usize = 9;

fn log_lines(state: &State, line: &Logged, width: usize) -> Vec<Line<'static>> {
    let seconds = line.at.as_secs();
    let (sign, style) = match line.kind {
        LogKind::Command => ("$ ", state.theme.title()),
        LogKind::Note => ("  ", Style::new()),
        LogKind::Trouble => ("! ", state.theme.trouble()),
    };
    let time = format!("{:>3}:{:02} ", seconds / 60, seconds % 60);
    let told = state.keymap.fill(&line.text);
    let texts = rows::wrap(&told, width.saturating_sub(LOG_INDENT).max(10));
    let heads = std::iter::once((time, sign)).chain(std::iter::repeat((" ".repeat(7), "  ")));
    let whole = heads.zip(texts).map(|((time, sign), text)| {
        Line::from(vec![span(time, state.theme.dim()), Span::styled(format!("{sign}{text}"), style)])
    });
    whole.collect()
}
