//! The protocol between the debugger nester in the guest and the host: messages, framing, versions; and, with the feature
//! `std`, the host's reliable client.
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod answers;
mod bytes;
pub mod condition;
pub mod frame;
#[cfg(feature = "std")]
pub mod host;
pub mod message;
pub mod pack;
mod stuffing;
pub mod trace;

pub use message::*;
pub use trace::{Traced, Tracing};
