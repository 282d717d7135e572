//! Pickling and rebuilding an environment, guest side: no policy, no transport. What crosses the border (streams,
//! requests, the clock) is its nester's to add.
//!
//! - [`stop`]: stop every thread, and let go again what this stopped.
//! - [`look`]: the state and links of every flob.
//! - [`sights`]: the same of all flobs at once, for who has stopped them for good.
//! - [`border`]: the requests that its nester has not answered.
//! - [`record`]: what was found as bytes, written and read one flob at a time.
//! - [`copying`]: the memory as it was, while the child runs on.
//! - [`denial`]: the keeper of memory that is denied for a while.
//! - [`draft`]: what was seen while it stood, and the record that is made of that behind.
//! - [`pace`]: rests of who works beside the child.
//! - [`pages`]: sets of pages.
//! - [`rebuild`]: create every flob at its place and set its state and links.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod border;
pub mod copying;
pub mod denial;
pub mod draft;
pub mod look;
pub mod pace;
pub mod pages;
pub mod rebuild;
pub mod record;
pub mod sights;
pub mod stop;

pub use copying::Copying;
pub use draft::Draft;
pub use look::{Bearings, Surroundings, look, look_at_each};
pub use rebuild::{RebuildError, Unknown, World, rebuild, rebuild_in_order};
pub use record::Record;
pub use sights::Sights;
pub use stop::{Standing, in_one_go, release, release_known, resume, stop_all, stop_once};
