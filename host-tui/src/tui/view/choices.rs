//! The flobs that a link can be set to, just above the line in which it is typed.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::Line,
    widgets::{Clear, Widget},
};

use super::super::{choices, edit::Editor, list::List, state::State, text};
use super::rows;

/// Most rows.
const ROWS: usize = 8;

/// Draws them above the footer; nothing if nothing can be chosen.
pub fn draw(buffer: &mut Buffer, footer: Rect, editor: &Editor, state: &State) {
    let offered = state.shown().map(|snapshot| choices::offered(snapshot, editor)).unwrap_or_default();
    let height = offered.len().min(ROWS);
    let needed = height as u16 + 2;
    if offered.is_empty() || footer.y <= needed {
        return;
    }
    let area = Rect { x: 0, y: footer.y - needed, width: state.size.0.min(60), height: needed };
    Clear.render(area, buffer);
    let inner = rows::pane(buffer, area, Line::from(text::CHOICES_TITLE), true, state);
    let chosen = editor.choices.chosen;
    let mut list = List { selected: chosen.unwrap_or(0), offset: 0 };
    list.settle(offered.len(), height);
    rows::draw(buffer, inner, list.window(offered.len(), height), |index| {
        let name = offered.get(index).cloned().unwrap_or_default();
        Line::from(name).style(rows::row_style(state, chosen == Some(index), true))
    });
}
