//! What can go wrong with the store, each with what to do next.

use thiserror::Error;

/// An error of the store.
#[derive(Debug, Error)]
pub enum StoreError {
    /// A file is not what was written.
    #[error("{file} is damaged: {what}; {advice}")]
    Damaged {
        /// Which file.
        file: String,
        /// What is wrong with it.
        what: String,
        /// What to do.
        advice: String,
    },
    /// A file of a newer flob.
    #[error("{file} was written in format {version}, which this flob does not know: use a newer flob")]
    Newer {
        /// Which file.
        file: String,
        /// Its format version.
        version: u32,
    },
    /// No such checkpoint.
    #[error("there is no checkpoint `{0}`; `flob checkpoint list` shows which there are")]
    NotFound(String),
    /// Several checkpoints could be meant.
    #[error("`{given}` could be any of the checkpoints {}; give more of the id", candidates.join(", "))]
    Ambiguous {
        /// What was given.
        given: String,
        /// Ids of what it could be.
        candidates: Vec<String>,
    },
    /// A request that makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// Reading or writing failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl StoreError {
    /// Reading or writing failed while `what` was tried.
    pub const fn io(what: String, source: std::io::Error) -> Self {
        Self::Io { what, source }
    }

    /// A damaged file that one checkpoint needs.
    pub(super) fn damaged(file: String, what: impl Into<String>, id: &str) -> Self {
        let advice = format!("restore another checkpoint, or remove this one with `flob checkpoint rm {id}`");
        Self::Damaged { file, what: what.into(), advice }
    }
}
