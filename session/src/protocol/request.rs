//! What clients ask.

use flob_image::Place;
use flob_link::{Change, Memory, Run, Scope, Tracing, WaitKind, Watch};
use serde::{Deserialize, Serialize};

use super::Owner;
use crate::{Condition, PointChange, Spot};

/// What clients ask.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum HubRequest {
    /// What session this is.
    Info,
    /// Send events to this client from now on, beginning with the console output so far.
    Subscribe,
    /// The environment as it is now (with vectors if asked).
    Look {
        #[allow(missing_docs)]
        vectors: bool,
    },
    /// Memory; any count up to 1 MiB.
    Read {
        #[allow(missing_docs)]
        memory: Memory,
        #[allow(missing_docs)]
        address: u64,
        #[allow(missing_docs)]
        count: u32,
    },
    /// Memory; any length up to 1 MiB.
    Write {
        #[allow(missing_docs)]
        memory: Memory,
        #[allow(missing_docs)]
        address: u64,
        #[allow(missing_docs)]
        bytes: Vec<u8>,
    },
    /// Changes a flob.
    Set {
        #[allow(missing_docs)]
        place: Place,
        #[allow(missing_docs)]
        hash: u64,
        #[allow(missing_docs)]
        change: Change,
    },
    /// Holds threads back.
    Hold {
        #[allow(missing_docs)]
        owner: Owner,
        #[allow(missing_docs)]
        scope: Scope,
    },
    /// Lets go what this owner holds in this scope (`force`: whoever holds it). The answer names who else still holds.
    Release {
        #[allow(missing_docs)]
        owner: Owner,
        #[allow(missing_docs)]
        scope: Scope,
        #[allow(missing_docs)]
        force: bool,
    },
    /// Lets go what this owner holds in a space until a thread of it stops for whatever but a step: then this owner holds all of
    /// the space again, before anybody is told. Answered as `Release`.
    Continue {
        #[allow(missing_docs)]
        owner: Owner,
        #[allow(missing_docs)]
        space: Place,
    },
    /// One instruction of one held thread; answered when it has stopped again or at once (`HubEvent::Guest(Stopped)` tells).
    Step {
        #[allow(missing_docs)]
        owner: Owner,
        #[allow(missing_docs)]
        thread: Place,
        /// The step that ends between these addresses, and at no breakpoint, is followed by another without being told.
        within: Option<(u64, u64)>,
    },
    /// A breakpoint of this owner.
    SetBreakpoint {
        #[allow(missing_docs)]
        owner: Owner,
        #[allow(missing_docs)]
        space: Place,
        #[allow(missing_docs)]
        address: u64,
    },
    /// Takes it out, unless another owner wants it too.
    ClearBreakpoint {
        #[allow(missing_docs)]
        owner: Owner,
        #[allow(missing_docs)]
        space: Place,
        #[allow(missing_docs)]
        address: u64,
    },
    /// What takes its time.
    Long(LongRequest),
    /// From another hub: its program is about to come into this guest. The end of the connection before `MoveCommit` gives it up.
    MoveBegin {
        /// Bytes of its memory.
        size: u64,
    },
    /// Some of its pages; what came before counts no longer.
    MovePages {
        #[allow(missing_docs)]
        runs: Vec<Run>,
        #[allow(missing_docs)]
        bulk: Vec<u8>,
    },
    /// More of its input, from the beginning on.
    MoveInput {
        #[allow(missing_docs)]
        bytes: Vec<u8>,
    },
    /// Its flobs.
    MoveRecord {
        /// Postcard of `flob_image::Environment`.
        record: Vec<u8>,
        /// The program's file.
        elf: Option<Vec<u8>>,
    },
    /// Everything has come: it takes the place of what is here.
    MoveCommit {
        /// The checkpoint that it goes back to.
        checkpoint: Option<String>,
        /// Nobody held it.
        run: bool,
        /// All of its input has come.
        input_ended: bool,
    },
    /// Cancels a long request of this client.
    Cancel {
        /// Its number.
        number: u32,
    },
    /// More standard input typed by a person (only if the session has no other input).
    Type {
        #[allow(missing_docs)]
        bytes: Vec<u8>,
    },
    /// Has the guest send so many messages full of zeroes, and tells what the line carried.
    MeasureLine {
        /// May be 0.
        messages: u32,
    },
    /// Ends guest and hub.
    Shutdown,
    /// Watches memory for this owner, or has a hardware breakpoint: refused if the debug registers do not suffice.
    SetWatch {
        #[allow(missing_docs)]
        owner: Owner,
        #[allow(missing_docs)]
        watch: Watch,
    },
    /// This owner does not watch it any more.
    ClearWatch {
        #[allow(missing_docs)]
        owner: Owner,
        #[allow(missing_docs)]
        watch: Watch,
    },
    /// Has the threads of a space stopped before these kernel calls, by number, for this owner, and before no others; an empty
    /// list ends it.
    CatchCalls {
        #[allow(missing_docs)]
        owner: Owner,
        #[allow(missing_docs)]
        space: Place,
        #[allow(missing_docs)]
        calls: Vec<u64>,
    },
    /// Traces this for this owner, instead of what it had traced before.
    SetTrace {
        #[allow(missing_docs)]
        owner: Owner,
        #[allow(missing_docs)]
        tracing: Tracing,
    },
    /// All breakpoints, watchpoints and caught calls, of whomever.
    Points,
    /// Adds one for this owner; one at the same spot gets this condition. Answered by its number.
    AddPoint {
        #[allow(missing_docs)]
        owner: Owner,
        #[allow(missing_docs)]
        spot: Spot,
        #[allow(missing_docs)]
        condition: Option<Condition>,
    },
    /// Changes one, whosever it is.
    ChangePoint {
        #[allow(missing_docs)]
        id: u32,
        #[allow(missing_docs)]
        change: PointChange,
    },
    /// Records of the trace from this number on: some, if there are many.
    Trace {
        #[allow(missing_docs)]
        from: u64,
    },
}

/// What is answered beside the others: it takes its time, tells how far it is, and can be cancelled.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum LongRequest {
    /// Saves a checkpoint into the store; progress is reported; answered with its id.
    Save {
        #[allow(missing_docs)]
        name: Option<String>,
        #[allow(missing_docs)]
        when: Option<WaitKind>,
        /// All memory, not only what has changed since the last checkpoint.
        full: bool,
    },
    /// Restores a checkpoint in this guest; afterwards everything is held by `user`.
    Restore {
        /// Checkpoint id, name or unique prefix.
        id: String,
        #[allow(missing_docs)]
        force: bool,
        /// Its memory follows when it is needed, and by and by.
        lazy: bool,
    },
    /// Moves the program into the guest of another session while it runs; progress is reported; this session ends then.
    Migrate {
        /// The other's name.
        to: String,
    },
    /// Waits until the memory of a checkpoint that was restored lazily is there; progress is reported.
    AwaitPages,
    /// Saves a checkpoint that `Undo` comes back to; answered with its id. Asked for before an edit or a restore.
    Remember {
        /// What is about to be done, for people.
        what: String,
    },
    /// Begins the program anew; afterwards everything is held by `user`.
    Restart {
        /// Other arguments than it had.
        arguments: Option<Vec<String>>,
    },
    /// Restores the last checkpoint that was remembered and not yet undone; answered with its id.
    Undo,
}

impl From<LongRequest> for HubRequest {
    fn from(request: LongRequest) -> Self {
        Self::Long(request)
    }
}
