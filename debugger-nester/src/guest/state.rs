//! All that the nester knows, under one lock.

use alloc::{
    collections::{BTreeSet, VecDeque},
    string::String,
    sync::Arc,
    vec::Vec,
};

use crate::{
    answers::Answers as LongAnswers,
    breakpoints::Breakpoints,
    events::Events,
    held::Held,
    streams::{Input, Output},
    trace::Trace,
    translate::MEMORY_TAG,
};
use flob_checkpointer::{
    Sights,
    border::{Answered, Hand},
};
use flob_image::Place;
use flob_link::{Capacity, Event, Mark, Run, answers::Answers};
use flob_runtime::{
    abi::Status,
    call,
    flob::{FlobAt, OwnedReference, Reference, Thread},
    nester::{Desk, Environment, Parked, memory::Peek},
    sync::{Condition, Guard, Lock},
};

use super::page_watch::PageWatching;
use super::{
    caller::Caller,
    carriers::Carriers,
    catch::Catching,
    copying::Copying,
    lazy::Lazy,
    record::Known,
    restore::Restore,
    save::Save,
    saver::{Question, Tray},
    search::Search,
    step::Stepping,
    surroundings::Surroundings,
    torture::Torture,
    watch::Watching,
    watcher::Watch,
};

/// What the threads of the nester share.
pub struct Nester {
    /// What it stands on.
    pub around: &'static dyn Surroundings,
    /// The child's services.
    pub desk: Desk,
    /// Keeper and debug port.
    pub faults: Desk,
    /// The keeper of the child's memory.
    pub denials: Desk,
    state: Lock<State>,
    /// There is something for a carrier.
    pub deliver: Condition,
    /// There is something to send to the host.
    pub outgoing: Condition,
    /// The child was let go, and something has come of it, or it has had its turn.
    pub came: Condition,
    /// A sleep was parked.
    pub sleepers: Condition,
    /// The watcher has run.
    pub idle: Condition,
    /// Missing pages have come, or nobody waits for them any more.
    pub arrived: Condition,
    /// What the services thread has received, and waits for the lock with.
    pub received: Inbox,
    /// Saves that are under way.
    pub tray: Tray,
}

/// A server thread's request, as others see it.
pub struct Inbox {
    /// What it receives into.
    pub room: Peek,
    /// The request that is there whole, and not handled.
    pub hand: Hand,
}

/// Shared by all threads.
pub type Shared = Arc<Nester>;

impl Nester {
    /// Everything, before the first thread is started.
    pub fn new(
        around: &'static dyn Surroundings,
        [desk, faults, denials]: [Desk; 3],
        received: Peek,
        state: State,
    ) -> Self {
        Self {
            around,
            desk,
            faults,
            denials,
            state: Lock::new(state),
            deliver: Condition::new(),
            outgoing: Condition::new(),
            came: Condition::new(),
            sleepers: Condition::new(),
            idle: Condition::new(),
            arrived: Condition::new(),
            received: Inbox { room: received, hand: Hand::default() },
            tray: Tray::new(),
        }
    }

    /// The state.
    pub fn lock(&self) -> Guard<'_, State> {
        self.state.lock()
    }

    /// What references handed out to the child mean.
    pub fn tags(&self, environment: &Environment) -> Vec<(&'static str, FlobAt<Reference>)> {
        let memory = (MEMORY_TAG, environment.reference());
        self.desk.tags().chain(self.faults.tags()).chain(self.denials.tags()).chain([memory]).collect()
    }
}

/// A reply to the host. One with pages has them read only when it is sent: if it is asked for again, again.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The message.
    pub message: Vec<u8>,
    /// What goes with it.
    pub bulk: Bulk,
}

/// Pages that go with a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bulk {
    /// None.
    None,
    /// Of the environment.
    Pages(Vec<Run>),
    /// Zeroes.
    Blank(u32),
}

/// A request that waits.
pub struct ParkedCall {
    pub connection: Parked,
    pub service: &'static str,
    pub request: Vec<u8>,
    /// The number of its record in the trace.
    pub traced: Option<u64>,
}

/// An answer that is to be delivered.
pub struct ReadyAnswer {
    pub call: ParkedCall,
    pub bytes: Vec<u8>,
    /// Out of an image, if it was on its way there: how much of it the client has.
    pub delivered: Option<usize>,
    /// A service whose port is sent along.
    pub found: Option<&'static str>,
}

impl ReadyAnswer {
    /// What is still to be delivered.
    pub fn rest(&self) -> &[u8] {
        self.bytes.get(self.delivered.unwrap_or(0)..).unwrap_or_default()
    }
}

/// The nester's own threads.
pub struct Own {
    pub services: FlobAt<Thread>,
    /// Runs only when nothing else can.
    pub watcher: Caller,
    /// Runs in its turn among the child's threads: replies that had time until then have none left.
    pub courier: Caller,
    /// The first carrier: whom clients out of an image wait for until another one takes them over.
    pub carrier: OwnedReference,
    /// References to all of them: links to these are nobody's business.
    pub all: Vec<OwnedReference>,
    /// Highest priority that this space may give.
    pub ceiling: u32,
}

/// The time that the child is given: the parent's, moved so that it never runs back.
#[derive(Clone, Copy, Default)]
pub struct Clock {
    /// What is added to the parent's time; wraps.
    pub offset: u64,
    /// The last value that was given.
    pub last: u64,
}

/// Looks at the environment: the child stands still for each.
#[derive(Clone, Copy, Debug, Default)]
pub struct Looks {
    /// How many.
    pub count: u64,
    /// Ticks of the processor that they took.
    pub ticks: u64,
}

/// What runs in the environment.
#[derive(Debug, Default)]
pub struct Program {
    pub name: String,
    pub arguments: Vec<String>,
    pub build_id: String,
}

/// Everything else.
pub struct State {
    pub environment: Arc<Environment>,
    /// Bytes of an environment that a program begins in; there is room for a little more.
    pub usual_size: u64,
    /// Without flobs: for a restore, and for what a save copies.
    pub spare: Arc<Environment>,
    /// Its memory is all zero.
    pub spare_is_clear: bool,
    /// So is that of the environment: nothing was ever in it.
    pub is_clear: bool,
    pub program: Arc<Program>,
    pub boot: u64,
    /// The epoch at whose beginning the memory of both environments was zero: what was not written since is so still.
    pub born: u64,
    /// Environments that were replaced.
    pub replaced: u32,

    pub input: Input,
    pub stdout: Output,
    pub stderr: Output,
    pub clock: Clock,
    pub exit: Option<i32>,
    /// An input event for this position was sent.
    pub input_announced: Option<u64>,

    pub parked: Vec<ParkedCall>,
    pub ready: VecDeque<ReadyAnswer>,
    /// Requests out of an image that were not whole.
    pub halves: Vec<ParkedCall>,
    pub carriers: Carriers,
    /// What the services thread answered last.
    pub last: Answered,
    /// Parent's times until which timer threads sleep.
    pub sleeping: BTreeSet<(u64, usize)>,

    pub own: Own,
    /// What one link of a flob leads to is looked at here: whoever has the state has it, and it need not be made each time.
    pub sight: OwnedReference,
    /// Room for what a save is told of all flobs.
    pub sights: Sights,
    /// What looks need, once there was one.
    pub bearings: Option<Known>,
    /// Threads that the debugger has stopped.
    pub held: Held,
    /// Spaces that go on until a thread of theirs stops.
    pub until_stop: BTreeSet<Place>,
    pub stepping: Stepping,
    pub watch: Watch,
    pub breakpoints: Breakpoints,
    pub watching: Watching,
    pub catching: Catching,
    pub trace: Trace,
    /// The host's request for a save, as long as it has no answer.
    pub ordered: Option<Question>,
    /// A save that is on, while everything stands still.
    pub save: Option<Save>,
    /// … and while the child runs on.
    pub copying: Option<Copying>,
    /// Nanoseconds and the processor's ticks when this program began.
    pub began: (u64, u64),
    /// For how long, in nanoseconds, the last save kept the child from running.
    pub stop_time: u64,
    /// What looking has cost the child so far.
    pub looks: Looks,
    /// The search for the moment that a save waits for.
    pub search: Option<Search>,
    /// Threads were stepped, for whatever reason: see [`step::may_be_left_over`](super::step::may_be_left_over).
    pub has_stepped: bool,
    pub restore: Option<Restore>,
    /// Ticks that the last restore took, until the child could run.
    pub restore_ticks: u64,
    /// What came of the last restore's being lazy.
    pub lazy: Option<Lazy>,
    pub torture: Option<Torture>,

    pub events: Events,
    pub replies: Answers<Outgoing>,
    pub page_watching: PageWatching,
    /// The epoch of the host that has said hello last.
    pub greeted: Option<u32>,
    /// What the line to the host carries.
    pub capacity: Capacity,
    pub long_answers: LongAnswers,
    /// Replies to be sent: small ones first.
    pub outbox: VecDeque<Outgoing>,
    /// The receiver waits for what comes of the child's being let go, and will send it.
    pub is_receiver_here: bool,
    /// The host was told of a stop and has let nothing go since: who debugs asks for one thing after the other.
    pub is_host_near: bool,
    pub garbled: u64,
    /// The host has asked for the end: it comes when everything is sent.
    pub ending: bool,
}

impl State {
    /// Something happened.
    pub fn tell(&mut self, nester: &Nester, event: Event) {
        self.events.push(event);
        self.post(nester);
    }

    /// There is something to send: for the receiver, if it is here, or else for the sender.
    pub fn post(&self, nester: &Nester) {
        if self.is_receiver_here { nester.came.signal() } else { nester.outgoing.signal() }
    }

    /// This moment of the environment's memory.
    pub fn mark(&self) -> Result<Mark, Status> {
        Ok(Mark { boot: self.boot, environment: self.replaced, epoch: call::epoch_begin()? })
    }

    /// Whether the epoch of a mark says anything about the present environment.
    pub fn knows(&self, mark: &Mark) -> bool {
        (mark.boot, mark.environment) == (self.boot, self.replaced)
    }
}
