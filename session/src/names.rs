//! What flobs are called: `TYPE:SPACE/SYMBOL[i]` where a symbol covers the flob, `TYPE:SPACE/0xADDRESS` otherwise; each also
//! has a short id, `#a3f`. The same names everywhere, and the way back from what people type ([`find`]).

mod find;
mod label;

use flob_abi::FlobKind;
use flob_image::{Environment, Link, Place};

use crate::{symbols::Symbols, translate::Translation};
use label::Labeler;

pub use find::{Unclear, contains};

/// What one flob is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    kind: FlobKind,
    /// `mutex:philosophers/FORKS[2]`, `space:philosophers`.
    whole: String,
    /// `FORKS[2]`, `0x405000`, or `+0x1200` for what no space sees.
    label: String,
    /// The symbol's whole path, if there is one: `philosophers::table::FORKS[2]`.
    path: Option<String>,
    /// For a thread, as people say: `philosopher-2`.
    nick: Option<String>,
}

impl Name {
    fn new(kind: FlobKind, space: &str, label: String) -> Self {
        let whole = match kind {
            FlobKind::Space => format!("{}:{space}", kind.name()),
            kind => format!("{}:{space}/{label}", kind.name()),
        };
        Self { kind, whole, label, path: None, nick: None }
    }

    /// The whole name: `mutex:philosophers/FORKS[2]`.
    pub fn whole(&self) -> &str {
        &self.whole
    }

    /// For sentences: a thread's or space's own name, the label of anything else.
    pub fn short(&self) -> &str {
        match (&self.nick, self.kind) {
            (Some(nick), _) => nick,
            (None, FlobKind::Space) => self.behind_kind(),
            (None, _) => &self.label,
        }
    }

    fn behind_kind(&self) -> &str {
        self.whole.split_once(':').map_or("", |(_, name)| name)
    }
}

/// The names of all flobs of an environment.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Ascending.
    places: Vec<Place>,
    /// Of each.
    names: Vec<Name>,
    translation: Translation,
}

impl Names {
    /// Of this environment; by addresses only where there are no symbols ([`Symbols::none`]).
    pub fn new(environment: &Environment, symbols: &Symbols) -> Self {
        let translation = Translation::new(environment);
        let labeler = Labeler { environment, symbols, translation: &translation };
        let spaces = labeler.spaces();
        let names = environment.flobs.iter().map(|flob| labeler.name(flob, &spaces)).collect();
        let places = environment.flobs.iter().map(|flob| flob.place).collect();
        let mut names = Self { places, names, translation };
        names.name_first_thread(environment);
        names
    }

    /// Where the memory of each space was, when the environment was looked at.
    pub const fn translation(&self) -> &Translation {
        &self.translation
    }

    /// All of them, in the order of the environment's flobs.
    pub fn all(&self) -> &[Name] {
        &self.names
    }

    /// That of the flob with this index in the environment's list.
    pub fn at(&self, index: usize) -> Option<&Name> {
        self.names.get(index)
    }

    /// That of the flob at this place.
    pub fn of(&self, place: Place) -> Option<&Name> {
        self.at(self.places.binary_search(&place).ok()?)
    }

    /// The whole name: `mutex:philosophers/FORKS[2]`.
    pub fn flob(&self, place: Place) -> String {
        self.of(place).map_or_else(|| format!("nothing:{place:#x}"), |name| name.whole().to_owned())
    }

    /// For sentences: see [`Name::short`].
    pub fn short(&self, place: Place) -> String {
        self.of(place).map_or_else(|| format!("{place:#x}"), |name| name.short().to_owned())
    }

    /// Where a link leads, as a whole name; `-` for nowhere.
    pub fn link(&self, link: &Link) -> String {
        match link {
            Link::Null => "-".into(),
            Link::Flob(place) => self.flob(*place),
            Link::External(tag) => format!("outside:{tag}"),
            Link::Unknown => "outside:unknown".into(),
        }
    }

    /// Calls a flob otherwise than its address says, and a thread so for people.
    pub fn rename(&mut self, place: Place, label: &str, nick: Option<&str>) {
        let index = self.places.binary_search(&place).ok();
        let Some(name) = index.and_then(|index| self.names.get_mut(index)) else { return };
        let inside = name.behind_kind();
        let space = inside.strip_suffix(&name.label).and_then(|space| space.strip_suffix('/'));
        let renamed = Name::new(name.kind, space.unwrap_or(inside), label.into());
        *name = Name { path: name.path.take(), nick: nick.map(str::to_owned), ..renamed };
    }

    /// The nester makes the first thread of the program before anything else.
    fn name_first_thread(&mut self, environment: &Environment) {
        let first = environment.flobs.iter().find(|flob| flob.state.kind() == FlobKind::Thread);
        let nameless = |place: &Place| self.of(*place).is_some_and(|name| name.path.is_none());
        if let Some(place) = first.map(|flob| flob.place).filter(nameless) {
            self.rename(place, "main", Some("main"));
        }
    }
}

/// The short id of a flob: `#a3f`. As unique as its place.
pub fn id(place: Place) -> String {
    format!("#{:x}", place / flob_abi::flob::GRANULE)
}

/// The number of a space as debuggers count processes: 1 is the program's own, any other has its short id as a number.
pub fn process(environment: &Environment, space: Place) -> u64 {
    if spaces(environment).next() == Some(space) { 1 } else { space / flob_abi::flob::GRANULE }
}

/// The space with this number.
pub fn space_of_process(environment: &Environment, number: u64) -> Option<Place> {
    spaces(environment).find(|space| process(environment, *space) == number)
}

/// All spaces; the nester makes the program's before anything else, at the lowest place.
pub fn spaces(environment: &Environment) -> impl Iterator<Item = Place> {
    let spaces = environment.flobs.iter().filter(|flob| flob.state.kind() == FlobKind::Space);
    spaces.map(|space| space.place)
}

#[cfg(test)]
mod tests {
    use flob_abi::{MutexState, SpaceState, ThreadState};
    use flob_image::{Flob, State};

    use super::*;

    pub fn environment() -> Environment {
        let flob =
            |place, state: State| Flob { place, links: vec![Link::Null; state.kind().links().len()], state };
        Environment {
            program: "dinner".into(),
            size: 0x10_000,
            flobs: vec![
                flob(0, State::Space(SpaceState::default())),
                flob(0x1000, State::Thread(ThreadState::default())),
                flob(0x2000, State::Mutex(MutexState::default())),
                flob(0x2200, State::Mutex(MutexState::default())),
            ],
            ..Environment::default()
        }
    }

    #[test]
    fn a_space_is_a_process_and_the_programs_own_is_the_first() {
        let mut environment = environment();
        let second = Flob { place: 0x3a200, ..environment.flobs[0].clone() };
        environment.flobs.push(second);
        assert_eq!((process(&environment, 0), process(&environment, 0x3a200)), (1, 0x1d1));
        assert_eq!(space_of_process(&environment, 0x1d1), Some(0x3a200));
        assert_eq!(space_of_process(&environment, 1), Some(0));
        assert_eq!(space_of_process(&environment, 2), None);
    }
}
