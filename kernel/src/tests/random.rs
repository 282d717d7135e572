//! Random numbers for tests: a seed that is printed and can be given, and the number of rounds.

use std::{env, println};

use flob_abi::{THREAD_STATE_HEAD, ThreadState};
use zerocopy::IntoBytes;

use crate::torture::garbage_head;

/// xorshift64*.
pub struct Random {
    state: u64,
    /// What it was seeded with.
    pub first: u64,
}

impl Random {
    /// Seeded by `FLOB_SEED`, else by the clock; prints the seed.
    pub fn new(test: &str) -> Self {
        let given = env::var("FLOB_SEED").ok().and_then(|seed| seed.parse().ok());
        let clock = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let seed = given.unwrap_or_else(|| clock().map_or(1, |time| time.as_nanos() as u64));
        println!("{test}: FLOB_SEED={seed}");
        Self::seeded(seed)
    }

    pub fn seeded(seed: u64) -> Self {
        let mut random = Self { state: seed ^ 0x9e37_79b9_7f4a_7c15 | 1, first: seed };
        random.next();
        random.next();
        random
    }

    pub fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 16) % end.max(1)
    }

    pub fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }

    /// Nonsense that a stopped thread can have for its state.
    pub fn thread_state(&mut self) -> ThreadState {
        let mut state = ThreadState::default();
        let head = garbage_head(&mut || self.next());
        let (bytes, vectors) = state.as_mut_bytes().split_at_mut(THREAD_STATE_HEAD);
        bytes.copy_from_slice(head.as_bytes());
        self.fill(vectors);
        state
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            items.swap(index, self.below(index as u64 + 1) as usize);
        }
    }
}

/// Rounds of a random test: `FLOB_ROUNDS`, or what fits a quick run.
pub fn rounds(quick: u64) -> u64 {
    env::var("FLOB_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(quick)
}
