//! Breakpoints, watchpoints and caught calls of every client; below, the selected one in full.

use flob_session::{Point, owner_names, place::kind};
use ratatui::{buffer::Buffer, layout::Rect, style::Style, text::Line};

use super::super::{
    layout,
    state::{Focus, State, Tab},
    text,
};
use super::rows::{self, fit, span};

/// Draws the pane.
pub fn draw(buffer: &mut Buffer, area: Rect, state: &State) {
    let (points, focused) = (&state.points, state.focus == Focus::List);
    let inner = rows::pane(buffer, area, rows::title(state, Tab::Breakpoints), focused, state);
    if points.all.is_empty() {
        let nothing = if state.has_session { text::NO_BREAKPOINTS } else { text::NO_SESSION };
        let nothing = state.keymap.fill(nothing);
        buffer.set_stringn(inner.x, inner.y, nothing, usize::from(inner.width), state.theme.dim());
        return;
    }
    let (head, foot) = (layout::head_lines(state), layout::foot_lines(state));
    let height = usize::from(inner.height).saturating_sub(head + foot);
    let widths = widths(inner.width);
    buffer.set_line(inner.x, inner.y, &rows::heading(state, &text::POINTS_HEAD, &widths), inner.width);
    let list = rows::lines_of(inner, head, height);
    rows::draw(buffer, list, points.list.list.window(points.list.rows.len(), height), |index| {
        let point = points.list.row(index).and_then(|row| points.all.get(row));
        let line = point.map(|(point, place)| row(state, point, place, widths));
        line.unwrap_or_default().style(rows::row_style(state, index == points.list.list.selected, focused))
    });
    let below = rows::lines_of(inner, head + height, foot);
    for (y, line) in (below.y..below.bottom()).zip(full(state, usize::from(below.width))) {
        buffer.set_stringn(below.x, y, line, usize::from(below.width), Style::new());
    }
}

fn widths(width: u16) -> [usize; 7] {
    let fixed = [4, 10, 0, 10, 6, 9, 0];
    let rest = usize::from(width).saturating_sub(fixed.iter().sum::<usize>() + fixed.len() - 1);
    let place = rest * 60 / 100;
    [4, 10, place, 10, 6, 9, rest - place]
}

fn cells(widths: [usize; 7], texts: [String; 7]) -> String {
    let cells: Vec<String> = texts.iter().zip(widths).map(|(text, width)| fit(text, width)).collect();
    cells.join(" ")
}

fn row(state: &State, point: &Point, place: &str, widths: [usize; 7]) -> Line<'static> {
    let (word, style) = match (point.is_enabled, point.has_failed) {
        (false, _) => (text::DISABLED, state.theme.dim()),
        (true, true) => (text::FAILED, state.theme.trouble()),
        (true, false) => (text::ENABLED, Style::new()),
    };
    let texts = [
        point.id.to_string(),
        kind(&point.spot).to_owned(),
        place.to_owned(),
        owner_names(std::slice::from_ref(&point.owner)),
        point.hits.to_string(),
        word.to_owned(),
        condition(point).to_owned(),
    ];
    Line::from(span(cells(widths, texts), style))
}

fn condition(point: &Point) -> &str {
    point.condition.as_ref().map_or("", |condition| &condition.text)
}

/// The selected one: where, and on what condition.
pub fn full(state: &State, width: usize) -> Vec<String> {
    let chosen = state.points.list.chosen().and_then(|row| state.points.all.get(row));
    let Some((point, place)) = chosen else { return Vec::new() };
    let mut lines = rows::wrap(&text::point(place, state.points.address(), condition(point)), width);
    lines.truncate(3);
    lines
}
