//! What kernel, programs and host agree on: kinds of flob, their exported state, call numbers, statuses,
//! exceptions, the memory layout and the boot archive.
//!
//! Every struct that crosses a boundary is `#[repr(C)]`, little-endian, without padding, and readable from any
//! bytes. What is *meant* by a call is in the manual pages under `docs/kernel/`.
#![no_std]
#![forbid(unsafe_code)]

pub mod archive;
pub mod call;
pub mod command_line;
pub mod elf;
pub mod exception;
pub mod flob;
pub mod ipc;
pub mod memory;
pub mod start;
pub mod state;
pub mod status;
pub mod sum;

pub use call::{Call, call_name};
pub use exception::{ExceptionCode, ExceptionMessage, ExceptionReply, Misuse};
pub use flob::FlobKind;
pub use memory::{PAGE_SIZE, Protection};
pub use state::*;
pub use status::Status;
pub use sum::Sum;
