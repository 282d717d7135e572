//! What workers and the tally server say to each other: postcard bytes of these.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use crate::count::Counts;
use crate::table::Table;

/// A word and how often it occurs.
pub type Word<'a> = (&'a [u8], u64);

/// Asked of the tally server.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request<'a> {
    /// Add what was counted in a chunk. Adding the same chunk again changes nothing.
    Add {
        /// Its number.
        number: u64,
        /// Its counts.
        counts: Counts,
        /// Its words.
        #[serde(borrow)]
        words: Vec<Word<'a>>,
    },
    /// Tell the sum.
    Report {
        /// How many of the most frequent words.
        words: u32,
    },
}

impl<'a> Request<'a> {
    /// The request to add a chunk.
    pub fn add(number: u64, counts: Counts, table: &'a Table) -> Self {
        Self::Add { number, counts, words: table.iter().collect() }
    }
}

/// The tally server's reply.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply<'a> {
    /// It is added.
    Added,
    /// The sum so far.
    Report {
        /// All counts.
        counts: Counts,
        /// The most frequent words.
        #[serde(borrow)]
        words: Vec<Word<'a>>,
    },
    /// The request was not understood.
    Garbled,
}
