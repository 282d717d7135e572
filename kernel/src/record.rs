//! The kernel's record of each kind of flob: its exported state, and what is derived from it (lists, queues).

use flob_abi::{
    DebugRegisters, FlobKind, Handlers, PORT_RANGES, PendingException, PortRange, Protection, SavedArea,
    thread_flag,
};

use crate::arena::SlotId;
use crate::list::{List, NONE, Node};
use crate::machine::{Context, Frame, SpaceKey};
use crate::tree::Branch;

/// Names a flob for as long as it lives. Threads have a pool of their own: bit 31 of the index tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FlobId(pub SlotId);

/// No flob: what it names is never there.
pub(crate) const NOWHERE: FlobId = FlobId(SlotId::NEVER);

/// Names a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ThreadId(pub SlotId);

const THREAD_BIT: u32 = 1 << 31;

impl From<ThreadId> for FlobId {
    #[inline(always)]
    fn from(thread: ThreadId) -> Self {
        Self(thread.0.tagged(THREAD_BIT))
    }
}

impl FlobId {
    /// By which the machine knows a space.
    #[inline(always)]
    pub fn key(self) -> SpaceKey {
        SpaceKey(self.0.number())
    }

    /// The thread it names, if it names one.
    #[inline(always)]
    pub fn as_thread(self) -> Option<ThreadId> {
        let index = self.0.index();
        if index & THREAD_BIT == 0 { None } else { self.0.with_index(index & !THREAD_BIT).map(ThreadId) }
    }
}

/// Where a flob lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub frame: Frame,
    /// In the frame, in bytes.
    pub offset: u16,
}

/// Threads whose waiting-for link names a flob: trees in the order of their tickets, one for each [`Standing`], so that none
/// hides the first of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waiters(pub [u32; 3]);

impl Waiters {
    pub const EMPTY: Self = Self([NONE; 3]);

    #[inline]
    pub fn is_empty(&self) -> bool {
        let Self([going, stopped, kept]) = self;
        // Only where all of them are NONE all bits are set in all of them.
        going & stopped & kept == NONE
    }

    /// Those of this standing: the root of their tree.
    #[inline]
    pub fn of(self, standing: Standing) -> u32 {
        let Self([going, stopped, kept]) = self;
        match standing {
            Standing::Going => going,
            Standing::Stopped => stopped,
            Standing::Kept => kept,
        }
    }

    /// The same, to change.
    #[inline(always)]
    pub fn of_mut(&mut self, standing: Standing) -> &mut u32 {
        let Self([going, stopped, kept]) = self;
        match standing {
            Standing::Going => going,
            Standing::Stopped => stopped,
            Standing::Kept => kept,
        }
    }
}

/// What can become of a waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Whatever comes.
    Going,
    /// It is stopped: its registers can be acted on, but it does not run.
    Stopped,
    /// It is stopped with an exception, which is not sent before it is let go.
    Kept,
}

/// A flob that is not a thread.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub place: Place,
    pub hash: u64,
    pub waiters: Waiters,
    pub body: Body,
}

impl Object {
    /// The next port of the same set.
    pub fn next_in_set(&self) -> u32 {
        match &self.body {
            Body::Port(port) => port.in_set.next,
            _ => NONE,
        }
    }
}

/// What differs between the kinds.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Space(Space),
    Region(Region),
    Mapping(Mapping),
    Port(Port),
    PortSet(PortSet),
    Mutex(Mutex),
    Condition,
    Reference(Reference),
}

impl Body {
    #[inline]
    pub fn kind(&self) -> FlobKind {
        match self {
            Self::Space(_) => FlobKind::Space,
            Self::Region(_) => FlobKind::Region,
            Self::Mapping(_) => FlobKind::Mapping,
            Self::Port(_) => FlobKind::Port,
            Self::PortSet(_) => FlobKind::PortSet,
            Self::Mutex(_) => FlobKind::Mutex,
            Self::Condition => FlobKind::Condition,
            Self::Reference(_) => FlobKind::Reference,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Space {
    pub flags: u32,
    pub ceiling: u32,
    pub interrupts: u64,
    pub ports: [PortRange; PORT_RANGES],
    pub keeper: Option<FlobId>,
    pub debug_port: Option<FlobId>,
    /// The epoch in which its mappings last changed.
    pub remapped: u64,
    /// Mappings into it, a tree sorted by start: its root.
    pub mappings: u32,
    /// Regions of it.
    pub regions: List,
}

impl Default for Space {
    fn default() -> Self {
        Self {
            flags: 0,
            ceiling: 0,
            interrupts: 0,
            ports: [PortRange::default(); PORT_RANGES],
            keeper: None,
            debug_port: None,
            remapped: 0,
            mappings: NONE,
            regions: List::EMPTY,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Region {
    pub start: u64,
    pub size: u64,
    pub protection: Protection,
    pub space: Option<FlobId>,
    pub keeper: Option<FlobId>,
    /// The epoch in which its place last changed.
    pub moved: u64,
    /// Mappings of it.
    pub mappings: List,
    pub in_space: Node,
}

#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    pub offset: u64,
    pub start: u64,
    pub size: u64,
    pub protection: Protection,
    pub region: Option<FlobId>,
    pub space: Option<FlobId>,
    pub in_space: Branch,
    pub in_region: Node,
}

#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub alias: u64,
    pub set: Option<FlobId>,
    pub in_set: Node,
    /// It is among the pending ports of its set.
    pub pending: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct PortSet {
    pub flags: u64,
    /// Ports at which nobody waits, and ports at which somebody does, in the order in which the first came.
    pub ports: List,
    pub pending: List,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Mutex {
    pub flags: u32,
    pub locked: bool,
    /// Nobody while it is not locked.
    pub owner: Option<ThreadId>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Reference {
    pub target: Option<FlobId>,
}

/// The list that a thread is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    /// None: it runs, or is stopped, or has nothing to run in.
    None,
    /// Ready at this priority.
    Ready(u8),
    /// Among the waiters of a flob: the one that its waiting-for link names.
    Waiters(FlobId),
    /// None: it waits for the thread at the other end, which names it and so needs no list to find it. See
    /// [`Thread::is_peer_of`].
    Peer,
    /// Waits for its deadline.
    Timer,
    /// Waits for this interrupt line.
    Line(u8),
}

#[derive(Clone, Debug)]
pub(crate) struct Thread {
    pub context: Context,
    pub place: Place,
    pub hash: u64,
    pub waiters: Waiters,
    pub flags: u32,
    pub priority: u32,
    pub own_address: u64,
    pub rank: u64,
    pub handlers: Handlers,
    pub saved: SavedArea,
    pub exception: PendingException,
    pub space: Option<FlobId>,
    pub waiting_for: Option<FlobId>,
    pub client_peer: Option<FlobId>,
    pub server_peer: Option<FlobId>,
    pub idempotent_client: Option<FlobId>,
    pub idempotent_server: Option<FlobId>,
    pub parked_client_ends: u32,
    pub parked_server_ends: u32,
    /// The region whose keeper has this thread's exception in its hands, and so may lift a denial of that region and
    /// of no other. Derived: without it a lift is a mere retry.
    pub lift: Option<FlobId>,
    pub queue: Queue,
    pub node: Node,
    /// Ticks left of its turn.
    pub slice: u32,
    /// When a wait for a time is over: the `rdi` of that call.
    pub deadline: u64,
    /// Its place among the waiters of a flob, and among which of them; or among those who wait for a time.
    pub branch: Branch,
    pub standing: Standing,
    /// Was given its rank by `set_state` and has not run since.
    pub imported: bool,
}

impl Thread {
    pub fn new(place: Place, hash: u64) -> Self {
        Self {
            context: Context::initial(),
            place,
            hash,
            waiters: Waiters::EMPTY,
            flags: thread_flag::STOPPED,
            priority: flob_abi::MAX_PRIORITY,
            own_address: 0,
            rank: 0,
            handlers: Handlers::default(),
            // As `set_state` leaves it: what is exported and set again must be the same.
            saved: SavedArea { rflags: crate::machine::INITIAL_RFLAGS, ..SavedArea::default() },
            exception: PendingException::default(),
            space: None,
            waiting_for: None,
            client_peer: None,
            server_peer: None,
            idempotent_client: None,
            idempotent_server: None,
            parked_client_ends: 0,
            parked_server_ends: 0,
            lift: None,
            queue: Queue::None,
            node: Node::ALONE,
            slice: 0,
            deadline: 0,
            branch: Branch::ALONE,
            standing: Standing::Going,
            imported: false,
        }
    }

    /// It watches what the thread that makes it watches: so whoever watches a space's threads from outside misses none.
    pub fn watching(mut self, debug: &DebugRegisters) -> Self {
        self.context.debug = DebugRegisters { dr6: self.context.debug.dr6, ..*debug };
        self.context.extras = self.context.extras_now();
        self
    }

    #[inline]
    pub fn is_stopped(&self) -> bool {
        self.flags & thread_flag::STOPPED != 0
    }

    /// Among which waiters it belongs.
    #[inline]
    pub fn standing_now(&self) -> Standing {
        match (self.is_stopped(), self.has_exception()) {
            (false, _) => Standing::Going,
            (true, false) => Standing::Stopped,
            (true, true) => Standing::Kept,
        }
    }

    #[inline]
    pub fn has_exception(&self) -> bool {
        self.exception.code != 0
    }
}
