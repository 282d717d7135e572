//! The part of the debugger nester that is plain data: queues, caches, streams, address translation, breakpoints. It
//! makes no calls, so that its tests run on the host. What acts on the child is in the binary (`src/guest/`).
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod answers;
pub mod breakpoints;
pub mod events;
pub mod held;
pub mod operand;
pub mod page_watches;
pub mod stages;
pub mod streams;
pub mod trace;
pub mod translate;
pub mod waits;
pub mod watches;
