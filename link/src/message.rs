//! What host and debugger nester say to each other. Every message is one frame (at most [`MAX_FRAME`] bytes of postcard).
//!
//! - The host asks ([`ToGuest`]), the guest answers with the same number ([`FromGuest::Reply`]). Only the host has
//!   time-outs: it repeats a request with the same number, and the guest answers a repeat from its cache of the last
//!   answers, so nothing is done twice (see [`crate::answers`], which the guest judges requests with).
//! - A long answer is kept by the guest under an *answer number* and fetched in numbered chunks
//!   ([`Request::Chunk`]), a window of them at a time, so that a small request gets in between.
//! - What happens in the guest is an [`Event`], numbered in order. A gap makes the host ask again from the gap
//!   on ([`Request::Sync`]); so does every quiet second, so a lost last event comes too. Output is part of the events.

use alloc::{string::String, vec::Vec};

use flob_image::{Link, Place};
use serde::{Deserialize, Serialize};

use crate::trace::{Traced, Tracing};

/// Version of the protocol; both sides must have the same.
pub const VERSION: u32 = 7;
/// Most bytes of a message.
pub const MAX_FRAME: usize = 8192;
/// Bytes of a chunk of a long answer; the last may be shorter.
pub const CHUNK: usize = 4096;
/// Most pages of one [`Request::SavePages`] or [`Request::RestorePages`], whatever the line.
pub const MAX_BULK_PAGES: u32 = (crate::frame::MAX_BULK / flob_abi::PAGE_SIZE as usize) as u32;
/// Most pages of one [`Request::SupplyZero`].
pub const MAX_ZERO_PAGES: u32 = 1024;
/// Most pages of one [`Request::SaveHashes`].
pub const MAX_HASHED_PAGES: u32 = 128;
/// Most conditions of a breakpoint.
pub const MAX_CONDITIONS: usize = 32;
/// Bytes of a page's hash.
pub const HASH: usize = 32;
/// Channel of the debugger nester in a frame.
pub const CHANNEL_DEBUGGER: u8 = 0;

/// From the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToGuest {
    /// Chosen by the host at its start; a new one makes the guest forget cached answers of the old.
    pub epoch: u32,
    /// Counts up with each new request of the epoch.
    pub number: u32,
    /// What is asked.
    pub request: Request,
}

/// From the guest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromGuest {
    /// Answer to the request of this epoch and number.
    Reply {
        #[allow(missing_docs)]
        epoch: u32,
        #[allow(missing_docs)]
        number: u32,
        /// The answer.
        result: Result<Reply, Failure>,
    },
    /// Something happened.
    Event {
        /// 0, 1, 2 … since the guest's start.
        number: u64,
        /// What.
        event: Event,
    },
}

/// Which memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Memory {
    /// The environment's own: addresses are offsets.
    Environment,
    /// As the space at this place sees it.
    Space(Place),
}

/// Pages that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The first, as its number in the environment.
    pub first: u64,
    /// How many.
    pub count: u32,
}

/// A moment in the life of an environment's memory, since which changes can be told. Meaningful to the guest that gave it,
/// and only until the environment is replaced: to anybody else everything has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The guest's start ([`Reply::Hello`]).
    pub boot: u64,
    /// Environments that were replaced before this one.
    pub environment: u32,
    /// The kernel's number.
    pub epoch: u64,
}

/// What a line carries with one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// It never loses a byte, so bulk goes raw.
    pub is_lossless: bool,
    /// Most pages to the host at once.
    pub to_host: u32,
    /// Most pages to the guest at once.
    pub to_guest: u32,
}

/// Which threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// All of the environment.
    Environment,
    /// Those of the space at this place.
    Space(Place),
    /// The one at this place.
    Thread(Place),
}

/// For what a thread waits, as in `checkpoint save --when`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum WaitKind {
    Mutex,
    Condition,
    Send,
    Receive,
    Input,
}

/// What is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Access {
    /// The instruction there is about to be executed: a hardware breakpoint.
    Execute,
    /// It is written.
    Write,
    /// It is read or written.
    ReadWrite,
}

/// Memory of a space that is watched, for all its threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Watch {
    pub space: Place,
    pub address: u64,
    pub bytes: u32,
    pub access: Access,
}

/// A change of one flob; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Field groups to write ([`flob_abi::group`]).
    pub mask: u64,
    /// The state struct's bytes (see `flob_image::State::as_bytes`).
    pub state: Option<Vec<u8>>,
    /// A new target for each link that changes.
    pub links: Vec<Option<Link>>,
}

/// What the host asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// First of every connection.
    Hello {
        /// [`VERSION`] of the host.
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
    /// At most [`CHUNK`] bytes of memory.
    Read {
        #[allow(missing_docs)]
        memory: Memory,
        #[allow(missing_docs)]
        address: u64,
        #[allow(missing_docs)]
        count: u32,
    },
    /// Writes at most [`CHUNK`] bytes; ignores write protection; breakpoints stay in place.
    Write {
        #[allow(missing_docs)]
        memory: Memory,
        #[allow(missing_docs)]
        address: u64,
        #[allow(missing_docs)]
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
    /// Lets go those of the threads that the debugger stopped, and no others.
    Resume(Scope),
    /// Runs one stopped thread for one instruction (over a call: to its end, however long). Ends with `Event::Stopped`.
    Step {
        #[allow(missing_docs)]
        thread: Place,
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
    /// Begins building a second environment beside the present one, to replace it. The record follows.
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
        bytes: Vec<u8>,
    },
    /// These pages of memory, packed ([`crate::pack`]); for a line that may lose bytes.
    RestorePacked {
        #[allow(missing_docs)]
        runs: Vec<Run>,
        #[allow(missing_docs)]
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
    /// lets them go.
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
        bytes: Vec<u8>,
    },
    /// Ends the guest.
    Shutdown,
    /// Watches memory by the debug registers of all threads of the space; refused if they do not suffice. Setting it again is
    /// fine.
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
        packed: Vec<u8>,
    },
    /// The same, of pages that are all zero: at most [`MAX_ZERO_PAGES`].
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
}

/// The answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// Done.
    Done,
    /// To `Hello`.
    Hello {
        /// [`VERSION`] of the guest.
        version: u32,
        /// Bytes of the environment.
        size: u64,
        /// Name of the program.
        program: String,
        /// Changes with each start of the guest.
        boot: u64,
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
    Bytes(Vec<u8>),
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
    /// To `RestoreCommit`: the moment from which on the environment differs from what was restored.
    Restored(Mark),
    /// To `SavePages`, on a line that may lose bytes.
    Packed(Vec<u8>),
    /// To `StopTime` and `RestoreTime`.
    Nanoseconds(u64),
    /// To `SavePages` and `Blank`: bulk.
    Pages(#[serde(skip)] Vec<u8>),
    /// To `Stop` and `Resume`: how many threads it changed.
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
    /// The program has ended with this code.
    pub exit: Option<i32>,
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
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The program wrote.
    Output {
        /// 1 for stdout, 2 for stderr.
        stream: u8,
        /// Where in the stream.
        position: u64,
        #[allow(missing_docs)]
        bytes: Vec<u8>,
    },
    /// A thread was stopped by a debug exception or at the end of a step. It is stopped by the debugger now.
    Stopped {
        #[allow(missing_docs)]
        thread: Place,
        #[allow(missing_docs)]
        space: Place,
        #[allow(missing_docs)]
        reason: StopReason,
        /// Its state, without vectors (`flob_abi::ThreadState`).
        state: Vec<u8>,
    },
    /// A thread died of an exception that nobody handled; the environment is stopped, to be looked at.
    Died {
        #[allow(missing_docs)]
        thread: Place,
        /// A `flob_abi::ExceptionCode`.
        code: u32,
        /// As in the exception message.
        detail: u32,
        #[allow(missing_docs)]
        address: u64,
    },
    /// The program has ended.
    Exited {
        #[allow(missing_docs)]
        code: i32,
    },
    /// The moment that `SaveBegin { when }` waited for has come: the environment is stopped; ask `SaveBegin` again
    /// (with `when: None`) for the record.
    SaveReady,
    /// The program waits for input from this position on.
    InputWanted {
        #[allow(missing_docs)]
        from: u64,
        #[allow(missing_docs)]
        to: u64,
    },
    /// A restore has replaced the environment.
    Restored,
    /// Nothing of the program can run, and it waits for nothing outside: it stands still for good, unless somebody changes
    /// it. Told once a standstill.
    StandsStill,
    /// There are records in the trace up to this number. Told again only once somebody has read so far.
    Traced {
        #[allow(missing_docs)]
        next: u64,
    },
    /// The program waits for a missing page.
    PageWanted {
        /// [`Mark::environment`].
        environment: u32,
        #[allow(missing_docs)]
        page: u64,
    },
}

/// Why a thread was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopReason {
    /// At one of our breakpoints.
    Breakpoint,
    /// At one that has conditions: those that hold, and those that came to no value, a bit each. Clients of the hub are told
    /// `Breakpoint`.
    Condition {
        #[allow(missing_docs)]
        met: u32,
        #[allow(missing_docs)]
        failed: u32,
    },
    /// A step is done.
    Step,
    /// Another debug exception: DR6.
    Debug(u32),
    /// It has touched memory that is watched (and stands behind that instruction), or come to a hardware breakpoint (and
    /// stands before it).
    Watched {
        /// Where the debug register points.
        address: u64,
        #[allow(missing_docs)]
        access: Access,
    },
    /// Before this kernel call, which is caught: it stands at the instruction.
    Call(u64),
}
