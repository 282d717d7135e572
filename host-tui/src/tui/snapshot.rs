//! An environment as it was at one look, with everything that drawing needs already found out. Made by the worker; the
//! screen only reads it, row by row.

use std::{cmp::Ordering, sync::Arc};

use flob_abi::{FlobKind, memory::USER_END};
use flob_image::{Environment, Flob, Link, Place, State};

use super::{
    insight::Insight,
    tree::{self, Row},
    waits::{self, Deadlock, Facts},
};

/// A link seen from the flob it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Incoming {
    /// Index of the flob it leads to.
    pub target: u32,
    /// Index of the flob that has it.
    pub source: u32,
    /// Which of its links.
    pub link: u8,
}

/// One look at an environment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// All there is.
    pub environment: Arc<Environment>,
    /// The last look that differed.
    pub before: Option<Arc<Environment>>,
    /// A name for each flob.
    pub names: Vec<String>,
    /// Whether each flob differs from the last look.
    pub changed: Vec<bool>,
    /// The space each flob lies in, by index.
    pub homes: Vec<Option<u32>>,
    /// The tree, unfolded.
    pub rows: Vec<Row>,
    /// The row of each flob in the tree.
    pub row_of: Vec<u32>,
    /// Threads, ascending by place.
    pub threads: Vec<Facts>,
    /// Threads that wait for each other.
    pub deadlocks: Vec<Deadlock>,
    incoming: Vec<Incoming>,
    insight: Option<Arc<dyn Insight>>,
}

impl Snapshot {
    /// Finds everything out; `before` is the last look that differed from this one.
    pub fn new(environment: Environment, before: Option<Arc<Environment>>, insight: Arc<dyn Insight>) -> Self {
        let homes = insight.homes(&environment);
        let mut snapshot = Self {
            names: insight.names(&environment),
            changed: changes(&environment, before.as_deref()),
            rows: tree::build(&environment, &homes),
            incoming: incoming(&environment),
            homes,
            before,
            ..Self::default()
        };
        snapshot.row_of = tree::rows_of(&snapshot.rows, environment.flobs.len());
        snapshot.environment = Arc::new(environment);
        snapshot.find_waits(insight.as_ref());
        snapshot.insight = Some(insight);
        snapshot
    }

    fn find_waits(&mut self, insight: &dyn Insight) {
        let environment = &self.environment;
        let is_thread = |(_, flob): &(usize, &Flob)| flob.state.kind() == FlobKind::Thread;
        let threads = environment.flobs.iter().enumerate().filter(is_thread);
        self.threads = threads.map(|(index, flob)| self.facts(index, flob, insight)).collect();
        self.deadlocks = waits::deadlocks(&self.threads);
        let name = |place| self.name(place);
        let why = |index: usize, facts: &Facts| {
            insight.why(environment, facts.place).unwrap_or_else(|| waits::sentence(&self.threads, index, name))
        };
        let sentences: Vec<String> =
            self.threads.iter().enumerate().map(|(index, facts)| why(index, facts)).collect();
        for (facts, why) in self.threads.iter_mut().zip(sentences) {
            facts.why = why;
            facts.deadlock = self.deadlocks.iter().position(|ring| ring.threads.contains(&facts.place));
        }
    }

    fn facts(&self, index: usize, flob: &Flob, insight: &dyn Insight) -> Facts {
        let (target, holder) = waits::target(&self.environment, flob);
        let link = flob.links.get(flob_abi::flob::thread_link::WAITING_FOR).unwrap_or(&Link::Null);
        Facts {
            flob: index as u32,
            place: flob.place,
            status: waits::status(flob),
            position: insight.position(&self.environment, flob.place).unwrap_or_default(),
            waits_for: if *link == Link::Null { String::new() } else { self.link_text(link) },
            target,
            holder,
            deadlock: None,
            why: String::new(),
        }
    }

    /// Where in the list of flobs the one at this place is.
    pub fn index_of(&self, place: Place) -> Option<usize> {
        self.environment.flobs.binary_search_by_key(&place, |flob| flob.place).ok()
    }

    /// The name of the flob at this place; if there is none, the place.
    pub fn name(&self, place: Place) -> String {
        let name = self.index_of(place).and_then(|index| self.names.get(index));
        name.cloned().unwrap_or_else(|| format!("{place:#x}"))
    }

    /// A link, for people.
    pub fn link_text(&self, link: &Link) -> String {
        match link {
            Link::Null => "null".into(),
            Link::Flob(place) => self.name(*place),
            Link::External(name) => format!("outside: {name}"),
            Link::Unknown => "outside: unknown".into(),
        }
    }

    /// The address of a symbol.
    pub fn symbol(&self, name: &str) -> Option<u64> {
        self.insight.as_ref()?.symbol(name)
    }

    /// What is known of the thread at this place.
    pub fn facts_of(&self, place: Place) -> Option<&Facts> {
        let index = self.threads.binary_search_by_key(&place, |facts| facts.place).ok()?;
        self.threads.get(index)
    }

    /// The links that lead to the flob with this index.
    pub fn incoming(&self, target: usize) -> &[Incoming] {
        let target = target as u32;
        let start = self.incoming.partition_point(|link| link.target < target);
        let end = self.incoming.partition_point(|link| link.target <= target);
        self.incoming.get(start..end).unwrap_or_default()
    }

    /// The space that the flob at this place lies in.
    pub fn home(&self, place: Place) -> Option<Place> {
        let home = self.homes.get(self.index_of(place)?).copied().flatten()?;
        self.environment.flobs.get(home as usize).map(|space| space.place)
    }

    /// The flob meant by a person: its name, the end of its name, or its place in hexadecimal.
    pub fn find(&self, text: &str) -> Result<Place, String> {
        let text = text.trim();
        let number = text.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
        if let Some(place) = number.filter(|place| self.index_of(*place).is_some()) {
            return Ok(place);
        }
        let places = |test: &dyn Fn(&str) -> bool| -> Vec<Place> {
            let pairs = self.environment.flobs.iter().zip(&self.names);
            pairs.filter(|(_, name)| test(name)).map(|(flob, _)| flob.place).collect()
        };
        let exact = places(&|name| name == text);
        let found = if exact.is_empty() { places(&|name| name.ends_with(text)) } else { exact };
        match found.as_slice() {
            [place] if !text.is_empty() => Ok(*place),
            [] => Err(super::text::no_such_flob(text)),
            several => {
                let names: Vec<String> = several.iter().take(6).map(|place| self.name(*place)).collect();
                Err(super::text::ambiguous(text, &names))
            }
        }
    }

    /// Where registers point into the memory of a space: address, register and thread; ascending.
    pub fn marks(&self, space: Place) -> Vec<(u64, String)> {
        let mut marks = Vec::new();
        for facts in self.threads.iter().filter(|facts| self.home(facts.place) == Some(space)) {
            let flob = self.environment.flobs.get(facts.flob as usize);
            let Some(State::Thread(state)) = flob.map(|flob| &flob.state) else { continue };
            let registers = [("rip", state.registers.rip), ("rsp", state.registers.rsp), ("rbp", state.registers.rbp)];
            for (register, address) in registers.into_iter().filter(|(_, address)| (1..USER_END).contains(address)) {
                marks.push((address, format!("{register} {}", short(&self.name(facts.place)))));
            }
        }
        marks.sort();
        marks
    }
}

/// A flob's name without its kind and space.
pub fn short(name: &str) -> &str {
    name.rsplit_once('/').or_else(|| name.rsplit_once(':')).map_or(name, |(_, last)| last)
}

fn incoming(environment: &Environment) -> Vec<Incoming> {
    let mut all = Vec::new();
    for (source, flob) in environment.flobs.iter().enumerate() {
        for (link, target) in flob.links.iter().enumerate() {
            let Link::Flob(place) = target else { continue };
            let Ok(target) = environment.flobs.binary_search_by_key(place, |flob| flob.place) else { continue };
            all.push(Incoming { target: target as u32, source: source as u32, link: link as u8 });
        }
    }
    all.sort_unstable();
    all
}

/// Both lists ascend by place, so one pass through both finds what differs.
fn changes(now: &Environment, before: Option<&Environment>) -> Vec<bool> {
    let Some(before) = before else { return vec![false; now.flobs.len()] };
    let mut old = before.flobs.iter().peekable();
    let differs = |flob: &Flob| {
        while old.peek().is_some_and(|old| old.place.cmp(&flob.place) == Ordering::Less) {
            old.next();
        }
        old.peek().is_none_or(|old| **old != *flob)
    };
    now.flobs.iter().map(differs).collect()
}
