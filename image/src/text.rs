//! The text form of an environment, for `$EDITOR`: TOML, one table a flob, one line a field or link. Memory is never
//! in it.
//!
//! ```toml
//! # mutex:main/fork[2]
//! [mutex.0x2400]
//! locked = true       # Whether somebody holds it; `owner` says who
//! owner = "0x5000"    # thread:main/philosopher[1]
//! ```
//!
//! What the text leaves out stays as it is, so a text of a few flobs edits just those.

mod parse;
mod write;

use thiserror::Error;

use crate::Place;

pub use parse::apply_text;
pub use write::to_text;

/// What an edit changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The flob.
    pub place: Place,
    /// Its field or link.
    pub name: String,
    /// Value before, as text.
    pub before: String,
    /// Value now.
    pub after: String,
}

/// What is wrong with an edited text.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {message}")]
pub struct TextError {
    /// Counted from 1.
    pub line: usize,
    /// One sentence.
    pub message: String,
}
