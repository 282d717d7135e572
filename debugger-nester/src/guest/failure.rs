//! Failures for the host, one sentence each.

use alloc::{format, string::String};

use flob_link::{Failure, FailureKind};
use flob_runtime::abi::Status;

/// What a request comes to.
pub type Outcome<T> = Result<T, Failure>;

/// A failure of this kind.
pub fn failure(kind: FailureKind, text: impl Into<String>) -> Failure {
    Failure { kind, text: text.into() }
}

/// The kernel's refusal.
pub fn refused(status: Status) -> Failure {
    failure(FailureKind::Refused, format!("the kernel refused: {}", status.text()))
}
