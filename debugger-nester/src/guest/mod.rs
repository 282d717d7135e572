//! What acts on the child. One state under one lock ([`state::State`]); each thread below takes it, does something that
//! does not wait, and lets it go.
//!
//! | thread | priority | does |
//! |---|---|---|
//! | services | own ceiling | answers the child's requests, parks those that must wait |
//! | carriers | own ceiling | deliver the answers to parked requests, and go on with transfers out of an image, see [`carriers`] |
//! | timers | own ceiling | sleep until a parked sleep is over |
//! | exceptions | own ceiling | keeper and debug port of the child |
//! | denials | own ceiling | keepers of the child's memory, see [`denial`] |
//! | warden | own ceiling | hears from the watcher that the child is idle |
//! | receiver, sender | one lower | the link |
//! | saver | one lower | stops the child for a save, see [`saver`] |
//! | scribe | two lower | makes the record of a save |
//! | the child | two lower | |
//! | torturer | own ceiling or one lower | see [`torture`] |
//! | watcher | 0 | runs only when nothing else can |
//!
//! Because everything here but the scribe, who takes no lock of those, runs above the child, and the services above the link, whoever holds the lock on behalf of the
//! link sees the child standing still and every server thread blocked.

mod adjustment;
mod borders;
mod caller;
mod carriers;
mod catch;
mod conditions;
mod copying;
mod denial;
mod detach;
mod exceptions;
mod failure;
mod launch;
mod lazy;
mod link;
mod memory;
mod page_watch;
mod record;
mod requests;
mod restart;
mod restore;
mod save;
mod saver;
mod search;
mod sending;
mod services;
mod set;
mod state;
mod step;
mod surroundings;
mod survey;
mod threads;
mod timers;
mod torture;
mod trace;
mod watch;
mod watcher;

pub use launch::run;
pub use surroundings::{CHANNEL, Parent, Receiver, Surroundings};
