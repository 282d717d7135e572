//! What a measuring kernel counts, by a call that no other kernel has.

use alloc::format;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::report::{self, COUNTING};
use crate::timed::Block;

/// The call's number.
const READ: u64 = 0xfff;

/// What that call itself counts for: an entry, vectors saved and loaded.
const OWN: [u64; 6] = [1, 0, 0, 2, 0, 0];
/// Sums of the row that is measured.
static ROW: [AtomicU64; 6] = [const { AtomicU64::new(0) }; 6];

/// What it leaves in the registers.
#[derive(Clone, Copy, Default)]
pub struct Counters {
    values: [u64; 6],
    longest: u64,
    longest_call: u64,
}

impl Counters {
    /// As they stand; zero on a kernel that does not count.
    pub fn read() -> Self {
        if !COUNTING.load(Ordering::Relaxed) {
            return Self::default();
        }
        let mut block = Block::numbered(READ, [0; 4]);
        let Block { rdi, rsi, rdx, r10, r8, r9, rbx, rbp, .. } = *block.run();
        Self { values: [rdi, rsi, rdx, r10, r8, r9], longest: rbx, longest_call: rbp }
    }

    /// What was added since then, but for the call that has read the counters.
    pub fn since(self, before: Self) -> Self {
        let mut values = self.values;
        for ((value, old), own) in values.iter_mut().zip(before.values).zip(OWN) {
            *value = value.wrapping_sub(old).wrapping_sub(own);
        }
        Self { values, ..self }
    }

    /// Adds them to the row's.
    pub fn add(self) {
        for (sum, value) in ROW.iter().zip(self.values) {
            sum.fetch_add(value, Ordering::Relaxed);
        }
    }

    /// Reports the longest entry so far and in which call it was.
    pub fn report_longest(self, name: &str) {
        report::line(&format!("longest {name} {} {:#x}", self.longest, self.longest_call));
    }
}

/// Begins a row.
pub fn begin_row() {
    ROW.iter().for_each(|sum| sum.store(0, Ordering::Relaxed));
}

/// Reports the row's, each per thousand times: entries, cr3 loads, wrmsr, fxsave and fxrstor, pages flushed, bytes copied.
pub fn report_row(name: &str, times: usize) {
    if COUNTING.load(Ordering::Relaxed) {
        let [a, b, c, d, e, f] = ROW.each_ref().map(|sum| sum.load(Ordering::Relaxed) * 1000 / times as u64);
        report::line(&format!("counts {name} {a} {b} {c} {d} {e} {f}"));
    }
}
