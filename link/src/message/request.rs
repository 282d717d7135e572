//! What the host asks of the guest.

use alloc::{string::String, vec::Vec};

use flob_image::Place;
use serde::{Deserialize, Serialize};

use super::{Change, Mark, Memory, Run, Scope, WaitKind, Watch};
use crate::trace::Tracing;

/// What the host asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// First of every connection.
    Hello {
        /// [`super::VERSION`] of the host.
        version: u32,
    },
    /// State of affairs; events from this number on are sent again, earlier ones may be forgotten.
    Sync {
        /// First event number not seen yet.
        events_from: u64,
    },
    /// The environment as it is now: a long answer (postcard of `flob_image::Environment`). Looking changes nothing.
    Look {
        /// With the vector state of threads.
        vectors: bool,
    },
    /// Chunk `index` of a long answer.
    Chunk {
        #[allow(missing_docs)]
        answer: u32,
        #[allow(missing_docs)]
        index: u32,
    },
    /// The long answer is not needed any more.
    Forget {
        #[allow(missing_docs)]
        answer: u32,
    },
    /// At most [`super::CHUNK`] bytes of memory.
    Read {
        #[allow(missing_docs)]
        memory: Memory,
        #[allow(missing_docs)]
        address: u64,
        #[allow(missing_docs)]
        count: u32,
    },
    /// Writes at most [`super::CHUNK`] bytes; ignores write protection; breakpoints stay in place.
    Write {
        #[allow(missing_docs)]
        memory: Memory,
        #[allow(missing_docs)]
        address: u64,
        #[allow(missing_docs)]
        #[serde(with = "crate::bytes")]
        bytes: Vec<u8>,
    },
    /// Changes a flob; the hash guards against meeting another flob at the same place.
    Set {
        #[allow(missing_docs)]
        place: Place,
        #[allow(missing_docs)]
        hash: u64,
        #[allow(missing_docs)]
        change: Change,
    },
    /// Stops threads; what was running and is stopped now is remembered as stopped by the debugger.
    Stop(Scope),
    /// Lets go those of the threads that the debugger stopped, and no others. One that has stopped by itself stays where it is as long
    /// as who asks does not know of that: he may want it held.
    Resume {
        #[allow(missing_docs)]
        scope: Scope,
        /// The first event that is not known.
        unseen: u64,
    },
    /// The same of the threads of a space, until one of them stops (a step is none such): then all of it is stopped before that
    /// is told, and the event says so. `Resume` of the space, or `Stop`, takes that back.
    Continue {
        #[allow(missing_docs)]
        space: Place,
        /// As in `Resume`.
        unseen: u64,
    },
    /// Runs one stopped thread for one instruction (over a call: to its end, however long). Ends with `Event::Stopped`. One whose stop
    /// is not known yet cannot be stepped.
    Step {
        #[allow(missing_docs)]
        thread: Place,
        /// As in `Resume`.
        unseen: u64,
        /// The step that ends between these addresses, and at no breakpoint, is followed by another.
        within: Option<(u64, u64)>,
    },
    /// Puts a software breakpoint into the code of a space. Setting one again is fine.
    SetBreakpoint {
        #[allow(missing_docs)]
        space: Place,
        #[allow(missing_docs)]
        address: u64,
        /// Programs ([`crate::condition`]), one of which must hold; none: it always stops. Instead of those before.
        conditions: Vec<Vec<u8>>,
    },
    /// Takes it out.
    ClearBreakpoint {
        #[allow(missing_docs)]
        space: Place,
        #[allow(missing_docs)]
        address: u64,
    },
    /// Stops the environment and makes its record; then what was stopped goes on, and `SaveSurvey` and `SavePages` show the memory
    /// as it was at that moment, until `SaveEnd`. Answered by `Reply::Saving`. With `when`, first lets it run until a thread
    /// waits so (then the reply comes at once, and `Event::SaveReady` later); a thread waits only for the named thing if
    /// it is about that.
    SaveBegin {
        #[allow(missing_docs)]
        when: Option<WaitKind>,
        /// The moment of a save or restore whose memory the host has whole: what is as it was then need not travel.
        since: Option<Mark>,
    },
    /// Which pages from this number on are to be saved; answered by `Reply::Survey`. Breakpoint bytes count and travel as the
    /// program's own. While a save is on.
    SaveSurvey {
        /// Page number in the environment.
        from: u64,
    },
    /// These pages of the environment, as they are to be saved, no more than the line's [`Capacity`] says: as bulk or, on a line that
    /// may lose bytes, packed ([`crate::pack`]).
    SavePages {
        #[allow(missing_docs)]
        runs: Vec<Run>,
    },
    /// The BLAKE3 hashes of these pages as they are to be saved, 32 bytes each: for a line so slow that pages which the store
    /// has should not travel.
    SaveHashes {
        #[allow(missing_docs)]
        runs: Vec<Run>,
    },
    /// So many zero pages as bulk, from a buffer that nobody looks at: what the line and all below it can carry.
    Blank {
        #[allow(missing_docs)]
        pages: u32,
    },
    /// For how long the last save kept the program from running.
    StopTime,
    /// The save is over (or given up): what it stopped goes on.
    SaveEnd,
    /// Begins building a second environment beside the present one, to replace it. The record follows. Answered by `Reply::Restoring`.
    RestoreBegin {
        /// Bytes of the postcard of `flob_image::Environment`.
        record: u64,
        /// Bytes of its memory.
        size: u64,
        /// Pages that are not sent before `RestoreCommit` are not zero but missing: they follow by `Supply`.
        is_lazy: bool,
    },
    /// A piece of the record.
    RestoreRecord {
        #[allow(missing_docs)]
        offset: u64,
        #[allow(missing_docs)]
        #[serde(with = "crate::bytes")]
        bytes: Vec<u8>,
    },
    /// These pages of memory, packed ([`crate::pack`]); for a line that may lose bytes.
    RestorePacked {
        #[allow(missing_docs)]
        runs: Vec<Run>,
        #[allow(missing_docs)]
        #[serde(with = "crate::bytes")]
        packed: Vec<u8>,
    },
    /// These pages of memory, as bulk; pages not sent are zero, or missing.
    RestorePages {
        #[allow(missing_docs)]
        runs: Vec<Run>,
        /// The bulk.
        #[serde(skip)]
        bulk: Vec<u8>,
    },
    /// Everything is there: build the flobs, replace the old environment. All threads begin stopped by the debugger; `Resume`
    /// lets them go. Answered by `Reply::Replaced`.
    RestoreCommit {
        /// Unknown external links become null (else the restore is refused if there are any).
        force: bool,
    },
    /// Gives the restore up; the present environment stays.
    RestoreAbandon,
    /// Input for the program: `bytes` at `position` of the stream; empty: the stream ends there.
    Input {
        #[allow(missing_docs)]
        position: u64,
        #[allow(missing_docs)]
        #[serde(with = "crate::bytes")]
        bytes: Vec<u8>,
    },
    /// Ends the guest.
    Shutdown,
    /// Watches memory for all threads of the space: by their debug registers, or, where these do not suffice, by taking rights from the
    /// pages. Setting it again is fine.
    SetWatch(Watch),
    /// Ends that.
    ClearWatch(Watch),
    /// Stops the threads of a space before these kernel calls, by number (`flob_abi::ipc::IPC`: any set of IPC steps), and
    /// before no others; an empty list ends it.
    CatchCalls {
        #[allow(missing_docs)]
        space: Place,
        #[allow(missing_docs)]
        calls: Vec<u64>,
    },
    /// Traces this, instead of what was traced before.
    SetTrace(Tracing),
    /// The records of the trace from this number on, as many as a message carries; answered by `Reply::Trace`.
    Trace {
        #[allow(missing_docs)]
        from: u64,
    },
    /// Missing pages of the environment of this number ([`Mark::environment`]), as bulk. What is not missing any more stays as
    /// it is: it may have been written since.
    Supply {
        #[allow(missing_docs)]
        environment: u32,
        #[allow(missing_docs)]
        runs: Vec<Run>,
        /// The bulk.
        #[serde(skip)]
        bulk: Vec<u8>,
    },
    /// The same, packed ([`crate::pack`]); for a line that may lose bytes.
    SupplyPacked {
        #[allow(missing_docs)]
        environment: u32,
        #[allow(missing_docs)]
        runs: Vec<Run>,
        #[allow(missing_docs)]
        #[serde(with = "crate::bytes")]
        packed: Vec<u8>,
    },
    /// The same, of pages that are all zero: at most [`super::MAX_ZERO_PAGES`].
    SupplyZero {
        #[allow(missing_docs)]
        environment: u32,
        #[allow(missing_docs)]
        runs: Vec<Run>,
    },
    /// As `SaveBegin`, but of memory alone: nothing is stopped, and no record is made. Answered by `Reply::Round`.
    RoundBegin {
        /// As in `SaveBegin`.
        since: Option<Mark>,
    },
    /// The record of the restore that is on has so many bytes, all of which follow.
    RestoreRecordSize {
        #[allow(missing_docs)]
        record: u64,
    },
    /// How long the guest has worked for the last restore until the program could run, in its own time.
    RestoreTime,
    /// All that lasts of what was asked for ends: breakpoints, watchpoints, caught calls and traces are taken out, a save or restore
    /// that is on is given up. Said by a host that comes to a guest which another one has left, and by one that leaves a guest which
    /// stays. Threads that are stopped stay so: answered by `Reply::Threads`, how many.
    Detach,
    /// Loads a program of the guest into an empty environment, which takes the place of the present one. Its first thread stands
    /// before its first instruction, stopped by the debugger; its streams begin anew. Afterwards `Event::Restarted` is told. Answered by
    /// `Reply::Replaced`.
    Restart {
        /// The program's name and its arguments; empty: as it was started before.
        command: Vec<String>,
    },
}

impl Request {
    /// Whether it stops threads, lets some go, or puts others in their place. One after the other: what they come to depends on their
    /// order, and a line that loses something brings it later.
    pub const fn is_order(&self) -> bool {
        matches!(
            self,
            Self::Stop(_)
                | Self::Resume { .. }
                | Self::Continue { .. }
                | Self::Step { .. }
                | Self::RestoreCommit { .. }
                | Self::Restart { .. }
                | Self::Detach
        )
    }
}
