//! The trace of what the program asks: the last records in a ring, and which of them begin what has not ended yet.

pub mod decode;
pub mod payload;

use alloc::{collections::VecDeque, vec::Vec};

use flob_image::Place;
use flob_link::{
    MAX_FRAME, Traced, Tracing,
    trace::{Asked, Outcome, What},
};

/// Most records that are kept.
const KEPT: usize = 2048;
/// Bytes of an answer that records may take; the rest is for what is around them.
const ROOM: usize = MAX_FRAME - 256;

/// The ring.
#[derive(Debug, Default)]
pub struct Trace {
    /// What is wanted.
    pub tracing: Tracing,
    kept: VecDeque<Traced>,
    next: u64,
    /// The host knows that there is more.
    is_told: bool,
}

impl Trace {
    /// Number of the record that comes next.
    pub fn next(&self) -> u64 {
        self.next
    }

    fn push(&mut self, at: u64, what: What) -> u64 {
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        let number = self.next;
        self.kept.push_back(Traced { number, at, what });
        self.next += 1;
        number
    }

    /// Something was asked: the number that its end refers to.
    pub fn began(&mut self, at: u64, thread: Option<Place>, space: Option<Place>, asked: Asked) -> u64 {
        self.push(at, What::Began { thread, space, asked })
    }

    /// It has ended.
    pub fn ended(&mut self, at: u64, of: u64, outcome: Outcome) {
        self.push(at, What::Ended { of, outcome });
    }

    /// The environment was replaced, which is what `by` says.
    pub fn replaced(&mut self, at: u64, by: What) {
        if self.tracing.is_on() {
            self.push(at, by);
        }
    }

    /// What the host is to be told of now: once, until it has read so far.
    pub fn announce(&mut self) -> Option<u64> {
        let is_new = !self.is_told && self.kept.back().is_some();
        self.is_told |= is_new;
        is_new.then_some(self.next)
    }

    /// The records from this number on, as many as one answer carries.
    pub fn read(&mut self, from: u64) -> Vec<Traced> {
        let first = self.kept.front().map_or(self.next, |record| record.number);
        let skip = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
        let mut room = ROOM;
        let fits = |record: &&Traced| {
            let size = postcard::to_allocvec(*record).map_or(ROOM, |bytes| bytes.len());
            let fits = size <= room;
            room = room.saturating_sub(size);
            fits
        };
        let records: Vec<Traced> = self.kept.iter().skip(skip).take_while(fits).cloned().collect();
        if records.last().is_none_or(|record| record.number + 1 >= self.next) {
            self.is_told = false;
        }
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flob_link::trace::{MOST_SHOWN, Message, Value};
    use flob_link::{Event, FromGuest, Reply};

    fn asked(bytes: usize) -> Asked {
        let value = Value::Bytes { start: vec![7; bytes], count: 9 };
        let message = Message { verb: "Write".into(), fields: vec![("bytes".into(), value)] };
        Asked::Service { service: "stdout".into(), message }
    }

    #[test]
    fn the_ring_forgets_the_oldest_and_numbers_go_on() {
        let mut trace = Trace::default();
        for at in 0..KEPT as u64 + 10 {
            assert_eq!(trace.began(at, Some(4096), None, asked(0)), at);
        }
        assert_eq!(trace.read(0).first().map(|record| record.number), Some(10), "the oldest that is left");
        assert_eq!(trace.next(), KEPT as u64 + 10);
    }

    #[test]
    fn answers_fit_into_a_message_and_together_hold_everything() {
        let mut trace = Trace::default();
        for at in 0..500 {
            trace.began(at, Some(1 << 40), Some(1 << 41), asked(MOST_SHOWN));
        }
        let (mut from, mut numbers) = (0, Vec::new());
        while from < trace.next() {
            let records = trace.read(from);
            let reply = Reply::Trace { records: records.clone(), next: trace.next() };
            let message = FromGuest::<Event>::Reply { epoch: u32::MAX, number: u32::MAX, result: Ok(reply) };
            assert!(postcard::to_allocvec(&message).is_ok_and(|bytes| bytes.len() <= MAX_FRAME));
            numbers.extend(records.iter().map(|record| record.number));
            from = records.last().map_or(u64::MAX, |record| record.number + 1);
        }
        assert_eq!(numbers, (0..500).collect::<Vec<_>>());
    }

    #[test]
    fn more_is_told_once_until_everything_was_read() {
        let mut trace = Trace::default();
        assert_eq!(trace.announce(), None, "there is nothing");
        trace.began(0, None, None, asked(0));
        assert_eq!(trace.announce(), Some(1));
        trace.ended(1, 0, Outcome::Refused);
        assert_eq!(trace.announce(), None, "the host knows already");
        assert_eq!(trace.read(0).len(), 2);
        trace.ended(2, 0, Outcome::Refused);
        assert_eq!(trace.announce(), Some(3));
        assert_eq!(trace.read(u64::MAX), []);
    }
}
