//! A link is chosen from the flobs that fit it: of the right kind, and with what was typed in their name.

use crossterm::event::{KeyCode, KeyEvent};
use flob_abi::FlobKind;

use super::{
    edit::{Editor, Target},
    line::Line,
    sieve::Sieve,
    snapshot::Snapshot,
    state::State,
};

/// Most that are offered: who wants another types more of its name.
const MOST: usize = 200;

/// What was typed since the editor was opened, and which of the flobs that fit is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    typed: String,
    /// Which of them.
    pub chosen: Option<usize>,
}

impl Choices {
    /// Something else was typed.
    pub fn typed(&mut self, text: &str) {
        *self = Self { typed: text.to_owned(), chosen: None };
    }
}

/// What can be chosen: nothing at all, then the flobs that fit, by name.
pub fn offered(snapshot: &Snapshot, editor: &Editor) -> Vec<String> {
    let Target::Field(place, name) = &editor.target else { return Vec::new() };
    let kind = snapshot.environment.flob(*place).map(|flob| flob.state.kind());
    let link = |kind: FlobKind| Some((kind, kind.links().iter().position(|link| link == name)?));
    let Some((kind, link)) = kind.and_then(link) else { return Vec::new() };
    let mut sieve = Sieve::default();
    sieve.set_filter(&editor.choices.typed);
    let flobs = snapshot.environment.flobs.iter().zip(snapshot.names.all());
    let fitting = flobs.filter(|(flob, name)| {
        kind.may_lead(link, flob.state.kind()) && sieve.lets([name.whole(), name.short()])
    });
    let null = Some("null".to_owned()).filter(|null| sieve.lets([null.as_str()]));
    null.into_iter().chain(fitting.map(|(_, name)| name.whole().to_owned())).take(MOST).collect()
}

/// Takes a key that chooses; false if it is none.
pub fn choose(state: &State, editor: &mut Editor, key: KeyEvent) -> bool {
    let forward = match key.code {
        KeyCode::Down | KeyCode::Tab => true,
        KeyCode::Up | KeyCode::BackTab => false,
        _ => return false,
    };
    let offered = state.shown().map(|snapshot| offered(snapshot, editor)).unwrap_or_default();
    let count = offered.len();
    let next = match editor.choices.chosen {
        None if forward => 0,
        None => count.saturating_sub(1),
        Some(chosen) if forward => (chosen + 1) % count.max(1),
        Some(chosen) => (chosen + count.max(1) - 1) % count.max(1),
    };
    if let Some(name) = offered.get(next) {
        editor.choices.chosen = Some(next);
        editor.line = Line::new(name.clone());
    }
    true
}
