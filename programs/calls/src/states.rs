//! States of the program's own threads, set by the program itself.

use core::arch::naked_asm;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use flob_program_shared::{expect, leak};
use flob_runtime::abi::ThreadState;
use flob_runtime::abi::state::group;
use flob_runtime::flob::{Links, Thread};
use flob_runtime::service::clock;
use flob_runtime::start;

use crate::Outcome;

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Counts for ever. No stack, and no register that matters.
#[unsafe(naked)]
unsafe extern "C" fn count() {
    naked_asm!("2:", "inc qword ptr [rip + {count}]", "jmp 2b", count = sym COUNT)
}

/// A thread whose registers are set to what they were a while ago runs on.
pub fn older() -> Outcome {
    const TICK: Duration = Duration::from_millis(1);
    const TIMES: usize = 50;
    const PATIENCE: usize = 10_000;
    let thread = leak(Thread::new()).at();
    let entry = (count as *const ()).expose_provenance() as u64;
    thread.prepare(start::space(), &thread.fresh_state(entry, 0, 0))?;
    thread.resume(false)?;
    for _ in 0..TIMES {
        let old: ThreadState = thread.get_groups(&Links::NONE, group::REGISTERS)?;
        thread.resume(false)?;
        clock::sleep(TICK)?;
        thread.set_groups(&old, &Links::NONE, group::REGISTERS)?;
        thread.resume(false)?;
    }
    let before = COUNT.load(Ordering::Relaxed);
    for _ in 0..PATIENCE {
        clock::sleep(TICK)?;
        if COUNT.load(Ordering::Relaxed) != before {
            return thread.destroy().map_err(Into::into);
        }
    }
    expect("counts", COUNT.load(Ordering::Relaxed), before + 1)
}
