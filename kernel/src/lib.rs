//! The machine-independent kernel as a pure state machine: an [`Event`] goes in, the next thread to run comes out.
//! It knows hardware only through [`Machine`], holds no unsafe code, and its tests run on the host.
//!
//! How the machine-dependent part uses it:
//!
//! 1. [`Kernel::new`] with a machine and the frames that the first space sees (its pools take
//!    [`Kernel::pool_bytes`]), then [`Kernel::start`] once, with the first program already in memory.
//! 2. Loop: [`Kernel::current`] says what to run: load its context, enter user mode; on the way back save the context
//!    into the same place and hand the reason to [`Kernel::event`]. `None` means idle: wait for an interrupt, but not while
//!    [`Kernel::in_arrears`]: then take one if there is one, and ask again.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(test, feature = "simulated"))]
extern crate std;

mod arena;
mod arrears;
mod asynchronous;
mod boot;
mod condition;
mod device;
mod dirty;
mod dispatch;
mod ends;
mod exception;
mod flush;
mod ipc;
mod kernel;
mod list;
mod lookup;
pub mod machine;
mod mapping;
mod message;
mod mutex;
mod oneself;
mod outcome;
mod parking;
mod port;
mod protect;
mod record;
mod reference;
mod region;
mod request;
mod resolve;
mod schedule;
mod search;
mod short;
#[cfg(any(test, feature = "simulated"))]
pub mod simulated;
mod space;
mod state;
mod step;
#[cfg(test)]
mod tests;
mod thread;
mod torture;
mod transfer;
mod tree;
mod user;
mod wait;

pub use kernel::Kernel;
pub use machine::{Caching, Context, Frame, Grants, Machine, Page, SpaceKey};
pub use thread::{TRAP_FLAG, WATCHED};

use flob_abi::{ExceptionCode, Protection};

/// Why the kernel was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The current thread executed `syscall`; its RIP is *at* that instruction (the entry stub subtracts 2).
    Call,
    /// The current thread's access to memory failed in hardware.
    Fault {
        /// The address.
        address: u64,
        /// What it tried.
        access: Protection,
    },
    /// Another trap of the current thread; RIP at the instruction (for `int3` too), or behind it for a single step.
    Trap {
        /// What it was.
        code: ExceptionCode,
        /// See the code.
        detail: u32,
    },
    /// A device interrupt; its line is masked already.
    Interrupt {
        /// Its line.
        line: u8,
    },
    /// A millisecond has passed.
    Tick,
}

/// Where the machine-dependent part has put the first program.
#[derive(Clone, Copy, Debug)]
pub struct Boot {
    /// Frame whose page becomes the first thread; the frame behind it holds the first space and references.
    pub flobs: Frame,
    /// Address (in the physical window) of the start page: the third of these frames, filled in except for its references.
    pub start_info: u64,
    /// Entry address, in the physical window.
    pub entry: u64,
    /// Stack pointer, in the physical window.
    pub stack: u64,
}
