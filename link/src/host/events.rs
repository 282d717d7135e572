//! Puts events in order: each once, none left out.

use std::collections::BTreeMap;

use crate::Event;

/// Events kept beyond a gap; later ones are dropped and asked for again.
const KEPT_BEYOND_GAP: usize = 256;

/// The order of events.
#[derive(Debug, Default)]
pub struct Events {
    next: u64,
    beyond: BTreeMap<u64, Event>,
}

impl Events {
    /// The first number not seen yet.
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Whether one is missing before one that has arrived.
    pub fn has_gap(&self) -> bool {
        !self.beyond.is_empty()
    }

    /// Takes an event; hands out those that are due, in order.
    pub fn take(&mut self, number: u64, event: Event) -> Vec<(u64, Event)> {
        if number >= self.next && self.beyond.len() < KEPT_BEYOND_GAP {
            self.beyond.insert(number, event);
        }
        let mut due = Vec::new();
        while let Some(event) = self.beyond.remove(&self.next) {
            due.push((self.next, event));
            self.next += 1;
        }
        due
    }

    /// Another guest, or one met in the middle of its life: nothing before this one is to be had.
    pub fn begin_at(&mut self, first: u64) {
        *self = Self { next: first, beyond: BTreeMap::new() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(code: i32) -> Event {
        Event::Exited { code }
    }

    #[test]
    fn what_was_forgotten_before_the_host_came_is_not_missed() {
        let mut events = Events::default();
        events.begin_at(7);
        assert_eq!(events.take(7, event(7)), vec![(7, event(7))]);
        assert!(events.take(3, event(3)).is_empty());
        assert!(!events.has_gap());
    }

    #[test]
    fn events_come_out_in_order_and_once() {
        let mut events = Events::default();
        assert!(events.take(1, event(1)).is_empty());
        assert!(events.has_gap());
        assert_eq!(events.take(0, event(0)), vec![(0, event(0)), (1, event(1))]);
        assert!(!events.has_gap());
        assert!(events.take(1, event(1)).is_empty());
        assert_eq!(events.next(), 2);
    }
}
