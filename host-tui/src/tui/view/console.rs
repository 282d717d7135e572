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
        text::scrolled(text::tab(Tab::Console), back)
    } else {
        text::tab(Tab::Console).to_owned()
    };
    let inner = rows::pane(buffer, area, Line::from(title), full && state.focus == Focus::List, state);
    let foot = if full { layout::foot_lines(state) } else { 0 };
    let height = usize::from(inner.height).saturating_sub(foot);
    if state.console.is_empty() {
        buffer.set_stringn(inner.x, inner.y, text::NO_OUTPUT, usize::from(inner.width), state.theme.dim());
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
        buffer.set_stringn(line.x, line.y, text::INPUT_HINT, usize::from(line.width), state.theme.dim());
    }
}

/// Draws the log.
pub fn draw_log(buffer: &mut Buffer, area: Rect, state: &State) {
    let full = state.tab == Tab::Log;
    let inner = rows::pane(buffer, area, Line::from(text::tab(Tab::Log)), full, state);
    let height = usize::from(inner.height);
    let back = if full { state.log_back } else { 0 };
    let end = state.log.len().saturating_sub(back);
    let start = end.saturating_sub(height);
    rows::draw(buffer, inner, start..end, |index| {
        state.log.get(index).map(|line| log_line(state, line)).unwrap_or_default()
    });
}

fn log_line(state: &State, line: &Logged) -> Line<'static> {
    let seconds = line.at.as_secs();
    let (sign, style) = match line.kind {
        LogKind::Command => ("$ ", state.theme.title()),
        LogKind::Note => ("  ", Style::new()),
        LogKind::Trouble => ("! ", state.theme.trouble()),
    };
    let time = span(format!("{:>3}:{:02} ", seconds / 60, seconds % 60), state.theme.dim());
    Line::from(vec![time, Span::styled(format!("{sign}{}", line.text), style)])
}
