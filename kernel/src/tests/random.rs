//! Random numbers for tests: a seed that is printed and can be given, and the number of rounds.

use std::{env, println};

/// xorshift64*.
pub struct Random(u64);

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
        let mut random = Self(seed ^ 0x9e37_79b9_7f4a_7c15 | 1);
        random.next();
        random.next();
        random
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
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
