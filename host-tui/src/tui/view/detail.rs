//! One flob: why it waits, its links, who leads here, and every field.

use flob_image::Place;
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
    text::{Line, Span},
};

use super::super::{
    commands::navigate,
    detail::Row,
    edit::{Editor, Target},
    state::{Focus, Mode, State},
    text,
};
use super::rows::{self, fit, span};

/// Draws the pane.
pub fn draw(buffer: &mut Buffer, area: Rect, state: &State) {
    let focused = state.focus == Focus::Detail;
    let title = state.detail.place.map(|place| state.name(place)).unwrap_or_default();
    let depth = state.detail.history.len();
    let back = if depth > 0 { format!(" {}{depth}", state.theme.signs().from) } else { String::new() };
    let inner = rows::pane(buffer, area, Line::from(format!("{title}{back}")), focused, state);
    let all = navigate::detail_rows(state);
    if all.is_empty() {
        let text = state.detail.place.map_or_else(|| text::NO_FLOB.to_owned(), text::flob_gone);
        buffer.set_stringn(inner.x, inner.y, text, usize::from(inner.width), state.theme.dim());
        return;
    }
    let columns = Columns::of(&all, usize::from(inner.width));
    let list = &state.detail.list;
    rows::draw(buffer, inner, list.window(all.len(), usize::from(inner.height)), |index| {
        let line = all.get(index).map(|row| row_line(state, row, columns)).unwrap_or_default();
        line.style(rows::row_style(state, focused && index == list.selected, focused))
    });
}

/// Where the parts of a row are.
#[derive(Clone, Copy)]
struct Columns {
    /// Cells of the longest name.
    name: usize,
    /// Where what a field means begins, unless its value is too long.
    doc: usize,
    width: usize,
}

/// Longer names push their values to the right.
const LONGEST_NAME: usize = 22;
/// Room for most values.
const VALUE: usize = 22;
/// Less of what a field means says nothing.
const LEAST_DOC: usize = 20;

impl Columns {
    fn of(rows: &[Row], width: usize) -> Self {
        let names = rows.iter().filter_map(|row| match row {
            Row::Link { name, .. } => Some(name.len()),
            Row::Field { name, .. } => Some(name.len()),
            _ => None,
        });
        let name = names.max().unwrap_or_default().min(LONGEST_NAME);
        Self { name, doc: name + 2 + VALUE, width }
    }

    /// What a field means, from a line of this width on, as far as there is room.
    fn doc(self, used: usize, doc: &str) -> Option<String> {
        let gap = self.doc.saturating_sub(used).max(2);
        let room = self.width.checked_sub(used + gap).filter(|room| *room >= LEAST_DOC.min(doc.len()))?;
        Some(format!("{}{}", " ".repeat(gap), fit(doc, room)))
    }
}

fn row_line(state: &State, row: &Row, columns: Columns) -> Line<'static> {
    let theme = state.theme;
    match row {
        Row::Sentence(sentence) => Line::from(span(sentence.clone(), theme.title())),
        Row::Heading(title) => Line::from(span(*title, theme.dim().add_modifier(Modifier::BOLD))),
        Row::Incoming { name, source } => Line::from(vec![
            span(format!("  {} ", theme.signs().from), theme.dim()),
            span(state.name(*source), theme.link()),
            span(format!(" ({name})"), theme.dim()),
        ]),
        Row::Link { name, value, target, changed, pending } => {
            let mut line = start(state, name, columns.name, *changed, pending.is_some());
            let style = if target.is_some() { theme.link() } else { Style::new() };
            let sign = if target.is_some() { theme.signs().to } else { " " };
            line.push_span(span(format!("{sign} "), style));
            push_value(&mut line, state, name, value, *changed, style, pending.as_deref());
            line
        }
        Row::Field { name, value, changed, pending, settable, doc } => {
            let mut line = start(state, name, columns.name, *changed, pending.is_some());
            let style = if *settable { Style::new() } else { theme.dim() };
            push_value(&mut line, state, name, value, *changed, style, pending.as_deref());
            let doc = columns.doc(line.width(), doc);
            line.extend(doc.map(|doc| span(doc, theme.dim())));
            line
        }
    }
}

fn start(state: &State, name: &str, width: usize, changed: bool, pending: bool) -> Line<'static> {
    let (mark, style) = match (pending, changed) {
        (true, _) => ("+", state.theme.pending()),
        (_, true) => (state.theme.signs().changed, state.theme.changed()),
        _ => (" ", Style::new()),
    };
    Line::from(vec![span(mark, style), Span::raw(format!(" {} ", fit(name, width)))])
}

fn push_value(
    line: &mut Line<'static>,
    state: &State,
    name: &str,
    value: &str,
    changed: bool,
    style: Style,
    pending: Option<&str>,
) {
    if let Some(editor) = editor(state, state.detail.place, name) {
        line.push_span(Span::raw(editor.line.before().to_owned()));
        line.push_span(span(cursor_cell(editor), Style::new().add_modifier(Modifier::REVERSED)));
        line.push_span(Span::raw(editor.line.behind().chars().skip(1).collect::<String>()));
        return;
    }
    line.push_span(span(value, if changed { state.theme.changed() } else { style }));
    if let Some(new) = pending {
        line.push_span(span(format!(" {} {new}", state.theme.signs().to), state.theme.pending()));
    }
}

fn cursor_cell(editor: &Editor) -> String {
    editor.line.behind().chars().next().unwrap_or(' ').to_string()
}

/// The editor, if it edits this field.
fn editor<'a>(state: &'a State, place: Option<Place>, name: &str) -> Option<&'a Editor> {
    match &state.mode {
        Mode::Edit(editor) => match &editor.target {
            Target::Field(at, field) if Some(*at) == place && field == name => Some(editor),
            _ => None,
        },
        _ => None,
    }
}
