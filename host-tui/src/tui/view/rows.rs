//! What panes share: borders, rows of which only the visible ones are made, texts cut to columns.

use std::{ops::Range, sync::Arc};

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::{Block, Borders, Widget},
};

use super::super::{
    commands::sorting,
    sieve::Sieve,
    snapshot::Snapshot,
    state::{State, Tab},
    text,
};

#[cfg(test)]
thread_local! {
    /// How many rows were made, to prove that only visible ones are.
    pub static MADE: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Draws the border of a pane; what is left inside.
pub fn pane(buffer: &mut Buffer, area: Rect, title: Line<'_>, focused: bool, state: &State) -> Rect {
    let style = if focused { state.theme.title() } else { state.theme.dim() };
    let block =
        Block::new().borders(Borders::ALL).border_set(state.theme.border()).border_style(style).title(title);
    let inner = block.inner(area);
    block.render(area, buffer);
    inner
}

/// The title of a tab's list: how it is sorted and filtered.
pub fn title(state: &State, tab: Tab) -> Line<'static> {
    sifted(state, tab, text::tab(tab).to_owned())
}

/// The same behind a title.
pub fn sifted(state: &State, tab: Tab, title: String) -> Line<'static> {
    let Some((sieve, columns)) = sorting::sieve(state, tab) else { return Line::from(title) };
    let column = sieve.column.and_then(|column| columns.get(column));
    let sorted = column.map(|column| text::sorted_by(column.trim(), direction(state, sieve)));
    let only = (!sieve.filter.is_empty()).then(|| text::only(&sieve.filter));
    Line::from([Some(title), sorted, only].into_iter().flatten().collect::<Vec<_>>().join(", "))
}

fn direction(state: &State, sieve: &Sieve) -> &'static str {
    let signs = state.theme.signs();
    if sieve.descending { signs.descending } else { signs.ascending }
}

/// The titles of columns; the one that rows are sorted by has a sign.
pub fn heading(state: &State, titles: &[&str], widths: &[usize]) -> Line<'static> {
    let sieve = sorting::sieve(state, state.tab).map(|(sieve, _)| sieve);
    let cell = |(number, (title, width)): (usize, (&&str, &usize))| {
        let sieve = sieve.filter(|sieve| sieve.column == Some(number));
        let sign = sieve.map_or_else(String::new, |sieve| format!(" {}", direction(state, sieve)));
        fit(&format!("{title}{sign}"), *width)
    };
    let cells: Vec<String> = titles.iter().zip(widths).enumerate().map(cell).collect();
    Line::from(span(cells.join(" "), state.theme.dim()))
}

/// What is shown; if nothing has come yet, says so.
pub fn shown<'a>(buffer: &mut Buffer, area: Rect, state: &'a State) -> Option<&'a Arc<Snapshot>> {
    let snapshot = state.shown();
    if snapshot.is_none() {
        let nothing = if state.has_guest() { text::STARTING } else { text::NOTHING_YET };
        buffer.set_stringn(area.x, area.y, nothing, usize::from(area.width), state.theme.dim());
    }
    snapshot
}

/// Draws a window of rows, one a line from the top of the area on.
pub fn draw<'a>(
    buffer: &mut Buffer,
    area: Rect,
    window: Range<usize>,
    mut row: impl FnMut(usize) -> Line<'a>,
) {
    for (y, index) in (area.y..area.bottom()).zip(window) {
        #[cfg(test)]
        MADE.with(|made| made.set(made.get() + 1));
        let line = row(index);
        buffer.set_line(area.x, y, &line, area.width);
        if line.style != Style::default() {
            buffer.set_style(Rect { y, height: 1, ..area }, line.style);
        }
    }
}

/// The style of a row: reversed if it is selected in the pane that has the keys.
pub fn row_style(state: &State, selected: bool, focused: bool) -> Style {
    match (selected, focused) {
        (true, true) => state.theme.selected(),
        (true, false) => state.theme.marked(),
        _ => Style::default(),
    }
}

/// A text in exactly so many columns, cut or filled up.
pub fn fit(text: &str, width: usize) -> String {
    let length = Span::raw(text).width();
    if length <= width {
        return format!("{text}{}", " ".repeat(width - length));
    }
    let mut cut = String::new();
    for letter in text.chars() {
        let longer = format!("{cut}{letter}");
        if Span::raw(longer.as_str()).width() + 1 > width {
            break;
        }
        cut = longer;
    }
    let filled = Span::raw(cut.as_str()).width();
    format!("{cut}{}", "~".repeat(width.min(1)) + &" ".repeat(width.saturating_sub(filled + 1)))
}

/// Breaks a text into lines of at most so many columns, between words where it can.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut();
        let Some(line) = last else { break };
        if !line.is_empty() && Span::raw(line.as_str()).width() + 1 + Span::raw(word).width() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// The part of an area from this line on, so many lines high.
pub fn lines_of(area: Rect, from: usize, count: usize) -> Rect {
    let from = u16::try_from(from).unwrap_or(u16::MAX).min(area.height);
    let count = u16::try_from(count).unwrap_or(u16::MAX).min(area.height - from);
    Rect { y: area.y + from, height: count, ..area }
}

/// A span in a style.
pub fn span(text: impl Into<String>, style: Style) -> Span<'static> {
    Span::styled(text.into(), style)
}

/// The lines that name the first deadlock, if there is one.
pub fn deadlock_lines(state: &State, width: usize) -> Vec<String> {
    let Some(snapshot) = state.shown() else { return Vec::new() };
    let Some(ring) = snapshot.deadlocks.first() else { return Vec::new() };
    let names: Vec<String> = ring.threads.iter().take(12).map(|place| snapshot.short(*place)).collect();
    let short: Vec<&str> = names.iter().map(String::as_str).collect();
    let signs = state.theme.signs();
    let text = text::deadlock(ring.threads.len(), &short, signs.to);
    let mut lines = wrap(&format!("{} {text}", signs.trouble), width);
    lines.truncate(4);
    lines
}

/// Draws the lines that name the deadlock.
pub fn draw_deadlock(buffer: &mut Buffer, area: Rect, state: &State) {
    let lines = deadlock_lines(state, usize::from(area.width));
    for (y, line) in (area.y..area.bottom()).zip(lines) {
        buffer.set_stringn(area.x, y, line, usize::from(area.width), state.theme.trouble());
    }
}
