//! The pickled environment as plain data: the one vocabulary of guest and host. The live view, the checkpoint, the
//! diff and the editor all work on [`Environment`].
//!
//! `no_std` core: model, field table, verify, encoding. Feature `std`: text form, store.
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod diff;
pub mod encode;
pub mod fields;
pub mod hash;
#[cfg(feature = "std")]
pub mod json;
pub mod model;
#[cfg(feature = "std")]
pub mod store;
pub mod tags;
#[cfg(feature = "std")]
pub mod text;
pub mod verify;

pub use model::*;
