//! What the hub answers.

use flob_image::Environment;
use flob_link::{Traced, Tracing};
use serde::{Deserialize, Serialize};

use super::{Owner, SessionInfo};
use crate::Point;

/// What the hub answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum HubReply {
    /// Done.
    Done,
    /// To `Info`.
    Info(Box<SessionInfo>),
    /// To `Look`.
    Environment(Environment),
    /// To `Read`.
    Bytes(Vec<u8>),
    /// To `Hold` and `Release`: threads that changed, and who still holds something in that scope.
    Held {
        #[allow(missing_docs)]
        threads: u32,
        #[allow(missing_docs)]
        holders: Vec<Owner>,
    },
    /// To `MeasureLine`.
    Line(LineFigures),
    /// To `Migrate`.
    Migrated(Migrated),
    /// To `Save`, `Restore`, `Remember` and `Undo`: id of the checkpoint.
    Checkpoint(String),
    /// To `Trace`.
    Trace(TracePart),
    /// To `Points`, in the order of their numbers.
    Points(Vec<Point>),
    /// To `AddPoint`.
    Point(u32),
}

/// Some of the trace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracePart {
    #[allow(missing_docs)]
    pub records: Vec<Traced>,
    /// Number of the record that comes next in the guest.
    pub next: u64,
    /// What is traced now, for whomever.
    pub tracing: Tracing,
}

/// What a migration came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migrated {
    /// The session that the program is in now.
    pub to: String,
    /// Rounds, the last one included.
    pub rounds: u32,
    /// Pages that travelled, one that went twice counted twice.
    pub pages: u64,
    #[expect(missing_docs, reason = "the name says it")]
    pub flobs: u64,
    /// How long the program stood still, in nanoseconds of the host.
    pub stop_nanoseconds: u64,
    /// Somebody had held it: it is held there too.
    pub held: bool,
}

/// What the line to the guest carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineFigures {
    /// Bytes of pages that the messages of this measurement had.
    pub bytes: u64,
    /// How long they took, in nanoseconds.
    pub nanoseconds: u64,
    /// Bytes that have come over the line so far.
    pub received: u64,
    /// For how long the last save kept the program from running, in nanoseconds of the guest.
    pub stop_time: u64,
    /// How long the guest has worked for the last restore until the program could run, in nanoseconds of the guest.
    pub restore_time: u64,
}
