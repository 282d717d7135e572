//! The threads that the debugger has stopped. One that stopped by itself, or with one that did, is not let go by who does not know of
//! that yet: the host's word may cross the event's on the line, and what it then lets go would be told as stopped.

use alloc::{collections::BTreeMap, vec::Vec};

use flob_image::Place;

/// Each with how many events must be known to let it go.
#[derive(Debug, Default)]
pub struct Held(BTreeMap<Place, u64>);

impl Held {
    /// Nobody but these, whom anybody may let go.
    pub fn only(places: impl IntoIterator<Item = Place>) -> Self {
        Self(places.into_iter().map(|place| (place, 0)).collect())
    }

    /// Holds a thread. One that is held already is let go no sooner than before.
    pub fn add(&mut self, place: Place, events: u64) {
        let needed = self.0.entry(place).or_default();
        *needed = events.max(*needed);
    }

    /// Lets a thread go, by who knows of the events before `unseen`; whether that is one.
    pub fn take(&mut self, place: Place, unseen: u64) -> bool {
        let may_go = self.0.get(&place).is_some_and(|events| *events <= unseen);
        may_go && self.0.remove(&place).is_some()
    }

    /// The same of all.
    pub fn take_all(&mut self, unseen: u64) -> Vec<Place> {
        let known: Vec<Place> =
            self.0.iter().filter(|(_, events)| **events <= unseen).map(|(place, _)| *place).collect();
        self.0.retain(|_, events| *events > unseen);
        known
    }

    /// Whether it is held.
    pub fn contains(&self, place: Place) -> bool {
        self.0.contains_key(&place)
    }

    /// All.
    pub fn iter(&self) -> impl Iterator<Item = Place> {
        self.0.keys().copied()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_stopped_by_itself_is_let_go_by_who_knows_of_it() {
        let mut held = Held::only([1]);
        held.add(2, 7);
        assert!(!held.take(2, 6));
        assert_eq!(held.take_all(6), [1]);
        assert!(held.take(2, 7));
        assert!(held.is_empty());
    }

    #[test]
    fn being_stopped_once_more_takes_nothing_back() {
        let mut held = Held::default();
        held.add(1, 7);
        held.add(1, 0);
        assert!(!held.take(1, 6));
        assert!(!held.take(2, 7), "it is not held");
        assert_eq!((held.len(), held.contains(1)), (1, true));
    }
}
