//! What the stand-alone checkpointer is made of. One state under one lock ([`state::State`]).
//!
//! | thread | priority | does |
//! |---|---|---|
//! | servers | own ceiling | pass the child's requests on to the parent, and wait in them; there is always one more |
//! | joiners | own ceiling | the same for requests out of a checkpoint |
//! | keeper | own ceiling | hears of the child's exceptions |
//! | bulk | own ceiling | passes pages for the host on |
//! | ticker | own ceiling | says when the next checkpoint is due |
//! | denials | own ceiling | the keeper of the child's memory, see [`denial`] |
//! | saver | one lower | stops the child for a save, and rolls back |
//! | scribe | two lower | makes the record of a save, and copies the memory, while the child runs on |
//! | the child | two lower | |
//!
//! Because the saver runs above the child and below all servers, it sees the child standing still and every server blocked.

mod bulk;
mod denial;
mod generations;
mod give_up;
mod joiners;
mod keeper;
mod launch;
mod mirror;
mod options;
mod requests;
mod saver;
mod scribe;
mod servers;
mod state;

pub use launch::run;
