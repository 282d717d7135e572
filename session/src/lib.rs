//! The host's engine without a face: QEMU, hub, holds, sources, the store, symbols and names.
#![forbid(unsafe_code)]

pub mod address;
pub mod boot;
pub mod claim;
pub mod client;
pub mod condition;
mod doubt;
pub mod edit;
pub mod error;
pub mod hub;
pub mod names;
pub mod place;
mod points;
pub mod protocol;
pub mod serial;
pub mod sessions;
pub mod source;
pub mod stored;
pub mod symbols;
pub mod trace;
pub mod translate;
mod waits;
pub mod why;
pub mod wire;

pub use claim::Claim;
pub use client::{Canceller, Client, Hears, Pending, Update};
pub use error::Error;
pub use points::{Condition, Point, PointChange, Spot};
pub use protocol::*;
pub use source::*;
pub use stored::Stored;
pub use why::why_stopped;
