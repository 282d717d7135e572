//! The trace as the host keeps it: records of the guest put together to calls, each with its end once that is known.

mod text;

use std::collections::VecDeque;

use flob_image::Place;
use flob_link::{
    Traced,
    trace::{Asked, Outcome, What},
};

pub use text::{Described, Describer};

/// Most calls that are kept.
const KEPT: usize = 20_000;

/// Something that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Number of the record that told its beginning.
    pub number: u64,
    /// The program's time, in nanoseconds.
    pub at: u64,
    /// By whom.
    pub thread: Option<Place>,
    /// In which space.
    pub space: Option<Place>,
    /// What.
    pub asked: Asked,
    /// When it ended, and how.
    pub end: Option<(u64, Outcome)>,
}

/// What a record changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// This call has begun.
    Began(u64),
    /// This one has ended, later than it was told of.
    Ended(u64),
    /// The environment was replaced by a checkpoint at this time: what had not ended never will.
    Restored(u64),
    /// The same by the program's new beginning.
    Restarted(u64),
}

/// The last calls.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    calls: VecDeque<Call>,
    next: u64,
    lost: u64,
}

impl Trace {
    /// Takes records in; what they change, each call once. The guest has records up to `next`.
    pub fn take(&mut self, records: Vec<Traced>, next: u64) -> Vec<Change> {
        let mut changes = Vec::new();
        for record in records {
            if record.number < self.next {
                continue;
            }
            self.lost += record.number - self.next;
            self.next = record.number + 1;
            changes.extend(self.take_one(record));
        }
        // The guest was started anew: its numbers are others.
        if next < self.next {
            *self = Self { next, ..Self::default() };
        }
        let begun: Vec<u64> = changes.iter().filter_map(Change::begun).collect();
        changes.retain(|change| !matches!(change, Change::Ended(number) if begun.contains(number)));
        changes
    }

    fn take_one(&mut self, Traced { number, at, what }: Traced) -> Option<Change> {
        match what {
            What::Began { thread, space, asked } => {
                if self.calls.len() == KEPT {
                    self.calls.pop_front();
                }
                self.calls.push_back(Call { number, at, thread, space, asked, end: None });
                Some(Change::Began(number))
            }
            What::Ended { of, outcome } => {
                let index = self.index(of)?;
                self.calls.get_mut(index)?.end = Some((at, outcome));
                Some(Change::Ended(of))
            }
            What::Restored | What::Restarted => {
                for call in self.calls.iter_mut().filter(|call| call.end.is_none()) {
                    call.end = Some((at, Outcome::Unseen));
                }
                let is_restart = matches!(what, What::Restarted);
                Some(if is_restart { Change::Restarted(at) } else { Change::Restored(at) })
            }
        }
    }

    fn index(&self, number: u64) -> Option<usize> {
        self.calls.binary_search_by_key(&number, |call| call.number).ok()
    }

    /// The call that began with this record.
    pub fn call(&self, number: u64) -> Option<&Call> {
        self.calls.get(self.index(number)?)
    }

    /// All calls that are kept, the oldest first.
    pub fn calls(&self) -> impl ExactSizeIterator<Item = &Call> + DoubleEndedIterator {
        self.calls.iter()
    }

    /// Number of the record to be asked for next.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Records that the guest had forgotten before they were asked for.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

impl Change {
    fn begun(&self) -> Option<u64> {
        match self {
            Self::Began(number) => Some(*number),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn began(number: u64) -> Traced {
        let asked =
            Asked::Call { number: flob_abi::Call::MutexLock as u64, registers: vec![0x1000; 12], sent: None };
        Traced { number, at: number * 10, what: What::Began { thread: Some(4096), space: None, asked } }
    }

    fn ended(number: u64, of: u64) -> Traced {
        let outcome = Outcome::Returned { status: 0, registers: vec![0; 12], received: None };
        Traced { number, at: number * 10, what: What::Ended { of, outcome } }
    }

    #[test]
    fn an_end_joins_its_beginning_whether_it_comes_at_once_or_later() {
        let mut trace = Trace::default();
        assert_eq!(
            trace.take(vec![began(0), ended(1, 0), began(2)], 3),
            [Change::Began(0), Change::Began(2)]
        );
        assert!(trace.call(0).is_some_and(|call| call.end.is_some()));
        assert!(trace.call(2).is_some_and(|call| call.end.is_none()));
        assert_eq!(trace.take(vec![ended(3, 2)], 4), [Change::Ended(2)]);
        assert_eq!(trace.take(vec![ended(3, 2)], 4), [], "records may come again");
        assert_eq!((trace.next(), trace.lost()), (4, 0));
    }

    #[test]
    fn what_the_guest_forgot_is_counted_and_ends_of_it_say_nothing() {
        let mut trace = Trace::default();
        assert_eq!(trace.take(vec![ended(7, 3), began(8)], 9), [Change::Began(8)]);
        assert_eq!(trace.lost(), 7);
    }

    #[test]
    fn a_restore_ends_what_waits() {
        let mut trace = Trace::default();
        let restored = Traced { number: 1, at: 5, what: What::Restored };
        assert_eq!(trace.take(vec![began(0), restored], 2), [Change::Began(0), Change::Restored(5)]);
        assert_eq!(trace.call(0).and_then(|call| call.end.clone()), Some((5, Outcome::Unseen)));
        let restarted = Traced { number: 2, at: 7, what: What::Restarted };
        assert_eq!(trace.take(vec![restarted], 3), [Change::Restarted(7)]);
    }
}
