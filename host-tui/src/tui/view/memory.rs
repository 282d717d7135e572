//! Memory in hexadecimal and ASCII, with marks where registers point and flobs lie, and the heat of recent changes; or as code.

use flob_link::Memory;
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
    text::{Line, Span},
};

use super::super::{
    disassembly::named,
    layout,
    memory::ROW,
    state::{Focus, State},
    text,
};
use super::{
    code,
    rows::{self, span},
};

/// A pointed-at address and who points there.
pub type Mark = (u64, String);

/// Draws the pane.
pub fn draw(buffer: &mut Buffer, area: Rect, state: &State) {
    let view = &state.memory;
    let title = match view.memory {
        Memory::Environment => text::ENVIRONMENT_MEMORY.to_owned(),
        Memory::Space(space) => text::space_memory(&state.name(space)),
    };
    let title = state.keymap.fill(&title);
    let inner = rows::pane(buffer, area, Line::from(title), state.focus == Focus::List, state);
    let (head, foot) = (layout::head_lines(state), layout::foot_lines(state));
    let height = usize::from(inner.height).saturating_sub(head + foot);
    let columns: String = (0..ROW)
        .map(|column| format!("{}{column:>2x}", if column == 8 && is_roomy(inner) { "  " } else { " " }))
        .collect();
    let heading = if view.is_code { code::heading() } else { format!("{:>12} {columns}", "") };
    buffer.set_stringn(inner.x, inner.y, heading, usize::from(inner.width), state.theme.dim());
    let marks = marks(state);
    let list = rows::lines_of(inner, head, height);
    rows::draw(buffer, list, 0..height, |row| {
        if view.is_code {
            code::line(state, row, &marks)
        } else {
            row_line(state, row as u64, &marks, is_roomy(inner))
        }
    });
    let below = rows::lines_of(inner, head + height, foot);
    foot_line(buffer, below, state, &marks);
}

fn marks(state: &State) -> Vec<Mark> {
    match (state.shown(), state.memory.memory) {
        (Some(snapshot), Memory::Space(space)) => {
            let (from, count) = state.memory.wanted(layout::list_height(state) as u64);
            snapshot.marks(space, from, count)
        }
        (Some(snapshot), Memory::Environment) => {
            let rows = layout::list_height(state) as u64;
            let end = state.memory.top.saturating_add(rows * ROW);
            let first = snapshot.environment.flobs.partition_point(|flob| flob.place < state.memory.top);
            let visible = snapshot.environment.flobs.iter().enumerate().skip(first);
            let named = visible.take_while(|(_, flob)| flob.place < end);
            named.map(|(index, flob)| (flob.place, snapshot.whole(index).to_owned())).collect()
        }
        _ => Vec::new(),
    }
}

/// The marks within a row.
fn marks_in(marks: &[Mark], address: u64) -> &[Mark] {
    let start = marks.partition_point(|mark| mark.0 < address);
    let end = marks.partition_point(|mark| mark.0 < address.saturating_add(ROW));
    marks.get(start..end).unwrap_or_default()
}

/// Whether there is room for a gap in the middle of a row.
fn is_roomy(area: Rect) -> bool {
    area.width > 78
}

fn row_line(state: &State, row: u64, marks: &[Mark], roomy: bool) -> Line<'static> {
    let (view, theme) = (&state.memory, state.theme);
    let Some(address) = view.top.checked_add(row * ROW) else { return Line::default() };
    let here = marks_in(marks, address);
    let mut line = Line::from(span(format!("{address:>12x}"), theme.dim()));
    line.push_span(span(if here.is_empty() { " " } else { "<" }, theme.link()));
    let mut letters = Vec::new();
    for offset in 0..ROW {
        let at = address.saturating_add(offset);
        let (hex, letter, mut style) = match view.byte(at) {
            Some((byte, changed)) => (
                format!("{byte:02x}"),
                printable(byte),
                if changed { theme.changed() } else { heat(state, at) },
            ),
            None => (text::NO_OLD_BYTES.to_owned(), ' ', theme.dim()),
        };
        if here.iter().any(|mark| mark.0 == at) {
            style = style.patch(theme.link()).add_modifier(Modifier::UNDERLINED);
        }
        if at == view.cursor {
            style = style.patch(theme.selected());
        }
        let changed = view.byte(at).is_some_and(|(_, changed)| changed);
        let gap = if changed { theme.signs().changed } else { " " };
        let gap = if offset == 8 && roomy { format!(" {gap}") } else { gap.to_owned() };
        line.push_span(span(gap, theme.changed()));
        line.push_span(span(hex, style));
        letters.push(span(letter.to_string(), style));
    }
    line.push_span(Span::raw(" "));
    letters.into_iter().for_each(|letter| line.push_span(letter));
    line.push_span(span(format!("  {}", names(here)), theme.link()));
    line
}

/// How a byte looks that has changed lately.
pub fn heat(state: &State, address: u64) -> Style {
    state.memory.age(address, state.now).map_or_else(Style::new, |age| state.theme.heat(age))
}

/// What is marked, in a line.
pub fn names(marks: &[Mark]) -> String {
    marks.iter().map(|mark| mark.1.as_str()).collect::<Vec<_>>().join(", ")
}

fn printable(byte: u8) -> char {
    if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '.' }
}

/// The selected address, with the symbol that it lies in.
fn place(state: &State) -> String {
    let address = state.memory.cursor;
    let in_space = matches!(state.memory.memory, Memory::Space(_));
    let symbol = state.shown().filter(|_| in_space).and_then(|snapshot| snapshot.covering(address));
    let symbol = symbol.map(|found| format!(" {}", named(found)));
    format!("{address:#x}{}", symbol.unwrap_or_default())
}

/// The selected address with its symbol, the number there, and who points into its row.
fn foot_line(buffer: &mut Buffer, area: Rect, state: &State, marks: &[Mark]) {
    let view = &state.memory;
    let width = usize::from(area.width);
    if area.height == 0 {
        return;
    }
    let word = view.bytes_at(view.cursor, 8);
    let number = word.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    let place = place(state);
    let value = if word.len() == 8 { text::word_at(&place, number) } else { place };
    let stale = text::age(state.now.saturating_sub(view.arrived));
    buffer.set_stringn(area.x, area.y, format!("{value}  {stale}"), width, state.theme.dim());
    let selected = view.visible_code().iter().find(|one| view.is_code && one.address == view.cursor);
    let here = match selected {
        Some(one) => code::within(marks, one),
        None => marks_in(marks, view.cursor - view.cursor % ROW),
    };
    let (below, style) = match &view.error {
        Some(error) => (error.clone(), state.theme.trouble()),
        None => (names(here), state.theme.link()),
    };
    if area.height > 1 {
        buffer.set_stringn(area.x, area.y + 1, below, width, style);
    }
}
