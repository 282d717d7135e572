//! The debugger nester. What acts on the child is in [`guest`]; all else is plain data (queues, caches, streams, address translation,
//! breakpoints) that makes no calls, so that its tests run on the host.
//!
//! It is a library because it runs in either of two places: as the child of any parent (`src/main.rs`), and in the space of the platform
//! where that has it for its outermost nester ([`guest::Surroundings`] is the difference).
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod answers;
pub mod breakpoints;
pub mod events;
pub mod guest;
pub mod held;
pub mod operand;
pub mod page_watches;
pub mod stages;
pub mod streams;
pub mod trace;
pub mod translate;
pub mod waits;
pub mod watches;
