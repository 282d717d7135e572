//! What flobs are called: `TYPE:SPACE/SYMBOL[i]` where a symbol covers the flob, `TYPE:SPACE/0xADDRESS` otherwise; each also
//! has a short id, `#a3f`. The same names everywhere, and the way back from what people type.

use std::collections::HashMap;

use flob_abi::FlobKind;
use flob_image::{Environment, Flob, Link, Place};

use crate::{Error, symbols::Symbols, translate::Translation};

/// Candidates listed for a name that fits several.
const MOST_CANDIDATES: usize = 12;

/// What one flob is called.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    kind: FlobKind,
    /// Name of the space that it lies in.
    space: String,
    /// `FORKS[2]`, `0x405000`, or `+0x1200` for what no space sees.
    label: String,
    /// The symbol's whole path, if there is one: `philosophers::table::FORKS[2]`.
    path: Option<String>,
    /// For a thread, as people say: `philosopher-2`.
    nick: Option<String>,
}

impl Name {
    fn full(&self) -> String {
        match self.kind {
            FlobKind::Space => format!("space:{}", self.space),
            kind => format!("{}:{}/{}", kind.name(), self.space, self.label),
        }
    }
}

/// The names of all flobs of an environment.
#[derive(Clone, Debug, Default)]
pub struct Names {
    names: HashMap<Place, Name>,
    /// In the order of places.
    places: Vec<Place>,
    translation: Translation,
}

impl Names {
    /// Of this environment; by addresses only where there are no symbols ([`Symbols::none`]).
    pub fn new(environment: &Environment, symbols: &Symbols) -> Self {
        let translation = Translation::new(environment);
        let labeler = Labeler { environment, symbols, translation: &translation };
        let spaces = labeler.spaces();
        let names = environment.flobs.iter().map(|flob| (flob.place, labeler.name(flob, &spaces))).collect();
        let places = environment.flobs.iter().map(|flob| flob.place).collect();
        let mut names = Self { names, places, translation };
        names.name_first_thread(environment);
        names
    }

    /// Where the memory of each space was, when the environment was looked at.
    pub const fn translation(&self) -> &Translation {
        &self.translation
    }

    /// The whole name: `mutex:philosophers/FORKS[2]`.
    pub fn flob(&self, place: Place) -> String {
        self.names.get(&place).map_or_else(|| format!("nothing:{place:#x}"), Name::full)
    }

    /// For sentences: a thread's or space's own name, the label of anything else.
    pub fn short(&self, place: Place) -> String {
        match self.names.get(&place) {
            None => format!("{place:#x}"),
            Some(Name { nick: Some(nick), .. }) => nick.clone(),
            Some(name) if name.kind == FlobKind::Space => name.space.clone(),
            Some(name) => name.label.clone(),
        }
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

    /// The flob that is meant by a name, a part of one that fits no other, a short id, or its place.
    pub fn find(&self, text: &str) -> Result<Place, Error> {
        self.find_among(text, |_| true)
    }

    /// The flob of one kind that is meant.
    pub fn find_kind(&self, text: &str, kind: FlobKind) -> Result<Place, Error> {
        self.find_among(text, |found| found == kind)
    }

    /// The flob that a link is to lead to: as [`Names::find`], but a number is a whole place or address, and no part of one.
    pub fn find_target(&self, text: &str) -> Result<Place, Error> {
        let is_known = |place| self.names.contains_key(&place);
        match place_in(text) {
            Some(place) if !is_known(place) && !self.names.values().any(|name| name.label == text) => {
                Err(Self::not_found(text))
            }
            _ => self.find(text),
        }
    }

    fn find_among(&self, text: &str, wanted: impl Fn(FlobKind) -> bool) -> Result<Place, Error> {
        // An address may be the place of another flob.
        let is_wanted = |place: &Place| self.names.get(place).is_some_and(|name| wanted(name.kind));
        if let Some(place) = place_in(text).filter(is_wanted) {
            return Ok(place);
        }
        let known = self.places.iter().filter_map(|place| Some((*place, self.names.get(place)?)));
        let known: Vec<(Place, &Name)> = known.filter(|(_, name)| wanted(name.kind)).collect();
        let exact = |(place, name): &&(Place, &Name)| {
            id(*place) == text
                || name.full() == text
                || name.label == text
                || name.nick.as_deref() == Some(text)
                || name.path.as_deref() == Some(text)
                || format!("{}:{}", name.kind.name(), name.label) == text
                || (name.kind == FlobKind::Space && name.space == text)
        };
        let lower = text.to_lowercase();
        let part = |(_, name): &&(Place, &Name)| name.full().to_lowercase().contains(&lower);
        let mut found: Vec<Place> = known.iter().filter(exact).map(|(place, _)| *place).collect();
        let is_exact = !found.is_empty();
        if !is_exact && !text.is_empty() {
            found = known.iter().filter(part).map(|(place, _)| *place).collect();
        }
        match found.as_slice() {
            [place] => Ok(*place),
            [] => Err(Self::not_found(text)),
            several => Err(Error::Usage(self.ambiguous(text, several))),
        }
    }

    fn not_found(text: &str) -> Error {
        Error::NotFound(format!("there is no flob '{text}'; 'flob tree' lists them all"))
    }

    fn ambiguous(&self, text: &str, places: &[Place]) -> String {
        let shown = places
            .iter()
            .take(MOST_CANDIDATES)
            .map(|place| format!("\n  {} {}", self.flob(*place), id(*place)));
        let more = places.len().saturating_sub(MOST_CANDIDATES);
        let more = if more == 0 { String::new() } else { format!("\n  … and {more} more") };
        format!("'{text}' could be any of{}{more}", shown.collect::<String>())
    }

    /// The nester makes the first thread of the program before anything else.
    fn name_first_thread(&mut self, environment: &Environment) {
        let first = environment.flobs.iter().find(|flob| flob.state.kind() == FlobKind::Thread);
        if let Some(name) = first.and_then(|flob| self.names.get_mut(&flob.place))
            && name.path.is_none()
        {
            name.nick = Some("main".into());
            name.label = "main".into();
        }
    }
}

/// A place as it is written: `0x2400`.
fn place_in(text: &str) -> Option<Place> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
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

struct Labeler<'a> {
    environment: &'a Environment,
    symbols: &'a Symbols,
    translation: &'a Translation,
}

impl Labeler<'_> {
    /// Names of the spaces: the first is the program's.
    fn spaces(&self) -> HashMap<Place, String> {
        let mut names: HashMap<Place, String> = HashMap::new();
        for flob in self.environment.flobs.iter().filter(|flob| flob.state.kind() == FlobKind::Space) {
            let own = if names.is_empty() {
                self.environment.program.clone()
            } else {
                let (label, path) = self.label(flob.place, FlobKind::Space);
                if path.is_some() {
                    label
                } else {
                    format!("space-{}", id(flob.place).trim_start_matches('#'))
                }
            };
            let taken = names.values().any(|name| *name == own);
            let name = if taken { format!("{own}-{}", id(flob.place).trim_start_matches('#')) } else { own };
            names.insert(flob.place, name);
        }
        names
    }

    fn name(&self, flob: &Flob, spaces: &HashMap<Place, String>) -> Name {
        let kind = flob.state.kind();
        let (label, path) = self.label(flob.place, kind);
        let home = match kind {
            FlobKind::Space => Some(flob.place),
            _ => self.home(flob),
        };
        let space = home.and_then(|home| spaces.get(&home)).cloned();
        let nick = (kind == FlobKind::Thread).then(|| match &path {
            Some(_) => nick(&label),
            None => format!("thread-{}", id(flob.place).trim_start_matches('#')),
        });
        Name { kind, space: space.unwrap_or_else(|| self.environment.program.clone()), label, path, nick }
    }

    /// The space that sees it; for what no space sees, the one that it belongs to.
    fn home(&self, flob: &Flob) -> Option<Place> {
        let seen = self.translation.addresses(flob.place).next().map(|(space, _)| space);
        seen.or_else(|| {
            let at = flob.state.kind().links().iter().position(|name| *name == "space")?;
            match flob.links.get(at)? {
                Link::Flob(space) => Some(*space),
                _ => None,
            }
        })
    }

    /// Its label, and the whole path of the symbol that covers it.
    fn label(&self, place: Place, kind: FlobKind) -> (String, Option<String>) {
        let Some((_, address)) = self.translation.addresses(place).next() else {
            return (format!("+{place:#x}"), None);
        };
        let Some((symbol, offset)) = self.symbols.symbol(address).filter(|(symbol, _)| symbol.is_data) else {
            return (format!("{address:#x}"), None);
        };
        let suffix = match self.symbols.element_size(symbol.address) {
            Some(element) if offset % element == 0 => format!("[{}]", offset / element),
            Some(element) => format!("[{}]+{:#x}", offset / element, offset % element),
            None if offset == 0 => String::new(),
            None if offset % kind.size() == 0 && symbol.size == 0 => format!("[{}]", offset / kind.size()),
            None => format!("+{offset:#x}"),
        };
        (format!("{}{suffix}", symbol.short_name()), Some(format!("{}{suffix}", symbol.name)))
    }
}

/// What people call a thread that lies in `WORKERS[2]`: `worker-2`.
fn nick(label: &str) -> String {
    let (name, index) = match label.split_once('[') {
        Some((name, rest)) => (name.strip_suffix(['s', 'S']).unwrap_or(name), rest.trim_end_matches(']')),
        None => (label, ""),
    };
    let name = name.to_lowercase().replace('_', "-");
    if index.is_empty() { name } else { format!("{name}-{index}") }
}

#[cfg(test)]
mod tests {
    use flob_abi::{MutexState, SpaceState, ThreadState};
    use flob_image::State;

    use super::*;

    fn environment() -> Environment {
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
    fn names_lead_back_to_their_flobs() {
        let environment = environment();
        let names = Names::new(&environment, &Symbols::none());
        for flob in &environment.flobs {
            assert_eq!(names.find(&names.flob(flob.place)).expect("found"), flob.place);
            assert_eq!(names.find(&id(flob.place)).expect("found"), flob.place);
        }
        assert_eq!(names.find("main").expect("found"), 0x1000);
        assert_eq!(names.flob(0), "space:dinner");
    }

    #[test]
    fn places_lead_to_their_flobs_and_as_targets_are_no_parts_of_names() {
        let environment = environment();
        let names = Names::new(&environment, &Symbols::none());
        for flob in &environment.flobs {
            let place = format!("{:#x}", flob.place);
            assert_eq!(names.find(&place).expect("found"), flob.place);
            assert_eq!(names.find_target(&place).expect("found"), flob.place);
        }
        // A part of `+0x2200`, and of nothing else.
        assert_eq!(names.find("0x220").expect("found"), 0x2200);
        assert!(matches!(names.find_target("0x220"), Err(Error::NotFound(_))));
        assert_eq!(names.find_target("main").expect("found"), 0x1000);
    }

    /// It was said to be either.
    #[test]
    fn a_place_is_meant_also_where_another_flob_has_that_address() {
        let mut names = Names::new(&environment(), &Symbols::none());
        names.names.get_mut(&0x2200).expect("a mutex").label = "0x2000".into();
        assert_eq!(names.find("0x2000").expect("found"), 0x2000);
        assert_eq!(names.find_target("0x2000").expect("found"), 0x2000);
        assert_eq!(names.find_kind("0x2000", FlobKind::Mutex).expect("found"), 0x2000);
        assert_eq!(names.find("mutex:dinner/0x2000").expect("found"), 0x2200);
    }

    #[test]
    fn a_name_that_fits_several_lists_them() {
        let names = Names::new(&environment(), &Symbols::none());
        let error = names.find("mutex").expect_err("two mutexes").to_string();
        assert!(error.contains("#10") && error.contains("#11"), "{error}");
        assert!(matches!(names.find("nonsense"), Err(Error::NotFound(_))));
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

    #[test]
    fn threads_are_called_as_people_say() {
        assert_eq!(nick("PHILOSOPHERS[2]"), "philosopher-2");
        assert_eq!(nick("TALLY_SERVER"), "tally-server");
    }
}
