//! What the guest answers, and why it does not.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use super::{Capacity, Effect, Mark, Run};
use crate::trace::Traced;

/// The answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// Done.
    Done,
    /// To `Hello`.
    Hello {
        /// [`super::VERSION`] of the guest.
        version: u32,
        /// Bytes of the environment.
        size: u64,
        /// Name of the program.
        program: String,
        /// Changes with each start of the guest.
        boot: u64,
        /// Number of the first event that is still there: who comes to a guest that has run for a while begins with it.
        first_event: u64,
        /// Of the line.
        capacity: Capacity,
    },
    /// To `Sync`.
    Sync(Progress),
    /// A long answer is ready.
    Long {
        #[allow(missing_docs)]
        answer: u32,
        /// Its bytes.
        size: u64,
    },
    /// To `Chunk`, `Read`, `SaveHashes`.
    Bytes(#[serde(with = "crate::bytes")] Vec<u8>),
    /// To `SaveBegin`: the record is ready as a long answer.
    Saving {
        #[allow(missing_docs)]
        answer: u32,
        #[allow(missing_docs)]
        size: u64,
        /// This moment, for the save after this one.
        mark: Mark,
        /// The guest knows the moment `since`: `SaveSurvey` names only what has changed.
        only_changes: bool,
    },
    /// To `SaveSurvey`: what it found before page `next`. Pages that are not named are all zero or, with `only_changes`, as they were.
    Survey {
        /// To be saved.
        used: Vec<Run>,
        /// All zero now. Only with `only_changes`.
        zero: Vec<Run>,
        /// To be saved, and still missing here: as they are in the checkpoint that was restored. Not with `only_changes`.
        missing: Vec<Run>,
        /// Where to go on.
        next: u64,
    },
    /// To `RestoreBegin`.
    Restoring {
        /// The number that the environment will have ([`Mark::environment`]), unless another one is put in place before.
        environment: u32,
    },
    /// To `RestoreCommit` and `Restart`: the moment from which on the environment differs from what was restored or loaded.
    Replaced(Mark),
    /// To `SavePages`, on a line that may lose bytes.
    Packed(#[serde(with = "crate::bytes")] Vec<u8>),
    /// To `StopTime` and `RestoreTime`.
    Nanoseconds(u64),
    /// To `SavePages` and `Blank`: bulk.
    Pages(#[serde(skip)] Vec<u8>),
    /// To `Stop` and `Resume`: how many threads it changed. To `Detach`: how many are stopped.
    Threads(u32),
    /// To `SaveBegin` with `when`: the moment has not come yet; `Event::SaveReady` will tell.
    Waiting,
    /// To `Trace`.
    Trace {
        /// Some of the records, ascending.
        records: Vec<Traced>,
        /// Number of the record that the next one gets.
        next: u64,
    },
    /// To `RoundBegin`: this moment.
    Round(Mark),
    /// To `Read`, `Write` and `SetBreakpoint`: these pages are needed for it and still missing. To be asked again when they have
    /// been supplied.
    Missing(Vec<Run>),
}

/// State of affairs in the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// As in the hello: another one is another guest, which was started since.
    pub boot: u64,
    /// Number of the next event.
    pub next_event: u64,
    /// Bytes of input that the guest wants next: from here …
    pub input_from: u64,
    /// … up to here (its buffer's room).
    pub input_to: u64,
    /// The program waits for input now.
    pub input_wanted: bool,
    /// Frames dropped as garbled.
    pub garbled: u64,
    /// Threads stopped by the debugger now.
    pub stopped: u32,
    /// The environment that is here now ([`Mark::environment`]).
    pub environment: u32,
    /// Pages of it that are missing.
    pub missing: u64,
    /// The program has ended with this code.
    pub exit: Option<i32>,
    /// How often the environment was looked at; the program stands still meanwhile.
    pub looks: u64,
    /// How long that has taken altogether, in nanoseconds …
    pub looking: u64,
    /// … of these that have gone by since the debugger began.
    pub time: u64,
}

/// Why a request failed; for people too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind, for programs.
    pub kind: FailureKind,
    /// One sentence.
    pub text: String,
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// Nothing there (flob, answer, memory).
    NotFound,
    /// The flob at this place is another one now.
    Changed,
    /// The kernel refused (see the text).
    Refused,
    /// Not now: no save is on, another restore is, the program has ended …
    State,
    /// The request makes no sense.
    Invalid,
    /// No room.
    Memory,
    /// The guest does not answer, or has ended. Said by the host, never by the guest.
    Guest,
    /// Something on the host failed: a full disk, say. Said by the host, never by the guest.
    Host,
    /// The guest does not answer, and this may have been changed or not. Said by the host, never by the guest.
    InDoubt(Effect),
}
