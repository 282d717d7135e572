//! The calling thread's own exceptions: its handlers, the saved area, whether it takes them.
//!
//! A handler is entered with `rdi` the own thread, `rsi` code and detail, `rdx` address, `rcx` access and `rax` the bytes
//! below the stack pointer that interrupted code may be using. It must keep every register but rax, rcx, rdx, rsi, rdi and
//! r11, which [`leave`] puts back; so its first instructions are written by hand.

use core::arch::asm;

use flob_abi::{Call, Handlers, SavedArea, Status};

use crate::call;

/// `thread_get_handlers`.
pub fn handlers() -> Result<Handlers, Status> {
    call::get_own(Call::ThreadGetHandlers)
}

/// `thread_set_handlers`. `InvalidState` for an address that RIP cannot hold.
///
/// # Safety
/// Each address is 0 or a handler as the module describes it.
pub unsafe fn set_handlers(handlers: &Handlers) -> Result<(), Status> {
    call::set_own(Call::ThreadSetHandlers, handlers)
}

/// `thread_get_saved_state`: what entering the handler has overwritten.
pub fn saved_state() -> Result<SavedArea, Status> {
    call::get_own(Call::ThreadGetSavedState)
}

/// `thread_set_saved_state`: where [`leave`] goes. `InvalidState` for an address that RIP cannot hold.
///
/// # Safety
/// Going on there with these registers must be right for the interrupted code.
pub unsafe fn set_saved_state(saved: &SavedArea) -> Result<(), Status> {
    call::set_own(Call::ThreadSetSavedState, saved)
}

/// `thread_enable_exceptions`: those that were deferred come before this returns.
pub fn enable() -> Result<(), Status> {
    call::run(Call::ThreadEnableExceptions, 0, 0)
}

/// `thread_disable_exceptions`.
pub fn disable() -> Result<(), Status> {
    call::run(Call::ThreadDisableExceptions, 0, 0)
}

/// `thread_return_from_exception`: goes on where the saved area says, with exceptions enabled.
///
/// # Safety
/// Only from a handler whose registers and stack are as they were when it was entered, but for those that the saved area
/// holds.
pub unsafe fn leave() -> ! {
    let _ = call::run(Call::ReturnFromException, 0, 0);
    // The call goes elsewhere; a saved area that leads right back here would come by again.
    loop {
        core::hint::spin_loop();
    }
}

/// Dies of a read of address 0, unless so many ticks ([`crate::service::clock::ticks`]) have passed since `since`: for programs that
/// die of what is over when they are rolled back. The time is read, judged and acted upon by instructions in a row, in one page and
/// without a jump. With a branch in between, a checkpoint was now and then taken when the death was decided but had not happened,
/// and the program died of it as often as it was rolled back: an emulator looks for interrupts where a row of instructions
/// ends, and may have to translate the next one first.
pub fn die_within(since: u64, ticks: u64) {
    // SAFETY: it reads the address of a local variable, or dies; the time goes to registers that are named.
    unsafe {
        asm!(
            ".balign 64",
            "rdtsc",
            "shl rdx, 32",
            "or rax, rdx",
            "sub rax, {since}",
            "cmp rax, {ticks}",
            "cmovb {place}, {nowhere}",
            "mov al, byte ptr [{place}]",
            since = in(reg) since,
            ticks = in(reg) ticks,
            place = inout(reg) &raw const since => _,
            nowhere = in(reg) 0_u64,
            out("rax") _,
            out("rdx") _,
            options(nostack, readonly)
        );
    }
}
