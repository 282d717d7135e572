//! A thread with handlers of its own: for exceptions that it makes itself, and for interrupts from another thread.

use alloc::boxed::Box;
use core::arch::{asm, naked_asm};
use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;

use flob_runtime::abi::{Call, Handlers, SavedArea, Status};
use flob_runtime::service::clock;
use flob_runtime::{exception, thread};

use crate::Round;
use crate::options::Options;
use flob_program_shared::{Failure, expect, mix};

/// How often each handler ran in this round.
static TRAPS: AtomicU64 = AtomicU64::new(0);
static INTERRUPTS: AtomicU64 = AtomicU64::new(0);
/// Where the trap handler edits the saved area. One thread at a time has that handler.
static SAVED: [AtomicU64; size_of::<SavedArea>() / 8] =
    [const { AtomicU64::new(0) }; size_of::<SavedArea>() / 8];

/// Counts, and skips the instruction of two bytes that trapped.
#[unsafe(naked)]
unsafe extern "C" fn trap() {
    naked_asm!(
        "lea rsp, [rsp - 128]",
        "push r8",
        "push r9",
        "push r10",
        "lea rdi, [rip + {saved}]",
        "mov eax, {get}",
        "syscall",
        "add qword ptr [rip + {saved} + {rip}], 2",
        "lock inc qword ptr [rip + {traps}]",
        "lea rdi, [rip + {saved}]",
        "mov eax, {set}",
        "syscall",
        "pop r10",
        "pop r9",
        "pop r8",
        "lea rsp, [rsp + 128]",
        "mov eax, {leave}",
        "syscall",
        "ud2",
        saved = sym SAVED,
        traps = sym TRAPS,
        rip = const offset_of!(SavedArea, rip),
        get = const Call::ThreadGetSavedState as u32,
        set = const Call::ThreadSetSavedState as u32,
        leave = const Call::ReturnFromException as u32,
    )
}

/// Counts.
#[unsafe(naked)]
unsafe extern "C" fn interrupt() {
    naked_asm!(
        "lock inc qword ptr [rip + {interrupts}]",
        "mov eax, {leave}",
        "syscall",
        "ud2",
        interrupts = sym INTERRUPTS,
        leave = const Call::ReturnFromException as u32,
    )
}

fn address(handler: unsafe extern "C" fn()) -> u64 {
    (handler as *const ()).expose_provenance() as u64
}

pub fn prepare(_: &Options) -> Result<Round, Failure> {
    Ok(Box::new(|random| {
        static LISTENS: AtomicBool = AtomicBool::new(false);
        static STOP: AtomicBool = AtomicBool::new(false);
        let (seed, traps, interrupts) = (random.word(), 100 + random.below(200), 2 + random.below(4));
        TRAPS.store(0, Ordering::SeqCst);
        INTERRUPTS.store(0, Ordering::SeqCst);
        LISTENS.store(false, Ordering::SeqCst);
        STOP.store(false, Ordering::SeqCst);
        let busy = thread::spawn(move || work(seed, traps, &LISTENS, &STOP))?;
        while !LISTENS.load(Ordering::SeqCst) {
            pause();
        }
        for count in 1..=interrupts {
            busy.flob().interrupt()?;
            while INTERRUPTS.load(Ordering::SeqCst) < count {
                pause();
            }
        }
        STOP.store(true, Ordering::SeqCst);
        let sum = busy.join()??;
        expect("traps", TRAPS.load(Ordering::SeqCst), traps)?;
        expect("interrupts", INTERRUPTS.load(Ordering::SeqCst), interrupts)?;
        Ok(mix(sum, interrupts))
    }))
}

/// Lets the other thread run. A clock that does not answer only makes it shorter.
fn pause() {
    let _ = clock::sleep(Duration::from_millis(1));
}

/// Computes and traps, and then goes on until it is told to stop.
fn work(seed: u64, traps: u64, listens: &AtomicBool, stop: &AtomicBool) -> Result<u64, Status> {
    let handlers =
        Handlers { trap: address(trap), interrupt: address(interrupt), client_alert: 0, server_alert: 0 };
    // SAFETY: both are handlers: they keep all registers but those that the saved area holds.
    unsafe { exception::set_handlers(&handlers) }?;
    exception::enable()?;
    listens.store(true, Ordering::SeqCst);
    let mut sum = seed;
    for turn in 0..traps {
        sum = mix(sum, turn);
        // SAFETY: the handler goes on behind it.
        unsafe { asm!("ud2") };
    }
    while !stop.load(Ordering::SeqCst) {
        core::hint::spin_loop();
    }
    exception::disable()?;
    Ok(sum)
}
