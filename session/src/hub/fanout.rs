//! Hands what happens to every subscriber, and the console's output so far to a new one.

use std::collections::VecDeque;

use flob_link::Event;

use super::outward::Outward;
use crate::{FromHub, HubEvent};

/// Bytes of output that are kept for those who come later.
const BACKLOG: usize = 1 << 20;

/// Those who want to know.
#[derive(Debug, Default)]
pub struct Fanout {
    subscribers: Vec<(u64, Outward)>,
    backlog: VecDeque<Event>,
    backlog_size: usize,
}

impl Fanout {
    /// Tells everybody. Who has gone is forgotten.
    pub fn tell(&mut self, event: HubEvent) {
        if let HubEvent::Guest(guest @ Event::Output { .. }) = &event {
            self.keep(guest.clone());
        }
        self.subscribers.retain(|(_, outward)| outward.send(FromHub::Event(event.clone())).is_ok());
    }

    /// Adds a subscriber, once a connection.
    pub fn subscribe(&mut self, connection: u64, outward: &Outward) {
        if self.subscribers.iter().any(|(known, _)| *known == connection) {
            return;
        }
        for event in &self.backlog {
            // A connection that ends now is forgotten at the next event.
            let _ = outward.send(FromHub::Event(HubEvent::Guest(event.clone())));
        }
        self.subscribers.push((connection, outward.clone()));
    }

    /// Takes a subscriber away.
    pub fn leave(&mut self, connection: u64) {
        self.subscribers.retain(|(known, _)| *known != connection);
    }

    fn keep(&mut self, event: Event) {
        self.backlog_size += size(&event);
        self.backlog.push_back(event);
        while self.backlog_size > BACKLOG
            && let Some(oldest) = self.backlog.pop_front()
        {
            self.backlog_size -= size(&oldest);
        }
    }
}

fn size(event: &Event) -> usize {
    match event {
        Event::Output { bytes, .. } => bytes.len(),
        _ => 0,
    }
}
