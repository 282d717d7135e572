//! An environment as it was at one look, with everything that drawing needs already found out. Made by the worker; the
//! screen only reads it, row by row.

use std::{cmp::Ordering, sync::Arc};

use flob_abi::{FlobKind, memory::USER_END};
use flob_image::{Environment, Flob, Link, Place, State};
use flob_session::{
    Source,
    names::{Name, Names},
};

use super::{
    graph,
    insight::{Explained, Insight},
    sieve::natural,
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
    pub names: Names,
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
    /// Who waits for whom, drawn.
    pub graph: Vec<graph::Row>,
    /// Threads that wait for each other.
    pub deadlocks: Vec<Deadlock>,
    /// Where each flob's short name stands among all of them.
    ranks: Vec<u32>,
    incoming: Vec<Incoming>,
    insight: Option<Arc<dyn Insight>>,
}

impl Snapshot {
    /// Finds everything out; `before` is the last look that differed from this one, `source` reads stacks.
    pub fn new(
        environment: Environment,
        before: Option<Arc<Environment>>,
        insight: Arc<dyn Insight>,
        source: &mut dyn Source,
    ) -> Self {
        let Explained { names, homes, threads } = insight.explain(&environment, source);
        let rows = tree::build(&environment, &homes);
        let mut snapshot = Self {
            ranks: ranks(&names),
            names,
            changed: changes(&environment, before.as_deref()),
            row_of: tree::rows_of(&rows, environment.flobs.len()),
            rows,
            incoming: incoming(&environment),
            homes,
            before,
            insight: Some(insight),
            environment: Arc::new(environment),
            ..Self::default()
        };
        snapshot.find_waits(threads);
        snapshot.graph = graph::rows(&snapshot.environment, &snapshot.threads, &snapshot.deadlocks);
        snapshot
    }

    fn find_waits(&mut self, explained: Vec<(String, String)>) {
        let is_thread = |(_, flob): &(usize, &Flob)| flob.state.kind() == FlobKind::Thread;
        let threads = self.environment.flobs.iter().enumerate().filter(is_thread);
        let explained = explained.into_iter().chain(std::iter::repeat_with(Default::default));
        let facts = threads.zip(explained).map(|((index, flob), (position, why))| {
            let (target, holder) = waits::target(&self.environment, flob);
            let link = flob.links.get(flob_abi::flob::thread_link::WAITING_FOR).unwrap_or(&Link::Null);
            let waits_for = if *link == Link::Null { String::new() } else { self.short_link(link) };
            let status = waits::status(flob);
            let (flob, place) = (index as u32, flob.place);
            Facts { flob, place, status, position, waits_for, target, holder, deadlock: None, why }
        });
        self.threads = facts.collect();
        self.deadlocks = waits::deadlocks(&self.threads);
        for (number, ring) in self.deadlocks.iter().enumerate() {
            for place in &ring.threads {
                let Ok(index) = self.threads.binary_search_by_key(place, |facts| facts.place) else {
                    continue;
                };
                if let Some(facts) = self.threads.get_mut(index) {
                    facts.deadlock = Some(number);
                }
            }
        }
    }

    /// Where in the list of flobs the one at this place is.
    pub fn index_of(&self, place: Place) -> Option<usize> {
        self.environment.flobs.binary_search_by_key(&place, |flob| flob.place).ok()
    }

    /// The name of the flob at this place; if there is none, the place.
    pub fn name(&self, place: Place) -> String {
        self.names.of(place).map_or_else(|| format!("{place:#x}"), |name| name.whole().to_owned())
    }

    /// A name for sentences and narrow columns.
    pub fn short(&self, place: Place) -> String {
        self.names.short(place)
    }

    /// The name of the flob with this index.
    pub fn whole(&self, index: usize) -> &str {
        self.names.at(index).map(Name::whole).unwrap_or_default()
    }

    /// Where a flob's name, by its index, stands among all.
    pub fn rank(&self, index: usize) -> u32 {
        self.ranks.get(index).copied().unwrap_or_default()
    }

    /// A link, in few letters.
    pub fn short_link(&self, link: &Link) -> String {
        match link {
            Link::Flob(place) => self.short(*place),
            Link::External(name) => name.clone(),
            other => other.to_string(),
        }
    }

    /// A link, for people.
    pub fn link_text(&self, link: &Link) -> String {
        match link {
            Link::Null => "null".into(),
            Link::Flob(place) => self.name(*place),
            Link::External(name) => format!("outside:{name}"),
            Link::Unknown => "outside:unknown".into(),
        }
    }

    /// The address of a symbol or of a line of the source.
    pub fn symbol(&self, name: &str) -> Option<u64> {
        self.insight.as_ref()?.symbol(&self.environment, name)
    }

    /// The symbol that covers an address, and the offset in it.
    pub fn covering(&self, address: u64) -> Option<(String, u64)> {
        self.insight.as_ref()?.covering(&self.environment, address)
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

    /// What points into the memory of a space or lies there, within a range: addresses of registers, with their threads, and of flobs;
    /// ascending.
    pub fn marks(&self, space: Place, from: u64, count: u64) -> Vec<(u64, String)> {
        let mut marks = self.flobs_in(space, from, count);
        let is_near = |address: u64| address >= from && address - from < count;
        for facts in self.threads.iter().filter(|facts| self.home(facts.place) == Some(space)) {
            let flob = self.environment.flobs.get(facts.flob as usize);
            let Some(State::Thread(state)) = flob.map(|flob| &flob.state) else { continue };
            let registers =
                [("rip", state.registers.rip), ("rsp", state.registers.rsp), ("rbp", state.registers.rbp)];
            for (register, address) in registers
                .into_iter()
                .filter(|(_, address)| (1..USER_END).contains(address) && is_near(*address))
            {
                marks.push((address, format!("{register} {}", self.short(facts.place))));
            }
        }
        marks.sort();
        marks
    }
}

impl Snapshot {
    /// Flobs that lie in a range of a space, by the addresses at which it sees them.
    fn flobs_in(&self, space: Place, from: u64, count: u64) -> Vec<(u64, String)> {
        let mut found = Vec::new();
        let mut address = from;
        for (place, size) in self.names.translation().pieces(space, from, count) {
            let flobs = &self.environment.flobs;
            let first = flobs.partition_point(|flob| flob.place < place);
            let inside =
                flobs.iter().enumerate().skip(first).take_while(|(_, flob)| flob.place - place < size);
            let named = |(index, flob): (usize, &Flob)| {
                (address + (flob.place - place), self.whole(index).to_owned())
            };
            found.extend(inside.map(named));
            address += size;
        }
        found
    }
}

/// Found out here, by the worker, so that sorting by name is quick.
fn ranks(names: &Names) -> Vec<u32> {
    let count = names.all().len();
    let mut order: Vec<u32> = (0..count as u32).collect();
    let name = |index: u32| names.at(index as usize).map(Name::short).unwrap_or_default();
    order.sort_by(|one, other| natural(name(*one), name(*other)));
    let mut ranks = vec![0; count];
    for (rank, index) in (0..).zip(order) {
        if let Some(slot) = ranks.get_mut(index as usize) {
            *slot = rank;
        }
    }
    ranks
}

fn incoming(environment: &Environment) -> Vec<Incoming> {
    let mut all = Vec::new();
    for (source, flob) in environment.flobs.iter().enumerate() {
        for (link, target) in flob.links.iter().enumerate() {
            let Link::Flob(place) = target else { continue };
            let Ok(target) = environment.flobs.binary_search_by_key(place, |flob| flob.place) else {
                continue;
            };
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
