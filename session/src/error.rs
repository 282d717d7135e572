//! What can go wrong on the host, each with a message that says what to do next, and an exit code.

use flob_image::store::StoreError;
use flob_link::{Failure, FailureKind};
use thiserror::Error;

/// An error of flob itself. Exit codes 120–127; the program's own code passes unchanged.
#[derive(Debug, Error)]
pub enum Error {
    /// Wrong arguments (code 120).
    #[error("{0}")]
    Usage(String),
    /// Program, file, session, checkpoint or flob that does not exist (code 121).
    #[error("{0}")]
    NotFound(String),
    /// A file that is not what it should be: no ELF, a damaged checkpoint, a text that does not parse (code 122).
    #[error("{0}")]
    BadInput(String),
    /// Something on this machine is missing or taken: QEMU, a port (code 123).
    #[error("{0}")]
    Environment(String),
    /// The guest does not answer or has died (code 124).
    #[error("{0}")]
    Guest(String),
    /// The guest refused (code 125).
    #[error("{0}")]
    Refused(String),
    /// Input or output failed (code 126).
    #[error("{context}: {source}")]
    Io {
        /// What was tried.
        context: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A defect of flob (code 127).
    #[error("this is a defect of flob, please report it: {0}")]
    Internal(String),
}

impl Error {
    /// Input or output failed while `context` was tried.
    pub fn io(context: impl Into<String>, source: std::io::Error) -> Self {
        Self::Io { context: context.into(), source }
    }

    /// An error that another process of flob's ended with, from its code and message.
    pub fn from_exit_code(code: u8, text: String) -> Self {
        match code {
            120 => Self::Usage(text),
            121 => Self::NotFound(text),
            122 => Self::BadInput(text),
            123 => Self::Environment(text),
            124 => Self::Guest(text),
            125 => Self::Refused(text),
            126 => Self::Io { context: "starting the session".into(), source: std::io::Error::other(text) },
            _ => Self::Internal(text),
        }
    }

    /// The exit code of the `flob` command.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 120,
            Self::NotFound(_) => 121,
            Self::BadInput(_) => 122,
            Self::Environment(_) => 123,
            Self::Guest(_) => 124,
            Self::Refused(_) => 125,
            Self::Io { .. } => 126,
            Self::Internal(_) => 127,
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Io { what, source } => Self::Io { context: what, source },
            StoreError::NotFound(_) => Self::NotFound(error.to_string()),
            StoreError::Ambiguous { .. } => Self::Usage(error.to_string()),
            StoreError::Damaged { .. } | StoreError::Newer { .. } | StoreError::Invalid(_) => {
                Self::BadInput(error.to_string())
            }
        }
    }
}

/// An error as the hub tells it to a client, which takes it back into the same kind of error.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::NotFound(_) => FailureKind::NotFound,
            Error::Usage(_) | Error::BadInput(_) => FailureKind::Invalid,
            Error::Guest(_) => FailureKind::Guest,
            Error::Refused(_) => FailureKind::Refused,
            Error::Environment(_) | Error::Io { .. } | Error::Internal(_) => FailureKind::Host,
        };
        Self { kind, text: error.to_string() }
    }
}
