//! The threads: state, place in the source, what each waits for and who holds that; below, the sentence of `flob why`.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};

use super::super::{
    layout,
    snapshot::Snapshot,
    state::{Focus, State, Tab},
    text,
    waits::{Facts, Status},
};
use super::rows::{self, fit, span};

/// Draws the pane.
pub fn draw(buffer: &mut Buffer, area: Rect, state: &State) {
    let focused = state.focus == Focus::List;
    let inner = rows::pane(buffer, area, rows::title(state, Tab::Threads), focused, state);
    let Some(snapshot) = rows::shown(buffer, inner, state) else { return };
    let (head, foot) = (layout::head_lines(state), layout::foot_lines(state));
    let height = usize::from(inner.height).saturating_sub(head + foot);
    rows::draw_deadlock(buffer, inner, state);
    let columns = columns(inner.width);
    let title = rows::lines_of(inner, head.saturating_sub(1), 1);
    buffer.set_line(title.x, title.y, &rows::heading(state, &text::THREAD_HEAD, &columns), title.width);
    let list = rows::lines_of(inner, head, height);
    rows::draw(buffer, list, state.threads.list.window(state.threads.rows.len(), height), |index| {
        let line = state
            .threads
            .row(index)
            .and_then(|row| snapshot.threads.get(row))
            .map(|facts| row(state, snapshot, facts, columns))
            .unwrap_or_default();
        line.style(rows::row_style(state, index == state.threads.list.selected, focused))
    });
    if let Some(facts) = state.selected_thread() {
        let area = rows::lines_of(inner, head + height, foot);
        let style = if facts.deadlock.is_some() { state.theme.trouble() } else { Style::new() };
        for (y, line) in (area.y..area.bottom()).zip(rows::wrap(&facts.why, usize::from(area.width))) {
            buffer.set_stringn(area.x, y, line, usize::from(area.width), style);
        }
    }
}

/// Widths of the columns state, name, position and the rest.
fn columns(width: u16) -> [usize; 4] {
    let width = usize::from(width);
    let state = 10;
    let rest = width.saturating_sub(state + 3);
    let name = rest * 25 / 100;
    let position = rest * 40 / 100;
    [state, name, position, rest.saturating_sub(name + position)]
}

/// The sign of a thread's state.
pub fn sign(state: &State, facts: &Facts) -> (&'static str, Style) {
    let (theme, signs) = (state.theme, state.theme.signs());
    match facts.status {
        _ if facts.deadlock.is_some() => (signs.trouble, theme.trouble()),
        Status::Exception(_) => (signs.trouble, theme.trouble()),
        Status::Stopped => (signs.stopped, theme.pending()),
        Status::Waiting => (signs.waiting, theme.dim()),
        Status::Ready => (signs.running, theme.good()),
    }
}

fn row(
    state: &State,
    snapshot: &Snapshot,
    facts: &Facts,
    [first, name, position, last]: [usize; 4],
) -> Line<'static> {
    let (sign, style) = sign(state, facts);
    let changed = snapshot.changed.get(facts.flob as usize) == Some(&true);
    let short = snapshot.short(facts.place);
    let mark = if changed { state.theme.signs().changed } else { "" };
    let name_style = if changed { state.theme.changed() } else { Style::new() };
    Line::from(vec![
        span(fit(&format!("{sign} {}", facts.status.text()), first + 1), style),
        span(fit(&format!("{short}{mark}"), name), name_style),
        Span::raw(format!(" {} ", fit(&facts.position, position))),
        Span::raw(fit(&waits(snapshot, facts), last)),
    ])
}

fn waits(snapshot: &Snapshot, facts: &Facts) -> String {
    let target = &facts.waits_for;
    match facts.holder.filter(|holder| facts.target != Some(*holder)) {
        Some(holder) => text::waits_held(target, &snapshot.short(holder)),
        None => target.clone(),
    }
}
