//! A program that makes no requests, at several levels of nesting: what a fixed piece of work takes there.

use core::sync::atomic::{AtomicU64, Ordering};

use flob_runtime::abi::Status;
use flob_runtime::flob::Mutex;

use crate::report::row;
use crate::world::{HIGH, space, thread};

/// What the nested program has measured.
static WORK: AtomicU64 = AtomicU64::new(0);
/// Let go for each round of work.
static GATES: [Mutex; 2] = [Mutex::new(), Mutex::new()];

/// A thousand turns of a loop, over a page of memory.
fn work() -> u64 {
    let time: u32;
    // SAFETY: reads the stack.
    unsafe {
        core::arch::asm!("rdtsc", "mov {begin:e}, eax", "mov {left:e}, 1000", "2:", "mov {sink}, [rsp]", "dec {left:e}",
            "jnz 2b", "rdtsc", "sub eax, {begin:e}", begin = out(reg) _, left = out(reg) _, sink = out(reg) _,
            out("eax") time, out("edx") _, options(nostack, readonly));
    }
    u64::from(time)
}

extern "C" fn nested(_: u64) -> ! {
    loop {
        for gate in &GATES {
            let _ = gate.at().lock();
            WORK.store(work(), Ordering::Relaxed);
            let _ = gate.at().unlock();
        }
    }
}

/// The rows.
pub fn measure() -> Result<(), Status> {
    for gate in &GATES {
        gate.at().create()?;
        gate.at().lock()?;
    }
    for (levels, name) in [(1, "work-1-level"), (2, "work-2-levels"), (8, "work-8-levels")] {
        let worker = thread(space(levels)?, HIGH, nested, 0)?;
        let mut turn = 0_usize;
        row(name, || {
            let Some(gate) = GATES.get(turn % 2) else { return Ok(0) };
            turn += 1;
            gate.at().unlock()?;
            gate.at().lock()?;
            Ok(WORK.load(Ordering::Relaxed))
        })?;
        worker.stop()?;
        worker.destroy()?;
    }
    Ok(())
}
