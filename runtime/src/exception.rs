//! The calling thread's own exceptions: its handlers, the saved area, whether it takes them.
//!
//! A handler is entered with `rdi` the own thread, `rsi` code and detail, `rdx` address, `rcx` access and `rax` the bytes
//! below the stack pointer that interrupted code may be using. It must keep every register but rax, rcx, rdx, rsi, rdi and
//! r11, which [`leave`] puts back; so its first instructions are written by hand.

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
