//! Amnesia, a test of what the kernel library promises: everything that is derived from flob state can be forgotten at any
//! kernel entry and nobody can tell. Asked for on the command line; see [`crate::options`].

use crate::console::line;

/// When a kernel entry forgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before what happened is handled.
    Before,
    /// Between that and the return to user code.
    After,
}

/// When to forget next.
pub struct Amnesia {
    seed: u64,
    /// Mean number of entries between two drops; 0 for never.
    every: u64,
    /// Entries until the next drop.
    left: u64,
    random: u64,
    entries: u64,
    drops: u64,
}

impl Amnesia {
    /// Nothing is ever forgotten.
    pub const NEVER: Self = Self { seed: 0, every: 0, left: u64::MAX, random: 0, entries: 0, drops: 0 };

    /// About every so many entries. At least 2: an instruction that needs two pages must find them both at some time.
    pub fn new(seed: u64, every: u64) -> Self {
        let mut amnesia = Self { seed, every, random: seed ^ 0x9e37_79b9_7f4a_7c15 | 1, ..Self::NEVER };
        amnesia.next();
        amnesia.draw();
        amnesia
    }

    /// Counts an entry; whether and when it forgets.
    #[inline]
    pub fn strikes(&mut self) -> Option<Moment> {
        self.left = self.left.wrapping_sub(1);
        if self.left == 0 { self.strike() } else { None }
    }

    #[cold]
    fn strike(&mut self) -> Option<Moment> {
        if self.every == 0 {
            self.left = u64::MAX;
            return None;
        }
        self.drops += 1;
        self.draw();
        // A guest that is killed has left a lower bound.
        if self.drops.is_power_of_two() {
            self.report();
        }
        Some(if self.next() & 1 == 0 { Moment::Before } else { Moment::After })
    }

    /// Draws the distance to the next drop: from 1 to twice the mean.
    fn draw(&mut self) {
        self.left = 1 + self.next() % self.every.saturating_mul(2).saturating_sub(1);
        self.entries = self.entries.saturating_add(self.left);
    }

    /// xorshift64*, its better half.
    fn next(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    /// Says on the early console how often it has struck.
    pub fn report(&self) {
        if self.every > 0 {
            let entries = self.entries.saturating_sub(self.left);
            line!("amnesia: {} drops in {entries} kernel entries, seed {}", self.drops, self.seed);
        }
    }
}
