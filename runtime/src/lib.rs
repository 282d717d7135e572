//! What a guest program links: start-up, heap, kernel calls, typed flobs, locks, threads, IPC and service stubs.
//!
//! A program is a `#![no_std] #![no_main]` binary that says [`program!`]`(main)` and is linked with one of the scripts
//! in `link/` (see `link/guest.rs` for its `build.rs`).
#![no_std]

extern crate alloc;

pub mod call;
pub mod exception;
pub mod flob;
pub mod heap;
pub mod ipc;
mod latch;
mod memory;
pub mod named;
pub mod nester;
mod program;
pub mod random;
pub mod service;
pub mod start;
pub mod sync;
pub mod thread;

pub use flob_abi as abi;
