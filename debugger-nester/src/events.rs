//! The queue of events: numbered in order, kept until the host acknowledges them, sent again from a gap on. The
//! program's output is part of it and bounded: beyond the limit its writers wait.

use alloc::{collections::VecDeque, vec::Vec};

use flob_link::Event;

/// Most bytes of output that are kept.
const OUTPUT_LIMIT: usize = 256 * 1024;
/// Most bytes of output in an event.
const OUTPUT_PIECE: usize = 4096;

/// Events that the host may not have seen.
#[derive(Debug, Default)]
pub struct Events {
    /// Number of the first that is kept.
    first: u64,
    /// Number of the one to be sent next.
    next_to_send: u64,
    output: usize,
    kept: VecDeque<Event>,
}

fn output_size(event: &Event) -> usize {
    if let Event::Output { bytes, .. } = event { bytes.len() } else { 0 }
}

impl Events {
    /// Number of the next event.
    pub fn next_number(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    /// Number of the first that the host has not acknowledged.
    pub const fn first_number(&self) -> u64 {
        self.first
    }

    /// Adds an event.
    pub fn push(&mut self, event: Event) {
        self.output += output_size(&event);
        self.kept.push_back(event);
    }

    /// How many bytes of output there is room for.
    pub fn output_room(&self) -> usize {
        OUTPUT_LIMIT.saturating_sub(self.output)
    }

    /// Adds output in pieces that fit into messages.
    pub fn push_output(&mut self, stream: u8, mut position: u64, bytes: &[u8]) {
        for piece in bytes.chunks(OUTPUT_PIECE) {
            self.push(Event::Output { stream, position, bytes: Vec::from(piece) });
            position += piece.len() as u64;
        }
    }

    /// The host has everything below `from` and wants the rest again. Returns whether that made room for output.
    pub fn sync(&mut self, from: u64) -> bool {
        let before = self.output;
        while self.first < from {
            let Some(event) = self.kept.pop_front() else { break };
            self.output -= output_size(&event);
            self.first += 1;
        }
        self.next_to_send = from.clamp(self.first, self.next_number());
        self.output < before
    }

    /// Whether there is one to be sent.
    pub fn is_any_unsent(&self) -> bool {
        self.next_to_send < self.next_number()
    }

    /// The next event to be sent; it counts as sent from now on.
    pub fn take_next(&mut self) -> Option<(u64, &Event)> {
        let number = self.next_to_send.max(self.first);
        let event = self.kept.get(usize::try_from(number - self.first).ok()?)?;
        self.next_to_send = number + 1;
        Some((number, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exited(code: i32) -> Event {
        Event::Exited { code }
    }

    #[test]
    fn a_gap_is_filled_by_sending_again() {
        let mut events = Events::default();
        (0..3).for_each(|code| events.push(exited(code)));
        let sent: Vec<u64> = core::iter::from_fn(|| events.take_next().map(|(number, _)| number)).collect();
        assert_eq!(sent, [0, 1, 2]);
        events.sync(1);
        assert_eq!(events.take_next(), Some((1, &exited(1))));
    }

    #[test]
    fn acknowledged_events_are_gone_and_make_room() {
        let mut events = Events::default();
        events.push_output(1, 0, &vec![b'x'; OUTPUT_LIMIT]);
        assert_eq!(events.output_room(), 0);
        assert!(events.sync(2));
        assert_eq!(events.output_room(), 2 * OUTPUT_PIECE);
        assert_eq!(events.take_next().map(|(number, _)| number), Some(2));
    }

    #[test]
    fn numbers_from_another_life_do_no_harm() {
        let mut events = Events::default();
        events.push(exited(1));
        events.sync(u64::MAX);
        assert_eq!(events.take_next(), None);
        events.sync(0);
        events.push(exited(2));
        assert_eq!(events.take_next(), Some((1, &exited(2))));
    }
}
