//! Tests of what the kernel library promises, at kernel entries of any program, unnoticed by it: everything that is
//! derived from flob state is forgotten (*amnesia*), or a thread is taken out of the kernel and put back (*torture*). Asked
//! for on the command line; see [`crate::options`].

use flob_abi::Status;
use flob_kernel::{Event, Kernel};

use crate::console::line;
use crate::hardware::Hardware;

/// What is done to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Everything derived is forgotten.
    Amnesia,
    /// A thread is taken out, set to garbage and put back.
    Torture,
}

impl Kind {
    /// Least mean number of entries between two of them. An instruction that needs two pages must find them both at some
    /// time.
    const fn least(self) -> u64 {
        match self {
            Self::Amnesia => 2,
            Self::Torture => 1,
        }
    }
}

/// When to disturb next.
pub struct Disturber {
    kind: Kind,
    seed: u64,
    /// Mean number of entries between two times; 0 for never.
    every: u64,
    /// Entries until the next time.
    left: u64,
    random: u64,
    entries: u64,
    times: u64,
}

impl Disturber {
    /// Nothing is ever disturbed.
    pub const NEVER: Self =
        Self { kind: Kind::Amnesia, seed: 0, every: 0, left: u64::MAX, random: 0, entries: 0, times: 0 };

    /// About every so many entries. `None`: that is too often.
    pub fn new(kind: Kind, seed: u64, every: u64) -> Option<Self> {
        if every < kind.least() {
            return None;
        }
        let random = seed ^ 0x9e37_79b9_7f4a_7c15 | 1;
        let mut disturber = Self { kind, seed, every, random, ..Self::NEVER };
        disturber.next();
        disturber.draw();
        Some(disturber)
    }

    /// Counts an entry; whether it is disturbed.
    #[inline]
    pub fn strikes(&mut self) -> bool {
        self.left = self.left.wrapping_sub(1);
        self.left == 0 && self.strike()
    }

    #[cold]
    fn strike(&mut self) -> bool {
        if self.every == 0 {
            self.left = u64::MAX;
            return false;
        }
        self.times += 1;
        self.draw();
        // A guest that is killed has left a lower bound.
        if self.times.is_power_of_two() {
            self.report();
        }
        true
    }

    /// Draws the distance to the next time: from 1 to twice the mean.
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

    fn word(&mut self) -> u64 {
        self.next() << 32 | self.next()
    }

    /// Says on the early console how often it has struck.
    pub fn report(&self) {
        if self.every == 0 {
            return;
        }
        let (times, seed) = (self.times, self.seed);
        let entries = self.entries.saturating_sub(self.left);
        match self.kind {
            Kind::Amnesia => line!("amnesia: {times} drops in {entries} kernel entries, seed {seed}"),
            Kind::Torture => line!("torture: {times} threads in {entries} kernel entries, seed {seed}"),
        }
    }
}

/// Handles what happened, and disturbs before or behind it.
#[cold]
pub fn handle(kernel: &mut Kernel<Hardware>, event: Event) {
    let (kind, before) = {
        let disturber = kernel.machine().disturber();
        (disturber.kind, disturber.next() & 1 == 0)
    };
    match kind {
        Kind::Amnesia => {
            // An interrupt that was taken is for whoever waited then: lines without a waiter are masked.
            let before = before && !matches!(event, Event::Interrupt { .. });
            if before {
                kernel.forget_derived();
            }
            kernel.event(event);
            if !before {
                kernel.forget_derived();
            }
        }
        // Only behind it: before, the thread that runs has not been heard yet.
        Kind::Torture => {
            kernel.event(event);
            if let Err(status) = torture(kernel) {
                line!("torture: complaint: a thread cannot be put back: {}", status.text());
            }
        }
    }
}

fn torture(kernel: &mut Kernel<Hardware>) -> Result<(), Status> {
    let mut words = Disturber { random: kernel.machine().disturber().word() | 1, ..Disturber::NEVER };
    kernel.torture(|| words.word())
}
