//! Who waits for whom, as lines of text: the wait graph.

use std::collections::BTreeSet;

use flob_abi::{FlobKind, flob::thread_link};
use flob_image::{Flob, Link, Place};

use crate::place::Map;

impl Map<'_> {
    /// The threads that are part of a circle, or wait for one.
    pub fn stuck(&self) -> BTreeSet<Place> {
        self.threads().filter_map(|thread| self.deadlock(thread.place)).flatten().collect()
    }

    /// A line for each thread that waits: `philosopher-0 → FORKS[1] → philosopher-1`, the mutex's owner behind it.
    pub fn wait_graph(&self) -> Vec<String> {
        let stuck = self.stuck();
        let line = |thread: &Flob| {
            let link = thread.links.get(thread_link::WAITING_FOR).filter(|link| **link != Link::Null)?;
            let owner = self.mutex_owner(link);
            let owner = owner.map(|owner| format!(" → {}", self.names.short(owner))).unwrap_or_default();
            let mark = if stuck.contains(&thread.place) { "  (deadlock)" } else { "" };
            Some(format!("{} → {}{owner}{mark}", self.names.short(thread.place), self.short_link(link)))
        };
        self.threads().filter_map(line).collect()
    }

    fn threads(&self) -> impl Iterator<Item = &Flob> {
        self.environment.flobs.iter().filter(|flob| flob.state.kind() == FlobKind::Thread)
    }

    fn short_link(&self, link: &Link) -> String {
        match link {
            Link::Flob(place) => self.names.short(*place),
            other => self.names.link(other),
        }
    }

    /// Who owns the mutex that a link leads to.
    fn mutex_owner(&self, link: &Link) -> Option<Place> {
        let Link::Flob(place) = link else { return None };
        let flob = self.environment.flob(*place).filter(|flob| flob.state.kind() == FlobKind::Mutex)?;
        match flob.links.first()? {
            Link::Flob(owner) => Some(*owner),
            _ => None,
        }
    }
}
