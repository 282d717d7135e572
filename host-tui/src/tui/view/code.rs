//! Memory as instructions: address, bytes, text, and the registers that point there.

use ratatui::text::Line;

use super::super::{disassembly::Instruction, state::State, text};
use super::{
    memory::{Mark, heat, names},
    rows::{fit, span},
};

/// Bytes of an instruction that are shown.
const BYTES: usize = 8;

/// The line above.
pub fn heading() -> String {
    format!("{:>12}  {} {}", text::CODE_HEAD[0], fit(text::CODE_HEAD[1], 3 * BYTES), text::CODE_HEAD[2])
}

/// The visible instruction with this number.
pub fn line(state: &State, row: usize, marks: &[Mark]) -> Line<'static> {
    let Some(one) = state.memory.visible_code().get(row) else { return Line::default() };
    let theme = state.theme;
    let here = within(marks, one);
    let mut line = Line::from(span(format!("{:>12x}", one.address), theme.dim()));
    line.push_span(span(if here.is_empty() { "  " } else { "< " }, theme.link()));
    for (offset, byte) in one.bytes.iter().take(BYTES).enumerate() {
        line.push_span(span(format!("{byte:02x} "), heat(state, one.address + offset as u64)));
    }
    let shown = one.bytes.len().min(BYTES);
    let more = if one.bytes.len() > BYTES { "+" } else { " " };
    line.push_span(span(format!("{}{more}", "   ".repeat(BYTES - shown)), theme.dim()));
    if let Some(name) = &one.begins {
        line.push_span(span(format!("{name}: "), theme.title()));
    }
    line.push_span(span(one.text.clone(), Default::default()));
    line.push_span(span(format!("  {}", names(here)), theme.link()));
    if one.address == state.memory.cursor { line.style(theme.selected()) } else { line }
}

/// The marks within an instruction.
pub fn within<'a>(marks: &'a [Mark], one: &Instruction) -> &'a [Mark] {
    let start = marks.partition_point(|mark| mark.0 < one.address);
    let end = marks.partition_point(|mark| mark.0 < one.end());
    marks.get(start..end).unwrap_or_default()
}
