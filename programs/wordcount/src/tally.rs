//! The sum of all chunks: what the tally server keeps.

use alloc::collections::BTreeSet;

use crate::count::Counts;
use crate::message::{Reply, Request};
use crate::table::Table;

/// Longest word that is listed; longer ones are listed by their first bytes.
const MAX_LISTED: usize = 256;

/// Counts and words of all chunks that came so far.
#[derive(Debug, Default)]
pub struct Tally {
    counts: Counts,
    table: Table,
    /// All chunks below this have come …
    complete: u64,
    /// … and these above it.
    ahead: BTreeSet<u64>,
}

impl Tally {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self {
            counts: Counts { lines: 0, words: 0, bytes: 0 },
            table: Table::new(),
            complete: 0,
            ahead: BTreeSet::new(),
        }
    }

    /// Does what a request asks.
    pub fn serve(&mut self, request: &Request<'_>) -> Reply<'_> {
        match request {
            Request::Add { number, counts, words } => {
                if self.is_new(*number) {
                    self.counts = self.counts.plus(*counts);
                    for (word, count) in words {
                        self.table.add(word.get(..MAX_LISTED).unwrap_or(word), *count);
                    }
                }
                Reply::Added
            }
            Request::Report { words } => {
                Reply::Report { counts: self.counts, words: self.table.top((*words).min(100) as usize) }
            }
        }
    }

    /// Notes that this chunk has come; whether it had not before.
    fn is_new(&mut self, number: u64) -> bool {
        let is_new = number >= self.complete && self.ahead.insert(number);
        while self.ahead.remove(&self.complete) {
            self.complete += 1;
        }
        is_new
    }
}
