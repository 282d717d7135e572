//! Threads: their state as it is exported and set, and stopping.

use flob_abi::memory::USER_END;
use flob_abi::{
    ExceptionCode, MAX_PRIORITY, Protection, Registers, Status, ThreadHead, group, state::VECTORS_SIZE,
    thread_flag,
};

use crate::ipc::Side;
use crate::kernel::Kernel;
use crate::machine::{Context, INITIAL_RFLAGS, Machine};
use crate::oneself::{are_canonical, are_handlers};
use crate::record::{FlobId, Queue, Thread, ThreadId};
use crate::state::NewLinks;
use crate::wait::RESUME_FLAG;

/// RFLAGS.TF: single step.
pub const TRAP_FLAG: u64 = 1 << 8;
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

/// DR6 as a thread has it: which of its watchpoints the kernel has written to, and has not told.
pub const WATCHED: u64 = 0xf;

/// RFLAGS as user code may have them.
pub(crate) const fn settable_rflags(rflags: u64) -> u64 {
    rflags & SETTABLE_RFLAGS | INITIAL_RFLAGS
}

impl<M: Machine> Kernel<M> {
    /// Stops a thread, at once, wherever it is. What it waits for it goes on waiting for.
    pub(crate) fn stop(&mut self, id: ThreadId) {
        let record = self.thread_mut(id);
        record.flags |= thread_flag::STOPPED;
        if matches!(record.queue, Queue::None | Queue::Peer) {
            return;
        }
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
        let Some(record) = self.threads.get_mut(id.0) else { return Status::Success };
        let rank = match state {
            Some((state, vectors)) => {
                let Some(rank) = record.import(state, mask, links) else { return Status::InvalidState };
                if let Some(vectors) = vectors {
                    record.set_vectors(vectors);
                }
                rank
            }
            None => record.rank_to_set(None, links),
        };
        self.set_links(id, rank, links);
        Status::Success
    }

    /// Sets links of a thread whose state has been set; then the queues follow.
    pub(crate) fn set_links(&mut self, id: ThreadId, rank: Rank, links: NewLinks) {
        let woken = self.woken_for(id);
        let [space, waiting_for, client_peer, server_peer, idempotent_client, idempotent_server] = links;
        if let Some(client) = idempotent_client.filter(|client| *client != self.thread(id).idempotent_client)
        {
            self.drop_idempotent_client(id);
            self.thread_mut(id).idempotent_client = client;
        }
        if client_peer.is_some() || server_peer.is_some() {
            self.set_peer(id, Side::Client, client_peer);
            self.set_peer(id, Side::Server, server_peer);
        }
        // Take it out of the queue of what it waited for before the link changes.
        if !matches!(self.thread(id).queue, Queue::None) {
            self.leave_queue(id);
        }
        let ticket = match rank {
            Rank::Import(rank) => Some(self.import_rank(rank)),
            Rank::New => Some(self.next_ticket()),
            Rank::Keep => None,
        };
        let thread = self.thread_mut(id);
        thread.lift = None;
        thread.space = space.unwrap_or(thread.space);
        thread.idempotent_server = idempotent_server.unwrap_or(thread.idempotent_server);
        thread.imported |= matches!(rank, Rank::Import(_));
        thread.rank = ticket.unwrap_or(thread.rank);
        thread.waiting_for = waiting_for.unwrap_or(thread.waiting_for);
        if thread.waiting_for == Some(id.into()) {
            thread.waiting_for = None;
        }
        self.settle(id);
        if woken.is_some() {
            self.pass_on(woken);
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
    /// Sets the groups of fields in the mask. What becomes of its rank; `None`, and nothing is set, if some are not valid.
    #[inline(always)]
    pub fn import(&mut self, state: &ThreadHead, mask: u64, links: NewLinks) -> Option<Rank> {
        if !is_valid(state, mask) {
            return None;
        }
        let ranked = (mask & group::SCHEDULING != 0).then_some(state.rank);
        let rank = self.rank_to_set(ranked, links);
        self.apply_groups(state, mask);
        Some(rank)
    }

    /// A thread that waits on as before keeps its place; any other is behind all who wait.
    fn rank_to_set(&self, rank: Option<u64>, links: NewLinks) -> Rank {
        let [_, link, ..] = links;
        let stays = self.waiting_for.is_some() && link.is_none_or(|link| link == self.waiting_for);
        match rank {
            // One that does not wait draws its ticket when it does.
            _ if link.unwrap_or(self.waiting_for).is_none() => Rank::Keep,
            Some(rank) if !stays || rank != self.rank => Rank::Import(rank),
            None if !stays && link.is_some_and(|link| link.is_some()) => Rank::New,
            _ => Rank::Keep,
        }
    }

    fn apply_groups(&mut self, state: &ThreadHead, mask: u64) {
        let flags = |old: u32, bits: u32| old & !bits | state.flags & bits;
        if mask & group::CONTROL != 0 {
            self.flags = flags(self.flags, thread_flag::STOPPED | thread_flag::EXCEPTIONS_ENABLED);
        }
        if mask & group::DIRECTION != 0 {
            self.flags = flags(self.flags, thread_flag::CLIENT_SENDS);
            self.parked_client_ends = state.parked_client_ends;
            self.parked_server_ends = state.parked_server_ends;
        }
        if mask & group::REGISTERS != 0 {
            let rflags = settable_rflags(state.registers.rflags);
            self.context.registers = Registers { rflags, ..state.registers };
        }
        if mask & group::OWN_ADDRESS != 0 {
            self.own_address = state.own_address;
        }
        if mask & group::SCHEDULING != 0 {
            self.priority = state.priority;
        }
        if mask & group::HANDLERS != 0 {
            self.handlers = state.handlers;
        }
        if mask & group::SAVED != 0 {
            self.saved = state.saved;
            self.saved.rflags = settable_rflags(state.saved.rflags);
        }
        if mask & group::EXCEPTION != 0 {
            self.exception = state.exception;
            self.exception.deferred &= crate::asynchronous::DEFERRABLE;
        }
        if mask & group::DEBUG != 0 {
            let debug = &mut self.context.debug;
            debug.address = state.debug.address;
            debug.dr6 = state.debug.dr6 & DR6_BITS | DR6_ONES;
            debug.dr7 = state.debug.dr7 & DR7_BITS | DR7_ONES;
        }
        self.context.extras = self.context.extras_now();
    }

    /// The kernel writes here for it, or reads. What it watches of that is told when its call is over, or runs again.
    #[inline(always)]
    pub fn note(&mut self, access: Protection, address: u64, len: usize) {
        if self.context.is_armed() && len > 0 {
            self.note_watched(access, address, address + len as u64);
        }
    }

    #[inline(never)]
    fn note_watched(&mut self, access: Protection, start: u64, end: u64) {
        let Context { debug, registers, .. } = &mut self.context;
        // 1 in a register watches writes, 3 reads as well.
        let least = if access.allows(Protection::WRITE) { 1 } else { 3 };
        for (index, watched) in debug.address.iter().enumerate() {
            let kind = debug.dr7 >> (16 + 4 * index);
            // Two bits for 1, 2, 8 or 4 bytes.
            let bytes = 1_u64 << (0b10_11_01_00 >> (kind >> 1 & 6) & 3);
            let watches = debug.dr7 >> (2 * index) & 3 != 0 && kind & least == least;
            let first = watched & bytes.wrapping_neg();
            if watches && first < end && start < first + bytes {
                debug.dr6 |= 1 << index;
                registers.rflags |= RESUME_FLAG;
            }
        }
    }

    fn set_vectors(&mut self, vectors: &[u8; VECTORS_SIZE]) {
        self.context.vectors = *vectors;
        if let Some(mxcsr) = self.context.vectors.get_mut(MXCSR) {
            let value = mxcsr.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
            mxcsr.copy_from_slice(&(value & MXCSR_MASK).to_le_bytes());
        }
    }

    /// The state as it is exported, but for the vectors.
    pub fn head(&self) -> ThreadHead {
        let mut head = ThreadHead::default();
        self.export(&mut head);
        head
    }

    /// Writes the state as it is exported, but for the vectors.
    #[inline(always)]
    pub fn export(&self, head: &mut ThreadHead) {
        // Field by field: each is copied once, to where it belongs.
        head.hash = self.hash;
        head.flags = self.flags;
        head.priority = self.priority;
        head.own_address = self.own_address;
        head.rank = self.rank;
        head.registers = self.context.registers;
        head.debug = self.context.debug;
        head.handlers = self.handlers;
        head.saved = self.saved;
        head.exception = self.exception;
        head.parked_client_ends = self.parked_client_ends;
        head.parked_server_ends = self.parked_server_ends;
    }
}

/// What becomes of a thread's rank when its state is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rank {
    Keep,
    New,
    Import(u64),
}

/// Whether the groups in the mask hold nothing that a thread cannot have. What can be masked is masked instead.
fn is_valid(state: &ThreadHead, mask: u64) -> bool {
    let has = |group: u64| mask & group != 0;
    let registers = &state.registers;
    mask & !group::ALL == 0
        && (!has(group::CONTROL | group::DIRECTION) || state.flags & !thread_flag::ALL == 0)
        && (!has(group::SCHEDULING) || state.priority <= MAX_PRIORITY)
        && (!has(group::REGISTERS) || are_canonical([registers.rip, registers.fs_base, registers.gs_base]))
        && (!has(group::HANDLERS) || are_handlers(&state.handlers))
        && (!has(group::SAVED) || are_canonical([state.saved.rip]))
        && (!has(group::EXCEPTION)
            || state.exception.code == 0
            || ExceptionCode::from_number(state.exception.code).is_some())
        && (!has(group::DEBUG) || state.debug.address.iter().all(|address| *address < USER_END))
}
