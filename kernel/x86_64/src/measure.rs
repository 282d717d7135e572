//! What a measuring kernel counts: see `measured.rs`. In the ordinary kernel all of this compiles to nothing.
//!
//! The counters are read with a call that the library never hears of: see [`READ`].

use core::cell::Cell;

use flob_kernel::Context;

use crate::{MEASURED, cpu};

/// Number of the call that reads the counters: into rdi, rsi, rdx, r10, r8, r9 in the order of [`Count`]; the longest entry and
/// what it was for into rbx and rbp, which starts looking for the longest anew.
const READ: u64 = 0xfff;
/// In what the longest entry was for: a trap, with its vector, and not a call, with its number.
const TRAP: u64 = 1 << 63;
/// Instructions of the stubs, from the entry to the first reading of the clock and from the last to user code.
const STUBS: u64 = 64;

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub enum Count {
    /// Entries of the kernel.
    Entries,
    /// Loads of CR3.
    Tables,
    /// Writes of model-specific registers.
    Registers,
    /// `fxsave` and `fxrstor`.
    Vectors,
    /// Translations of single pages that were dropped.
    Pages,
    /// Bytes copied from one frame to another.
    Bytes,
}

struct Counters {
    counts: [Cell<u64>; 6],
    begin: Cell<u64>,
    what: Cell<u64>,
    longest: Cell<u64>,
    longest_what: Cell<u64>,
}

// SAFETY: one processor, and interrupts are off wherever Rust code of the kernel runs.
unsafe impl Sync for Counters {}

static COUNTERS: Counters = Counters {
    counts: [const { Cell::new(0) }; 6],
    begin: Cell::new(0),
    what: Cell::new(0),
    longest: Cell::new(0),
    longest_what: Cell::new(0),
};

/// Counts.
#[inline]
pub fn count(what: Count, times: u64) {
    if MEASURED && let Some(cell) = COUNTERS.counts.get(what as usize) {
        cell.set(cell.get().wrapping_add(times));
    }
}

/// An entry begins: a call, or a trap with its vector.
#[inline]
pub fn begin(vector: Option<u64>, context: *const Context) {
    if MEASURED {
        count(Count::Entries, 1);
        count(Count::Vectors, 2);
        // SAFETY: the context that the stub has just filled.
        let call = || unsafe { (*context).registers.rax };
        COUNTERS.what.set(vector.map_or_else(call, |vector| TRAP | vector));
        COUNTERS.begin.set(cpu::time_stamp());
    }
}

/// An entry ends, or does nothing but wait from here on.
#[inline]
pub fn end() {
    if MEASURED {
        let time = cpu::time_stamp().wrapping_sub(COUNTERS.begin.get()).wrapping_add(STUBS);
        if time > COUNTERS.longest.get() {
            COUNTERS.longest.set(time);
            COUNTERS.longest_what.set(COUNTERS.what.get());
        }
    }
}

/// The call that reads the counters: true if this was one, and done.
#[inline]
pub fn read(context: *mut Context) -> bool {
    if !MEASURED {
        return false;
    }
    // SAFETY: the context that the stub has just filled; nobody else uses it now.
    let registers = unsafe { &mut (*context).registers };
    if registers.rax != READ {
        return false;
    }
    let [rdi, rsi, rdx, r10, r8, r9] = COUNTERS.counts.each_ref().map(Cell::get);
    (registers.rdi, registers.rsi, registers.rdx) = (rdi, rsi, rdx);
    (registers.r10, registers.r8, registers.r9) = (r10, r8, r9);
    (registers.rbx, registers.rbp) = (COUNTERS.longest.replace(0), COUNTERS.longest_what.get());
    registers.rax = 0;
    registers.rip = registers.rip.wrapping_add(2);
    true
}
