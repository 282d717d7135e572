//! What clients (TUI, gdb server, other `flob` commands) and the hub say to each other over the session's Unix socket:
//! length-prefixed (u32, little-endian) postcard of [`ToHub`] and [`FromHub`]. Several requests may be under way at once.

use std::path::PathBuf;

use flob_abi::FlobKind;
use flob_image::{Environment, Place, State};
use flob_link::{Change, Event, Failure, Memory, Progress, Run, Scope, Traced, Tracing, WaitKind, Watch};
use serde::{Deserialize, Serialize};

use crate::{Condition, Point, PointChange, Spot};

/// From a client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ToHub {
    /// Chosen by the client; the answer carries the same.
    pub number: u32,
    /// What is asked.
    pub request: HubRequest,
}

/// From the hub.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FromHub {
    /// The answer to the request with this number.
    Reply {
        #[allow(missing_docs)]
        number: u32,
        /// The answer.
        result: Result<HubReply, Failure>,
    },
    /// How far a long request is.
    Progress {
        /// The request.
        number: u32,
        /// What is done now, for people: `pages`, `waiting for the moment` …
        phase: String,
        #[allow(missing_docs)]
        done: u64,
        /// 0 if not known.
        total: u64,
    },
    /// Something happened, to every client that has subscribed.
    Event(HubEvent),
    /// The last word to a client that does not read what happens: a sentence that says so.
    CutOff(String),
}

/// Who holds threads back. A thread runs if and only if nobody holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Owner {
    /// TUI and command line: lasts until resumed.
    User,
    /// A client of its own (a gdb connection): its holds and breakpoints end with its connection to the hub.
    Client(String),
}

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

/// How far the memory of a checkpoint is that was restored lazily.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetching {
    /// Pages that have arrived.
    pub done: u64,
    /// Pages of the checkpoint; those that are zero do not count.
    pub total: u64,
}

/// A session, for lists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionInfo {
    /// Its name: chooses it with `-s`.
    pub name: String,
    /// Name of the program.
    pub program: String,
    #[allow(missing_docs)]
    pub arguments: Vec<String>,
    /// Process of the hub.
    pub hub_process: u32,
    /// Process of QEMU, if the session owns one.
    pub guest_process: Option<u32>,
    /// The serial device behind which the guest is, if it runs elsewhere.
    pub device: Option<PathBuf>,
    /// The program's ELF on the host, for symbols.
    pub elf: Option<PathBuf>,
    /// Socket of its gdb server.
    pub gdb_socket: Option<PathBuf>,
    /// TCP port of its gdb server on the loopback interface.
    pub gdb_port: Option<u16>,
    /// Seconds since 1970.
    pub started: u64,
    /// Connection to the guest.
    pub link: LinkState,
    /// Bytes that have come from the guest so far.
    pub received: u64,
    /// Bytes that have gone to the guest so far.
    pub sent: u64,
    /// Bytes that went over the line, either way, for the last restore until the program could run.
    pub restore_bytes: u64,
    /// What is still missing of a checkpoint that was restored lazily.
    pub fetching: Option<Fetching>,
    /// Why a page of it cannot be had, if so: the program is held.
    pub lost: Option<String>,
    /// Who holds anything now.
    pub holders: Vec<Owner>,
    /// Of the guest.
    pub progress: Progress,
    /// The checkpoint it goes back to: last saved or restored.
    pub checkpoint: Option<String>,
    /// Whether it began with a checkpoint, or went back to one.
    pub restored: bool,
}

/// Connection to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkState {
    /// No hello yet.
    Connecting,
    /// Answers.
    Up,
    /// Has not answered for a while; being tried again.
    Lost,
    /// QEMU has ended.
    Dead,
}

/// What the hub tells its subscribers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum HubEvent {
    /// From the guest.
    Guest(Event),
    /// The connection to the guest changed.
    Link(LinkState),
    /// Somebody changed flobs, memory or holds: what is cached is old.
    Changed,
    /// A checkpoint was saved.
    Saved(String),
    /// All that the trace holds when the session comes to its end: nobody can ask for it any more.
    Trace(TracePart),
    /// The guest has restored after all what it did not answer to: this checkpoint, or one that is not known here. It is held.
    Arrived(Option<String>),
    /// A page of the checkpoint that was restored lazily cannot be had: the program is held. A sentence that says why.
    PagesLost(String),
    /// The guest has ended by itself: a sentence, and below it what it said last, a kernel's panic record above all.
    GuestEnded(String),
    /// Where the guest was that runs elsewhere there is one that was started since: nothing of what was known or asked for is true.
    AnotherGuest,
    /// The program has moved into the session of this name; this one ends.
    Moved(String),
    /// The guest has ended, and the session ends as soon as what clients have asked for is done: a save that the store is taking,
    /// above all.
    Finishing,
}

/// The next instruction of a thread that was stopped, by the state that [`Event::Stopped`] brings.
pub fn instruction(state: &[u8]) -> Option<u64> {
    match State::from_bytes(FlobKind::Thread, state)? {
        State::Thread(thread) => Some(thread.registers.rip),
        _ => None,
    }
}

/// Owners, for people: `the user, gdb-1`.
pub fn owner_names(owners: &[Owner]) -> String {
    let name = |owner: &Owner| match owner {
        Owner::User => "the user".to_owned(),
        Owner::Client(name) => name.clone(),
    };
    owners.iter().map(name).collect::<Vec<_>>().join(", ")
}
