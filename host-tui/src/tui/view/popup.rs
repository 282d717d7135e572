//! Questions, in the middle of the screen.

use flob_image::fields;
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
    widgets::{Clear, Widget},
};

use super::super::{
    edit::{Edit, format_bytes},
    state::{Question, State},
    text,
};
use super::rows::{self, span};

/// Columns before a value that has a line of its own.
const INDENT: usize = 2;

/// Draws a question.
pub fn draw(buffer: &mut Buffer, question: &Question, state: &State) {
    let width = usize::from(state.size.0.saturating_sub(4)).min(96);
    let (title, mut lines) = contents(question, state, width.saturating_sub(2));
    let most = usize::from(state.size.1.saturating_sub(4));
    if lines.len() > most {
        // The last line says which keys answer.
        let answer = lines.pop();
        lines.truncate(most.saturating_sub(2));
        lines.push(Line::from(text::MORE));
        lines.extend(answer);
    }
    let height = lines.len() as u16 + 2;
    let area = Rect::new(
        (state.size.0 - width as u16) / 2,
        state.size.1.saturating_sub(height) / 2,
        width as u16,
        height.min(state.size.1),
    );
    Clear.render(area, buffer);
    let inner = rows::pane(buffer, area, Line::from(title), true, state);
    rows::draw(buffer, inner, 0..lines.len(), |index| lines.get(index).cloned().unwrap_or_default());
}

fn contents(question: &Question, state: &State, width: usize) -> (&'static str, Vec<Line<'static>>) {
    let sentence = |text: &str| -> Vec<Line<'static>> {
        let mut lines: Vec<Line<'static>> = rows::wrap(text, width).into_iter().map(Line::from).collect();
        lines.push(Line::default());
        lines.push(Line::from(span(text::CONFIRM_KEYS, state.theme.key())));
        lines
    };
    match question {
        Question::Apply => {
            let mut lines: Vec<Line<'static>> =
                state.pending.iter().flat_map(|edit| edit_lines(state, edit, width)).collect();
            lines.push(Line::from(span(text::APPLY_KEYS, state.theme.key())));
            (if state.is_live() { text::APPLY_TITLE } else { text::SAVE_EDITED_TITLE }, lines)
        }
        Question::Restore(id) => (text::RESTORE_TITLE, sentence(&text::restore_question(id))),
        Question::Undo => (text::UNDO_TITLE, sentence(text::UNDO_QUESTION)),
        Question::Remove(id) => (text::REMOVE_TITLE, sentence(&text::remove_question(id))),
        Question::Discard => (text::QUIT_TITLE, sentence(text::DISCARD)),
        Question::Quit => (text::QUIT_TITLE, text::QUIT_LINES.into_iter().map(Line::from).collect()),
    }
}

/// What an edit changes: in one line, or where that has no room for it in one for each of the place, the old value and the new one.
fn edit_lines(state: &State, edit: &Edit, width: usize) -> Vec<Line<'static>> {
    let named = |text: &str| match (state.shown(), fields::parse_link(text)) {
        (Some(snapshot), Some(link @ flob_image::Link::Flob(_))) => snapshot.link_text(&link),
        _ => text.to_owned(),
    };
    let (what, old, new) = match edit {
        Edit::Field { place, name, old, new } => {
            let kind = state
                .shown()
                .and_then(|snapshot| snapshot.environment.flob(*place))
                .map(|flob| flob.state.kind());
            let is_link = kind.is_some_and(|kind| kind.links().contains(&name.as_str()));
            let show = |text: &str| if is_link { named(text) } else { text.to_owned() };
            (format!("{} {name}", state.name(*place)), show(old), show(new))
        }
        Edit::Memory { poke, old } => {
            (format!("{:#x}", poke.address), format_bytes(old), format_bytes(&poke.bytes))
        }
    };
    let (dim, pending, to) = (state.theme.dim(), state.theme.pending(), state.theme.signs().to);
    let whole =
        vec![Span::raw(format!("{what}: ")), span(old.clone(), dim), span(format!(" {to} {new}"), pending)];
    let whole = Line::from(whole);
    if whole.width() <= width {
        return vec![whole];
    }
    let below = |text: String, style| {
        let lines = rows::wrap(&text, width.saturating_sub(INDENT));
        lines.into_iter().map(move |line| Line::from(span(format!("{:INDENT$}{line}", ""), style)))
    };
    let values = below(old, dim).chain(below(format!("{to} {new}"), pending));
    [Line::from(format!("{what}:"))].into_iter().chain(values).collect()
}
