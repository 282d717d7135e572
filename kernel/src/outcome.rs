//! How a call ends: the type says whether it is done, waits or cannot go on, and who is to blame.

use flob_abi::{FlobKind, Misuse, Protection, Status};

use crate::record::FlobId;

/// What a call did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// It is over, with this status.
    Status(Status),
    /// It waits for this flob; the registers say what is left of it.
    Wait(FlobId),
    /// It is over, and has unlocked a mutex that others wait for.
    HandOver(FlobId),
    /// The thread is where it should be already: in a queue, or with registers set by somebody else.
    Kept,
    /// A long call made progress; the rest is done when it is executed again.
    Again,
}

/// Why a call cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trap {
    /// The memory is not there: the caller takes the fault, then the call runs again.
    Fault { address: u64, access: Protection },
    /// The caller did what makes no sense.
    Misuse { misuse: Misuse, address: u64 },
    /// The usual way does not find the one flob that the call is about, which must be written.
    Unsettled { address: u64, kind: FlobKind },
    /// The caller has no space to look anything up in.
    NoSpace,
}

impl Trap {
    pub fn misuse<T>(misuse: Misuse, address: u64) -> Result<T, Self> {
        Err(Self::Misuse { misuse, address })
    }
}

/// The result of every call.
pub(crate) type Outcome = Result<Done, Trap>;

/// The end of a call that went well.
pub(crate) const SUCCESS: Outcome = Ok(Done::Status(Status::Success));

/// The end of a call with another status.
pub(crate) const fn status(status: Status) -> Outcome {
    Ok(Done::Status(status))
}

/// The argument registers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Args {
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub r10: u64,
}
