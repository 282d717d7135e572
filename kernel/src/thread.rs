//! Threads: their state as it is exported and set, and stopping.

use flob_abi::memory::{USER_END, is_canonical};
use flob_abi::{
    DebugRegisters, ExceptionCode, MAX_PRIORITY, Registers, Status, ThreadHead, group, state::VECTORS_SIZE,
    thread_flag,
};

use crate::ipc::Side;
use crate::kernel::Kernel;
use crate::machine::{INITIAL_RFLAGS, Machine};
use crate::record::{FlobId, Queue, Thread, ThreadId};
use crate::state::NewLinks;

/// RFLAGS.TF: single step.
pub(crate) const TRAP_FLAG: u64 = 1 << 8;
/// CF, PF, AF, ZF, SF, TF, DF, OF, RF, AC.
const SETTABLE_RFLAGS: u64 = 0x1 | 0x4 | 0x10 | 0x40 | 0x80 | TRAP_FLAG | 0x400 | 0x800 | 1 << 16 | 1 << 18;
/// MXCSR's defined bits, and where it is in the FXSAVE image.
const MXCSR_MASK: u32 = 0xffff;
const MXCSR: core::ops::Range<usize> = 24..28;
/// DR6's bits that can be 1 or 0, those that are always 1; the same for DR7, without GD.
const DR6_BITS: u64 = 0xe00f;
const DR6_ONES: u64 = 0xffff_0ff0;
const DR7_BITS: u64 = 0xffff_03ff;
const DR7_ONES: u64 = 0x400;

/// RFLAGS as user code may have them.
pub(crate) const fn settable_rflags(rflags: u64) -> u64 {
    rflags & SETTABLE_RFLAGS | INITIAL_RFLAGS
}

impl<M: Machine> Kernel<M> {
    /// Stops a thread, at once, wherever it is. What it waits for it goes on waiting for.
    pub(crate) fn stop(&mut self, id: ThreadId) {
        self.thread_mut(id).flags |= thread_flag::STOPPED;
        self.stop_waiter(id);
        if matches!(self.thread(id).queue, Queue::Ready(_)) {
            let woken = self.woken_for(id);
            // A server that was woken for a request waits again; another one gets it.
            self.settle(id);
            self.pass_on(woken);
        }
    }

    /// Sets the groups of fields in the mask, and links; then the queues follow.
    pub(crate) fn set_thread(
        &mut self,
        id: ThreadId,
        state: Option<(&ThreadHead, Option<&[u8; VECTORS_SIZE]>)>,
        mask: u64,
        links: NewLinks,
    ) -> Status {
        let woken = self.woken_for(id);
        let ranked = state.filter(|_| mask & group::SCHEDULING != 0);
        let rank = self.rank_to_set(id, ranked.map(|(head, _)| head), links);
        if let Some((state, vectors)) = state {
            if !is_valid(state, mask) {
                return Status::InvalidState;
            }
            self.apply_groups(id, state, mask);
            if let Some(vectors) = vectors {
                self.set_vectors(id, vectors);
            }
        }
        let [space, waiting_for, client_peer, server_peer, idempotent_client, idempotent_server] = links;
        if let Some(client) = idempotent_client.filter(|client| *client != self.thread(id).idempotent_client)
        {
            self.drop_idempotent_client(id);
            self.thread_mut(id).idempotent_client = client;
        }
        let thread = self.thread_mut(id);
        thread.lift = None;
        thread.space = space.unwrap_or(thread.space);
        thread.idempotent_server = idempotent_server.unwrap_or(thread.idempotent_server);
        self.set_peer(id, Side::Client, client_peer);
        self.set_peer(id, Side::Server, server_peer);
        // Take it out of the queue of what it waited for before the link changes.
        self.leave_queue(id);
        let ticket = match rank {
            Rank::Import(rank) => Some(self.import_rank(rank)),
            Rank::New => Some(self.next_ticket()),
            Rank::Keep => None,
        };
        let thread = self.thread_mut(id);
        thread.imported |= matches!(rank, Rank::Import(_));
        thread.rank = ticket.unwrap_or(thread.rank);
        thread.waiting_for = waiting_for.unwrap_or(thread.waiting_for);
        if thread.waiting_for == Some(id.into()) {
            thread.waiting_for = None;
        }
        self.settle(id);
        self.pass_on(woken);
        Status::Success
    }

    /// A thread that waits on as before keeps its place; any other is behind all who wait.
    fn rank_to_set(&self, id: ThreadId, state: Option<&ThreadHead>, links: NewLinks) -> Rank {
        let thread = self.thread(id);
        let [_, link, ..] = links;
        let stays = thread.waiting_for.is_some() && link.is_none_or(|link| link == thread.waiting_for);
        match state {
            // One that does not wait draws its ticket when it does.
            _ if link.unwrap_or(thread.waiting_for).is_none() => Rank::Keep,
            Some(state) if !stays || state.rank != thread.rank => Rank::Import(state.rank),
            None if !stays && link.is_some_and(|link| link.is_some()) => Rank::New,
            _ => Rank::Keep,
        }
    }

    /// Sets one end of a connection. Clearing it, or naming another, ends the old connection: its peer is woken.
    pub(crate) fn set_peer(&mut self, id: ThreadId, side: Side, link: Option<Option<FlobId>>) {
        let Some(link) = link else { return };
        let old = *self.peer_link(id, side);
        if old != link {
            self.disconnect(id, side);
            *self.peer_link(id, side) = link;
        }
    }

    fn apply_groups(&mut self, id: ThreadId, state: &ThreadHead, mask: u64) {
        let thread = self.thread_mut(id);
        let flags = |old: u32, bits: u32| old & !bits | state.flags & bits;
        if mask & group::CONTROL != 0 {
            thread.flags = flags(thread.flags, thread_flag::STOPPED | thread_flag::EXCEPTIONS_ENABLED);
        }
        if mask & group::DIRECTION != 0 {
            thread.flags = flags(thread.flags, thread_flag::CLIENT_SENDS);
            thread.parked_client_ends = state.parked_client_ends;
            thread.parked_server_ends = state.parked_server_ends;
        }
        if mask & group::REGISTERS != 0 {
            let rflags = settable_rflags(state.registers.rflags);
            thread.context.registers = Registers { rflags, ..state.registers };
        }
        if mask & group::OWN_ADDRESS != 0 {
            thread.own_address = state.own_address;
        }
        if mask & group::SCHEDULING != 0 {
            thread.priority = state.priority;
        }
        if mask & group::HANDLERS != 0 {
            thread.handlers = state.handlers;
        }
        if mask & group::SAVED != 0 {
            thread.saved = state.saved;
            thread.saved.rflags = settable_rflags(state.saved.rflags);
        }
        if mask & group::EXCEPTION != 0 {
            thread.exception = state.exception;
            thread.exception.deferred &= crate::asynchronous::DEFERRABLE;
        }
        if mask & group::DEBUG != 0 {
            thread.context.debug = DebugRegisters {
                dr6: state.debug.dr6 & DR6_BITS | DR6_ONES,
                dr7: state.debug.dr7 & DR7_BITS | DR7_ONES,
                ..state.debug
            };
        }
    }

    fn set_vectors(&mut self, id: ThreadId, vectors: &[u8; VECTORS_SIZE]) {
        let thread = self.thread_mut(id);
        thread.context.vectors = *vectors;
        if let Some(mxcsr) = thread.context.vectors.get_mut(MXCSR) {
            let value = mxcsr.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
            mxcsr.copy_from_slice(&(value & MXCSR_MASK).to_le_bytes());
        }
    }

    /// Before a thread is destroyed: whoever is connected with it is told.
    pub(crate) fn detach_thread(&mut self, id: FlobId) {
        let Some(id) = id.as_thread() else { return };
        let woken = self.woken_for(id);
        self.break_connections(id);
        self.drop_idempotent_client(id);
        self.leave_queue(id);
        if self.current == Some(id) {
            self.current = None;
            self.reconsider = true;
        }
        self.pass_on(woken);
    }
}

impl Thread {
    /// The state as it is exported, but for the vectors.
    #[inline]
    pub fn head(&self) -> ThreadHead {
        ThreadHead {
            hash: self.hash,
            flags: self.flags,
            priority: self.priority,
            own_address: self.own_address,
            rank: self.rank,
            registers: self.context.registers,
            debug: self.context.debug,
            handlers: self.handlers,
            saved: self.saved,
            exception: self.exception,
            parked_client_ends: self.parked_client_ends,
            parked_server_ends: self.parked_server_ends,
        }
    }
}

/// What becomes of a thread's rank when its state is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rank {
    Keep,
    New,
    Import(u64),
}

/// Whether the groups in the mask hold nothing that a thread cannot have. What can be masked is masked instead.
fn is_valid(state: &ThreadHead, mask: u64) -> bool {
    let has = |group: u64| mask & group != 0;
    let registers = &state.registers;
    let canonical = |addresses: &[u64]| addresses.iter().all(|address| is_canonical(*address));
    mask & !group::ALL == 0
        && (!has(group::CONTROL | group::DIRECTION) || state.flags & !thread_flag::ALL == 0)
        && (!has(group::SCHEDULING) || state.priority <= MAX_PRIORITY)
        && (!has(group::REGISTERS) || canonical(&[registers.rip, registers.fs_base, registers.gs_base]))
        && (!has(group::HANDLERS) || crate::oneself::are_canonical(&state.handlers))
        && (!has(group::SAVED) || is_canonical(state.saved.rip))
        && (!has(group::EXCEPTION)
            || state.exception.code == 0
            || ExceptionCode::from_number(state.exception.code).is_some())
        && (!has(group::DEBUG) || state.debug.address.iter().all(|address| *address < USER_END))
}
