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

/// The kinds of flob that a link of this kind of flob may lead to.
fn kinds(kind: FlobKind, link: &str) -> &'static [FlobKind] {
    use FlobKind::{Condition, Mapping, Mutex, Port, PortSet, Reference, Region, Space, Thread};
    match (kind, link) {
        (Thread | Region | Mapping, "space") => &[Space],
        (Thread, "waiting_for") => &[Mutex, Condition, Port, PortSet, Thread],
        (Thread, _) | (Mutex, "owner") => &[Thread],
        (Space | Region, _) => &[Port],
        (Mapping, "region") => &[Region],
        (Port, "port_set") => &[PortSet],
        (Reference, "target") => {
            &[Space, Thread, Region, Mapping, Port, PortSet, Mutex, Condition, Reference]
        }
        _ => &[],
    }
}

/// What can be chosen: nothing at all, then the flobs that fit, by name.
pub fn offered(snapshot: &Snapshot, editor: &Editor) -> Vec<String> {
    let Target::Field(place, name) = &editor.target else { return Vec::new() };
    let kind = snapshot.environment.flob(*place).map(|flob| flob.state.kind());
    let Some(kind) = kind.filter(|kind| kind.links().contains(&name.as_str())) else { return Vec::new() };
    let mut sieve = Sieve::default();
    sieve.set_filter(&editor.choices.typed);
    let fits = kinds(kind, name);
    let flobs = snapshot.environment.flobs.iter().zip(&snapshot.names).zip(&snapshot.shorts);
    let fitting = flobs.filter(|((flob, name), short)| {
        fits.contains(&flob.state.kind()) && sieve.lets([name.as_str(), short.as_str()])
    });
    let null = Some("null".to_owned()).filter(|null| sieve.lets([null.as_str()]));
    null.into_iter().chain(fitting.map(|((_, name), _)| name.clone())).take(MOST).collect()
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
