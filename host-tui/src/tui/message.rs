//! What reaches the state from outside ([`Message`]), and what the state wants done ([`Ask`]).

use std::{sync::Arc, time::Duration};

use crossterm::event::{KeyEvent, MouseEvent};
use flob_image::{Environment, Place};
use flob_link::{Change, Memory, Scope, Tracing};
use flob_session::{Error, HubEvent, Owner, Point, PointChange, SessionInfo, TracePart};

use super::{
    snapshot::Snapshot,
    store::{Poke, Saved},
};

/// Something happened.
#[derive(Debug)]
pub enum Message {
    /// A key was pressed.
    Key(KeyEvent),
    /// The mouse was used.
    Mouse(MouseEvent),
    /// Text was pasted.
    Paste(String),
    /// The terminal has another size: columns and rows.
    Resize(u16, u16),
    /// Time passes: values age.
    Tick,
    /// The process was asked to end.
    Terminate,
    /// A worker has panicked.
    Defect(String),
    /// From the hub.
    Hub(HubEvent),
    /// The hub's connection has ended.
    HubGone,
    /// There is no session to connect to, or it did not come up.
    NoSession(Error),
    /// Whether commands must name the session: others run beside it.
    Several(bool),
    /// What session this is now.
    Info(Box<SessionInfo>),
    /// A look has come.
    Looked {
        /// What was seen; the same `Arc` as before if nothing has changed.
        snapshot: Arc<Snapshot>,
        /// How long it took.
        took: Duration,
    },
    /// Before an edit or a restore the state could not be kept.
    NotKept(String),
    /// A look has failed.
    LookFailed(String),
    /// Memory has come.
    Memory {
        /// Which.
        memory: Memory,
        /// From where.
        address: u64,
        /// The bytes.
        result: Result<Vec<u8>, String>,
    },
    /// All breakpoints, and what their places are called.
    Points(Vec<(Point, String)>),
    /// Some of the trace.
    Traced(Result<TracePart, String>),
    /// The list of checkpoints.
    Checkpoints(Result<Vec<Saved>, String>),
    /// A checkpoint to browse and edit: its full id.
    Opened(Result<(String, Arc<Snapshot>), String>),
    /// Two checkpoints were compared: a title, and in what they differ.
    Compared(String, Result<Vec<String>, String>),
    /// How far the job under way is.
    Progress {
        /// What is done now.
        phase: String,
        #[expect(missing_docs, reason = "the name says it")]
        done: u64,
        /// 0 if not known.
        total: u64,
    },
    /// A job has ended: what to tell.
    Finished {
        /// Which.
        job: Job,
        /// What came of it, or why it failed.
        result: Result<Outcome, String>,
    },
}

/// What came of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// A checkpoint was made or restored: its id.
    Checkpoint(String),
    /// Threads were held or let go; these still hold some of them.
    Held(Vec<Owner>),
}

/// What the state wants done. The screen never waits for it.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Look again now.
    Look,
    /// Read the trace from this record on.
    Trace {
        #[expect(missing_docs, reason = "see above")]
        from: u64,
    },
    /// Read memory of the subject.
    Read {
        /// A checkpoint's id; `None`: the live session.
        checkpoint: Option<String>,
        #[expect(missing_docs, reason = "the name says it")]
        memory: Memory,
        #[expect(missing_docs, reason = "the name says it")]
        address: u64,
        #[expect(missing_docs, reason = "the name says it")]
        count: u32,
    },
    /// List the checkpoints again.
    List,
    /// Open a checkpoint to browse it.
    Open(String),
    /// Say in what the second checkpoint differs from the first.
    Compare(String, String),
    /// Do something that may take long.
    Do(Job),
    /// Give up what is being done.
    Cancel,
    /// Leave the terminal to `$EDITOR` with the text form of these flobs of a checkpoint.
    Editor {
        #[expect(missing_docs, reason = "the name says it")]
        checkpoint: String,
        #[expect(missing_docs, reason = "the name says it")]
        flobs: Vec<Place>,
    },
    /// Draw everything anew.
    Redraw,
    /// Put a text into the terminal's clipboard.
    Copy(String),
}

/// Something to be done by the hub or the store, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    /// Holds threads.
    Pause(Scope),
    /// Lets threads go; `force`: whoever holds them.
    Resume {
        #[expect(missing_docs, reason = "the name says it")]
        scope: Scope,
        #[expect(missing_docs, reason = "the name says it")]
        force: bool,
    },
    /// One instruction of a thread.
    Step(Place),
    /// Traces this.
    Trace(Tracing),
    /// Sets the breakpoints that `LOCATION [if EXPRESSION]` means.
    Break(String),
    /// Changes a breakpoint.
    Point {
        #[expect(missing_docs, reason = "the name says it")]
        id: u32,
        #[expect(missing_docs, reason = "the name says it")]
        change: PointChange,
    },
    /// Changes flobs and memory of the live session.
    Apply {
        /// The same in words, for `flob undo`.
        what: String,
        /// Flob, its hash, and what changes.
        changes: Vec<(Place, u64, Change)>,
        /// Memory.
        pokes: Vec<Poke>,
    },
    /// Saves a checkpoint.
    Save {
        /// Its name.
        name: Option<String>,
        /// The session is stopped after it.
        then_stop: bool,
    },
    /// Restores a checkpoint in this guest.
    Restore {
        /// Id, name or unique prefix.
        id: String,
        /// Unknown external links become null.
        force: bool,
    },
    /// Takes the last edit, poke or restore back.
    Undo,
    /// Removes a checkpoint.
    Remove(String),
    /// Saves an edited checkpoint as a new one.
    SaveEdited {
        /// The one that was edited.
        parent: String,
        /// What it is now.
        environment: Box<Environment>,
        /// And its memory.
        pokes: Vec<Poke>,
    },
    /// Input for the program.
    Type(Vec<u8>),
    /// Ends guest and hub.
    Stop,
}

impl Job {
    /// Whether it may take so long that others should not wait for it.
    pub const fn is_long(&self) -> bool {
        matches!(
            self,
            Self::Apply { .. }
                | Self::Save { .. }
                | Self::Restore { .. }
                | Self::Undo
                | Self::SaveEdited { .. }
                | Self::Remove(_)
        )
    }
}
