//! Who waits for whom, as trees and rings: under each flob the threads that wait for it, under each thread the mutexes that it
//! holds and the clients that it serves. Everything has one above it at most: what a thread waits for, or who holds a mutex.
//! Where that goes round in a circle it is a deadlock, which is drawn as a ring.

use std::collections::{BTreeMap, HashSet};

use flob_abi::{FlobKind, flob::thread_link};
use flob_image::{Environment, Link, Place};

use super::waits::{Deadlock, Facts};

/// What a row shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Node {
    /// The head of a ring of so many threads.
    Deadlock(usize),
    /// A flob.
    Flob(Place),
    /// Something outside of the environment, by its name.
    Outside(String),
}

/// What it has to do with the row above it that it hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// It hangs on nothing.
    Root,
    /// A thread in a ring, which waits for what the next one holds, or for the next one.
    Ring,
    /// A thread that waits for it, of this kind; `None`: for something outside.
    Waits(Option<FlobKind>),
    /// A mutex that it holds.
    Held,
    /// A client that it serves.
    Served,
}

/// A row of the drawing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The lines that lead to it.
    pub lead: String,
    /// What it shows.
    pub node: Node,
    /// Why it is where it is.
    pub relation: Relation,
}

impl Row {
    /// The flob that it shows.
    pub fn place(&self) -> Option<Place> {
        match self.node {
            Node::Flob(place) => Some(place),
            _ => None,
        }
    }
}

/// Longest lead, in characters: deeper rows are drawn as deep as that.
const LONGEST_LEAD: usize = 60;

type Child = (Relation, Node);

/// The whole drawing: rings first, then the trees, then threads with which nobody has to do.
pub fn rows(environment: &Environment, threads: &[Facts], deadlocks: &[Deadlock]) -> Vec<Row> {
    let ringed = deadlocks.iter().flat_map(|ring| &ring.threads).copied().collect();
    let mut graph = Graph { ringed, ..Graph::default() };
    threads.iter().for_each(|facts| graph.add_wait(environment, facts));
    threads.iter().for_each(|facts| graph.add_client(environment, facts));
    deadlocks.iter().for_each(|ring| graph.draw_ring(ring));
    for root in graph.roots(threads) {
        graph.draw_tree("", "", (Relation::Root, root));
    }
    graph.rows
}

#[derive(Default)]
struct Graph {
    /// Threads that are in rings.
    ringed: HashSet<Place>,
    children: BTreeMap<Node, Vec<Child>>,
    /// What hangs on something.
    below: HashSet<Node>,
    rows: Vec<Row>,
}

impl Graph {
    fn hang(&mut self, above: Node, relation: Relation, node: Node) {
        if self.below.insert(node.clone()) {
            self.children.entry(above).or_default().push((relation, node));
        }
    }

    /// A thread hangs on what it waits for, and a mutex on its holder. Who waits for a ring hangs on its member.
    fn add_wait(&mut self, environment: &Environment, facts: &Facts) {
        let thread = Node::Flob(facts.place);
        if self.ringed.contains(&facts.place) {
            return;
        }
        let Some(target) = facts.target else {
            if !facts.waits_for.is_empty() {
                self.hang(Node::Outside(facts.waits_for.clone()), Relation::Waits(None), thread);
            }
            return;
        };
        let kind = environment.flob(target).map(|flob| flob.state.kind());
        match facts.holder.filter(|holder| *holder != target) {
            Some(holder) if self.ringed.contains(&holder) => {
                self.hang(Node::Flob(holder), Relation::Waits(kind), thread);
            }
            Some(holder) => {
                self.hang(Node::Flob(target), Relation::Waits(kind), thread);
                self.hang(Node::Flob(holder), Relation::Held, Node::Flob(target));
            }
            None => self.hang(Node::Flob(target), Relation::Waits(kind), thread),
        }
    }

    /// A client hangs on its server unless it hangs on something already, or the server on it.
    fn add_client(&mut self, environment: &Environment, facts: &Facts) {
        let links = environment.flobs.get(facts.flob as usize).map(|flob| &flob.links);
        let Some(Link::Flob(client)) = links.and_then(|links| links.get(thread_link::SERVER_PEER)) else {
            return;
        };
        let (server, client) = (Node::Flob(facts.place), Node::Flob(*client));
        if !self.ringed.contains(&facts.place) && !self.is_below(&server, &client) {
            self.hang(server, Relation::Served, client);
        }
    }

    /// Whether a node hangs on another, however far below.
    fn is_below(&self, node: &Node, above: &Node) -> bool {
        let mut left = vec![above];
        while let Some(next) = left.pop() {
            if next == node {
                return true;
            }
            left.extend(self.children.get(next).into_iter().flatten().map(|(_, child)| child));
        }
        false
    }

    /// What hangs on nothing: first what something hangs on, then lonely threads.
    fn roots(&self, threads: &[Facts]) -> Vec<Node> {
        let is_root = |node: &Node| {
            !self.below.contains(node) && !matches!(node, Node::Flob(place) if self.ringed.contains(place))
        };
        let lonely = threads.iter().map(|facts| Node::Flob(facts.place));
        let lonely = lonely.filter(|node| is_root(node) && !self.children.contains_key(node));
        self.children.keys().filter(|node| is_root(node)).cloned().chain(lonely).collect()
    }

    fn draw_ring(&mut self, ring: &Deadlock) {
        let count = ring.threads.len();
        self.push("", Node::Deadlock(count), Relation::Root);
        for (index, place) in ring.threads.iter().enumerate() {
            let (lead, beside) = match index {
                _ if index + 1 == count => ("╰─ ", "   "),
                0 => ("╭→ ", "│  "),
                _ => ("│  ", "│  "),
            };
            self.draw_tree(lead, beside, (Relation::Ring, Node::Flob(*place)));
        }
    }

    fn push(&mut self, lead: &str, node: Node, relation: Relation) {
        self.rows.push(Row { lead: lead.to_owned(), node, relation });
    }

    /// A node with all below it, not by recursion: a chain may be as long as a program likes. `lead` leads to it, `beside`
    /// stands before what is below it.
    fn draw_tree(&mut self, lead: &str, beside: &str, root: Child) {
        let mut left = vec![(lead.to_owned(), beside.to_owned(), root)];
        while let Some((lead, beside, (relation, node))) = left.pop() {
            let children = self.children.remove(&node).unwrap_or_default();
            self.push(&lead, node, relation);
            let is_deep = beside.chars().count() > LONGEST_LEAD;
            for (index, child) in children.into_iter().rev().enumerate() {
                let (branch, below) = match index {
                    _ if is_deep => ("", ""),
                    0 => ("└─ ", "   "),
                    _ => ("├─ ", "│  "),
                };
                left.push((format!("{beside}{branch}"), format!("{beside}{below}"), child));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use flob_abi::{MutexState, PortState, ThreadState};
    use flob_image::{Flob, State};

    use super::*;
    use crate::tui::waits;

    fn thread(place: Place, waits_for: Link, serves: Link) -> Flob {
        let mut links = vec![Link::Null; FlobKind::Thread.links().len()];
        links[thread_link::WAITING_FOR] = waits_for;
        links[thread_link::SERVER_PEER] = serves;
        Flob { place, state: State::Thread(ThreadState::default()), links }
    }

    fn mutex(place: Place, owner: Place) -> Flob {
        let state = State::Mutex(MutexState { locked: 1, ..MutexState::default() });
        Flob { place, state, links: vec![Link::Flob(owner)] }
    }

    /// The drawing with places for names.
    fn drawn(mut flobs: Vec<Flob>) -> Vec<String> {
        flobs.sort_by_key(|flob| flob.place);
        let environment = Environment { flobs, ..Environment::default() };
        let all = environment.flobs.iter().enumerate();
        let threads = all.filter(|(_, flob)| flob.state.kind() == FlobKind::Thread).map(|(index, flob)| {
            let (target, holder) = waits::target(&environment, flob);
            let waits_for = match &flob.links[thread_link::WAITING_FOR] {
                Link::External(name) => name.clone(),
                _ => String::new(),
            };
            let (place, status) = (flob.place, waits::status(flob));
            let (position, why) = (String::new(), String::new());
            Facts {
                flob: index as u32,
                place,
                status,
                position,
                waits_for,
                target,
                holder,
                deadlock: None,
                why,
            }
        });
        let threads: Vec<Facts> = threads.collect();
        let rows = rows(&environment, &threads, &waits::deadlocks(&threads));
        let name = |node: &Node| match node {
            Node::Deadlock(count) => format!("deadlock of {count}"),
            Node::Flob(place) => format!("{place:x}"),
            Node::Outside(name) => name.clone(),
        };
        rows.iter().map(|row| format!("{}{}", row.lead, name(&row.node))).collect()
    }

    #[test]
    fn waiters_hang_on_what_they_wait_for_and_mutexes_on_their_holders() {
        let to = Link::Flob;
        let drawn = drawn(vec![
            thread(0x10, Link::Null, Link::Null),
            thread(0x20, to(0x90), Link::Null),
            thread(0x30, to(0x90), Link::Null),
            thread(0x40, Link::External("stdin".into()), Link::Null),
            thread(0x50, Link::Null, Link::Null),
            mutex(0x90, 0x10),
        ]);
        assert_eq!(drawn, ["10", "└─ 90", "   ├─ 20", "   └─ 30", "stdin", "└─ 40", "50"]);
    }

    #[test]
    fn a_ring_is_drawn_as_one_and_who_waits_for_it_beside_it() {
        let to = Link::Flob;
        let drawn = drawn(vec![
            thread(0x10, to(0x91), Link::Null),
            thread(0x20, to(0x92), Link::Null),
            thread(0x30, to(0x90), Link::Null),
            thread(0x40, to(0x91), Link::Null),
            thread(0x50, to(0x40), Link::Null),
            mutex(0x90, 0x10),
            mutex(0x91, 0x20),
            mutex(0x92, 0x30),
        ]);
        assert_eq!(drawn, ["deadlock of 3", "╭→ 10", "│  20", "│  └─ 40", "│     └─ 50", "╰─ 30"]);
    }

    #[test]
    fn clients_hang_on_their_servers_but_never_in_a_circle() {
        let to = Link::Flob;
        let port = Flob { place: 0x90, state: State::Port(PortState::default()), links: vec![Link::Null] };
        let drawn = drawn(vec![
            thread(0x10, Link::Null, to(0x20)),
            thread(0x20, Link::Null, Link::Null),
            thread(0x30, to(0x40), to(0x40)),
            thread(0x40, Link::Null, to(0x30)),
            port,
        ]);
        assert_eq!(drawn, ["10", "└─ 20", "40", "└─ 30"]);
    }

    #[test]
    fn a_chain_of_a_thousand_threads_is_drawn() {
        let chain =
            (0..1000u64).map(|number| thread(number << 12, Link::Flob((number + 1) << 12), Link::Null));
        let last = thread(1000 << 12, Link::Null, Link::Null);
        let drawn = drawn(chain.chain([last]).collect());
        assert_eq!(drawn.len(), 1001);
        assert!(drawn.iter().all(|row| row.chars().count() < LONGEST_LEAD + 16));
    }
}
