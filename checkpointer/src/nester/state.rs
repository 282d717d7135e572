//! All that the checkpointer knows, under one lock.

use alloc::{collections::VecDeque, string::String, sync::Arc, vec::Vec};

use flob_abi::ExceptionMessage;
use flob_checkpointer::{
    Sights,
    border::{Answered, Hand},
};
use flob_image::{Border, Place};
use flob_runtime::{
    flob::{FlobAt, OwnedReference, Reference, Thread},
    nester::{Desk, Environment, Parked, Places, memory::Peek},
    sync::{Condition, Guard, Lock},
};

use super::generations::Generations;
use super::mirror::Mirror;
use super::scribe::{Work, Written};

/// What the environment's region is called.
pub const MEMORY_TAG: &str = flob_image::tags::MEMORY;

/// What its threads share.
pub struct Nester {
    /// The child's services.
    pub desk: Desk,
    /// Its port for pages to the host, if the parent has one.
    pub bulk: Option<Desk>,
    /// Its keeper.
    pub faults: Desk,
    /// The keeper of its memory.
    pub denials: Desk,
    pub environment: Environment,
    /// The debug port that spaces inherit here, from whoever is above.
    pub debug_port: OwnedReference,
    /// Highest priority that this space may give.
    pub ceiling: u32,
    pub limit: u32,
    state: Lock<State>,
    /// The memory of the last good checkpoints. Taken behind the state, or alone.
    pub mirror: Lock<Mirror>,
    /// Something is due, or the child has died.
    pub saver: Condition,
    /// Nothing is due any more.
    pub saved: Condition,
    /// There is work for the scribe.
    pub scribe: Condition,
    /// It is done.
    pub written: Condition,
    /// There are requests out of a checkpoint.
    pub joins: Condition,
}

pub type Shared = Arc<Nester>;

/// A request out of a checkpoint.
pub struct Join {
    pub connection: Parked,
    pub border: Border,
}

/// A server or joiner.
pub struct Servant {
    pub thread: FlobAt<Thread>,
    pub inbox: Peek,
    pub hand: Hand,
    pub answered: Answered,
    /// Joiners: what they have taken up.
    pub joined: Option<Joined>,
}

/// A connection out of a checkpoint in a joiner's hands: of what no register has, and no link while it is parked.
pub struct Joined {
    pub service: &'static str,
    pub connection: Parked,
}

/// How the child died.
#[derive(Clone, Copy)]
pub struct Death {
    pub place: Place,
    pub message: ExceptionMessage,
}

/// Everything else.
#[derive(Default)]
pub struct State {
    pub program: String,
    pub arguments: Vec<String>,
    pub build_id: String,
    /// Where the child's memory lies.
    pub places: Places,
    /// A checkpoint that is being taken.
    pub work: Option<Work>,
    pub written: Option<Written>,
    /// Room for what a save is told of all flobs.
    pub sights: Sights,
    pub checkpoints: Generations,
    pub rollbacks: u32,
    pub is_due: bool,
    pub death: Option<Death>,
    pub has_ended: bool,
    pub servants: Vec<Servant>,
    /// Servers that wait for a request, and joiners that wait for work.
    pub idle_servers: usize,
    pub idle_joiners: usize,
    pub joins: VecDeque<Join>,
    pub input: Spool,
    /// References to the own threads.
    pub own: Vec<OwnedReference>,
}

impl Nester {
    pub fn new(
        (desk, bulk, [faults, denials]): (Desk, Option<Desk>, [Desk; 2]),
        (environment, mirror): (Environment, Mirror),
        debug_port: OwnedReference,
        (ceiling, limit): (u32, u32),
        state: State,
    ) -> Self {
        let (state, mirror) = (Lock::new(state), Lock::new(mirror));
        let [saver, saved, scribe, written, joins] = [const { Condition::new() }; 5];
        Self {
            desk,
            bulk,
            faults,
            denials,
            environment,
            debug_port,
            ceiling,
            limit,
            state,
            mirror,
            saver,
            saved,
            scribe,
            written,
            joins,
        }
    }

    pub fn lock(&self) -> Guard<'_, State> {
        self.state.lock()
    }

    /// What references handed out to the child mean.
    pub fn tags(&self) -> Vec<(&'static str, FlobAt<Reference>)> {
        let memory = (MEMORY_TAG, self.environment.reference());
        let bulk = self.bulk.iter().flat_map(Desk::tags);
        let keepers = self.faults.tags().chain(self.denials.tags());
        self.desk.tags().chain(bulk).chain(keepers).chain([memory]).collect()
    }
}

/// What the child has been given of its input since the older of the good checkpoints: after a roll back it asks for it again, and
/// whoever is above keeps only what comes behind.
#[derive(Default)]
pub struct Spool {
    start: u64,
    bytes: VecDeque<u8>,
    /// The position that the child asked for last.
    asked: u64,
}

impl Spool {
    /// What there is of the bytes that are asked for.
    pub fn read(&mut self, position: u64, max: usize) -> Option<Vec<u8>> {
        self.asked = position;
        let skip = usize::try_from(position.checked_sub(self.start)?).ok()?;
        let bytes: Vec<u8> = self.bytes.iter().skip(skip).take(max).copied().collect();
        (!bytes.is_empty()).then_some(bytes)
    }

    /// Bytes that have come from above.
    pub fn keep(&mut self, position: u64, bytes: &[u8]) {
        let end = self.start + self.bytes.len() as u64;
        let known = end.saturating_sub(position);
        if position <= end {
            self.bytes.extend(bytes.iter().skip(usize::try_from(known).unwrap_or(usize::MAX)));
        }
    }

    /// The position that was asked for last.
    pub const fn asked(&self) -> u64 {
        self.asked
    }

    /// Nothing before this position will be asked for again.
    pub fn forget(&mut self, position: u64) {
        let count = usize::try_from(position.saturating_sub(self.start)).unwrap_or(usize::MAX);
        self.bytes.drain(..count.min(self.bytes.len()));
        self.start = self.start.max(position);
    }
}
