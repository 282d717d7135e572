//! Waiting: a thread waits on a flob exactly when its waiting-for link names it and its registers hold the matching
//! stage, stopped or not. The queues here are derived from that.

use flob_abi::memory::{USER_END, is_canonical};
use flob_abi::{Call, FlobKind, Registers, Status, ipc};

use crate::arena::Arena;
use crate::device::ByDeadline;
use crate::kernel::Kernel;
use crate::list::NONE;
use crate::machine::{Context, Machine};
use crate::record::{Body, FlobId, Object, Queue, Standing, Thread, ThreadId, Waiters};
use crate::schedule::queue_node;
use crate::thread::{TRAP_FLAG, WATCHED};
use crate::tree::{Branch, Sorted};

/// Bytes of a `syscall` instruction.
const CALL_SIZE: u64 = 2;
/// RFLAGS.RF: the next instruction meets no instruction breakpoint. Set where a call is executed again, so that a
/// breakpoint on it fires once; and where there is more to a call's end (`Thread::note`).
pub(crate) const RESUME_FLAG: u64 = 1 << 16;
/// Steps that wait for the thread at the other end.
const WITH_PEER: u64 = ipc::ACKNOWLEDGE | ipc::SEND | ipc::OVER | ipc::RECEIVE | ipc::CALL;
/// How far imported ranks can be from the first one on either side. Their tickets are twice that behind all others, so that
/// the ranks of one import are never near those of the one before.
const IMPORT_REACH: u64 = 1 << 32;

/// Those who wait for the same thing, by their tickets.
pub(crate) struct ByRank;

impl Sorted<Thread> for ByRank {
    type Key = (u64, u32);

    #[inline]
    fn branch(thread: &Thread) -> Option<&Branch> {
        Some(&thread.branch)
    }

    #[inline]
    fn branch_mut(thread: &mut Thread) -> Option<&mut Branch> {
        Some(&mut thread.branch)
    }

    #[inline]
    fn key(index: u32, thread: &Thread) -> Option<Self::Key> {
        Some((thread.rank, index))
    }
}

/// Which waiter is sought.
pub(crate) trait Wanted<M>: Fn(&Kernel<M>, ThreadId, &Thread) -> bool + Copy {}
impl<M, F: Fn(&Kernel<M>, ThreadId, &Thread) -> bool + Copy> Wanted<M> for F {}

impl<M: Machine> Kernel<M> {
    /// Who waits for a flob; for one that is gone, those that are still to hear of it.
    #[inline]
    pub(crate) fn waiters(&self, on: FlobId) -> Waiters {
        match on.as_thread() {
            Some(thread) => self.threads.get(thread.0).map(|thread| thread.waiters),
            None => self.objects.get(on.0).map(|object| object.waiters),
        }
        .unwrap_or(self.released)
    }

    #[inline]
    fn set_waiters(&mut self, on: FlobId, waiters: Waiters) {
        if let Some(thread) = on.as_thread() {
            let place = self.threads.get_mut(thread.0).map(|thread| &mut thread.waiters);
            *place.unwrap_or(&mut self.released) = waiters;
        } else if let Some(object) = self.objects.get_mut(on.0) {
            object.waiters = waiters;
            if let Body::Port(port) = &object.body
                && port.pending == waiters.is_empty()
            {
                self.set_pending(on);
            }
        } else {
            self.released = waiters;
        }
    }

    /// The first waiter for which `wanted` holds, by the tickets. Exceptions of stopped threads do not count.
    #[inline(always)]
    pub(crate) fn find_waiter(&self, on: FlobId, wanted: impl Wanted<M>) -> Option<ThreadId> {
        let waiters = self.waiters(on);
        let stopped = waiters.of(Standing::Stopped);
        let going = self.first_going(waiters, wanted);
        if stopped == NONE { going } else { self.first_with_stopped(going, stopped, wanted) }
    }

    /// The same, of one that is not stopped and those that are.
    #[inline(never)]
    fn first_with_stopped(
        &self,
        going: Option<ThreadId>,
        stopped: u32,
        wanted: impl Wanted<M>,
    ) -> Option<ThreadId> {
        let stopped = self.next_in(stopped, wanted);
        let rank = |thread: &ThreadId| self.thread(*thread).rank;
        going.into_iter().chain(stopped).min_by_key(rank)
    }

    /// The first waiter that is not stopped for which `wanted` holds.
    #[inline]
    pub(crate) fn find_going_waiter(&self, on: FlobId, wanted: impl Wanted<M>) -> Option<ThreadId> {
        self.first_going(self.waiters(on), wanted)
    }

    /// The same of those who wait.
    #[inline(always)]
    pub(crate) fn first_going(&self, waiters: Waiters, wanted: impl Wanted<M>) -> Option<ThreadId> {
        let root = waiters.of(Standing::Going);
        let (id, thread) = self.threads.entry(root)?;
        // Mostly there is but one.
        if thread.branch.left == NONE && wanted(self, ThreadId(id), thread) {
            return Some(ThreadId(id));
        }
        self.next_in(root, wanted)
    }

    /// The first in a tree of waiters for which `wanted` holds.
    #[inline(never)]
    fn next_in(&self, root: u32, wanted: impl Wanted<M>) -> Option<ThreadId> {
        let mut index = self.threads.tree_first::<ByRank>(root, None);
        while let Some((id, thread)) = self.threads.entry(index) {
            if wanted(self, ThreadId(id), thread) {
                return Some(ThreadId(id));
            }
            index = self.threads.tree_first::<ByRank>(root, Some(index));
        }
        None
    }

    /// The thread begins to wait, behind all others.
    #[inline(never)]
    pub(crate) fn wait(&mut self, thread: ThreadId, on: FlobId) {
        self.leave_queue(thread);
        let rank = self.next_ticket();
        let record = self.thread_mut(thread);
        record.rank = rank;
        record.imported = false;
        record.waiting_for = Some(on);
        self.enqueue_waiter(thread, on);
    }

    /// The current thread has not come to the end of its call: it begins to wait, behind all others.
    #[inline(always)]
    pub(crate) fn block(&mut self, thread: ThreadId, on: FlobId) {
        self.reconsider = true;
        self.current = None;
        let rank = self.next_ticket();
        let Self { threads, objects, .. } = self;
        // Most flobs have one waiter at most.
        if let Some(record) = threads.get_mut(thread.0)
            && let Some(Object { waiters, body, .. }) = objects.get_mut(on.0)
            && !matches!(body, Body::Port(_))
            && waiters.of(Standing::Going) == NONE
        {
            debug_assert!(record.queue == Queue::None && !record.is_stopped(), "it was not running");
            *waiters.of_mut(Standing::Going) = thread.0.index();
            record.rank = rank;
            record.imported = false;
            record.waiting_for = Some(on);
            record.queue = Queue::Waiters(on);
            record.standing = Standing::Going;
            record.branch = Branch::ALONE;
        } else {
            self.wait(thread, on);
        }
    }

    /// The thread, which is in no queue, begins to wait for the one at the other end of a connection, whose ends name each
    /// other.
    #[inline(always)]
    pub(crate) fn wait_for_peer(&mut self, thread: ThreadId, peer: ThreadId) {
        let rank = self.next_ticket();
        if let Some(record) = self.threads.get_mut(thread.0) {
            record.wait_for_peer(peer, rank);
        }
    }

    /// Puts a thread among the waiters of its waiting-for link, by its rank; not if that is the thread at the other end, which
    /// finds it by its own link.
    #[inline]
    fn enqueue_waiter(&mut self, thread: ThreadId, on: FlobId) {
        let Some(record) = self.threads.get_mut(thread.0) else { return };
        record.queue = Queue::Waiters(on);
        record.standing = record.standing_now();
        record.branch = Branch::ALONE;
        let standing = record.standing;
        match self.plain_root(on, standing) {
            // Most flobs have one waiter at most.
            Some(root) if *root == NONE => *root = thread.0.index(),
            _ => self.enqueue_with_others(thread, on, standing),
        }
    }

    #[inline(never)]
    fn enqueue_with_others(&mut self, thread: ThreadId, on: FlobId, standing: Standing) {
        if let Some(peer) = on.as_thread()
            && let Some((own, other)) = self.threads.get_two(thread.0, peer.0)
            && own.is_peer_of(thread, other, peer)
        {
            own.queue = Queue::Peer;
            return;
        }
        let mut waiters = self.waiters(on);
        let root = waiters.of_mut(standing);
        *root = self.threads.tree_insert::<ByRank>(*root, thread.0.index());
        self.set_waiters(on, waiters);
    }

    /// A thread names another one no more: if that one waits for it, it is among its waiters from now on.
    pub(crate) fn list_former_peer(&mut self, former: Option<FlobId>, of: ThreadId) {
        let Some(former) = self.live_thread(former) else { return };
        let record = self.thread(former);
        if record.queue == Queue::Peer && record.waiting_for == Some(of.into()) {
            self.enqueue_waiter(former, of.into());
        }
    }

    /// Takes a thread from among the waiters of a flob.
    fn dequeue_from_others(&mut self, thread: ThreadId, on: FlobId, standing: Standing) {
        let mut waiters = self.waiters(on);
        let root = waiters.of_mut(standing);
        *root = self.threads.tree_remove::<ByRank>(*root, thread.0.index());
        self.set_waiters(on, waiters);
    }

    /// The root of those who wait for a flob, to change; not of a port, whose set wants to know, nor of a thread, which has its
    /// peers.
    #[inline(always)]
    fn plain_root(&mut self, on: FlobId, standing: Standing) -> Option<&mut u32> {
        let object = self.objects.get_mut(on.0)?;
        if matches!(object.body, Body::Port(_)) { None } else { Some(object.waiters.of_mut(standing)) }
    }

    /// A waiter was stopped.
    pub(crate) fn stop_waiter(&mut self, thread: ThreadId) {
        if let Queue::Waiters(on) = self.thread(thread).queue {
            self.leave_queue(thread);
            self.enqueue_waiter(thread, on);
        }
    }

    /// Takes a thread out of whatever list it is in; its waiting-for link stays.
    #[inline]
    pub(crate) fn leave_queue(&mut self, thread: ThreadId) {
        let Self { threads, objects, .. } = self;
        let Some(record) = threads.get_mut(thread.0) else { return };
        if !record.leave_at_once(thread, objects) {
            let Thread { queue, standing, .. } = *record;
            self.leave(thread, queue, standing);
        }
    }

    #[inline(never)]
    fn leave(&mut self, thread: ThreadId, queue: Queue, standing: Standing) {
        match queue {
            Queue::None | Queue::Peer => {}
            Queue::Waiters(on) => self.dequeue_from_others(thread, on, standing),
            Queue::Ready(priority) => self.dequeue_ready(thread, priority),
            Queue::Timer => {
                self.timers = self.threads.tree_remove::<ByDeadline>(self.timers, thread.0.index());
            }
            Queue::Line(line) => {
                if let Some(list) = self.lines.get_mut(usize::from(line)) {
                    self.threads.unlink(list, thread.0.index(), queue_node);
                    if list.is_empty() {
                        // With nobody to hear it an interrupt would be lost; a masked line keeps it.
                        self.machine.mask_interrupt(line);
                    }
                }
            }
        }
        self.thread_mut(thread).queue = Queue::None;
    }

    /// The thread waits no more: it runs its call again from the stage it has reached.
    pub(crate) fn wake(&mut self, thread: ThreadId) {
        self.leave_queue(thread);
        let record = self.thread_mut(thread);
        record.waiting_for = None;
        record.context.registers.rflags |= RESUME_FLAG;
        if record.context.debug.dr6 & WATCHED != 0 {
            self.raise_debug(thread, false);
        }
        self.make_ready(thread);
    }

    /// A server that waits at a port set looks again. Until it does, its waiting-for link still names the set: whoever
    /// keeps it from that passes the wake-up on by that.
    pub(crate) fn wake_to_look(&mut self, server: ThreadId) {
        self.leave_queue(server);
        self.thread_mut(server).context.registers.rflags |= RESUME_FLAG;
        self.make_ready(server);
    }

    /// The port set for which a server was woken and has not looked yet.
    pub(crate) fn woken_for(&self, server: ThreadId) -> Option<FlobId> {
        let record = self.thread(server);
        record.waiting_for.filter(|_| matches!(record.queue, Queue::Ready(_) | Queue::None))
    }

    /// If requests are left at this port set, another of its servers looks.
    pub(crate) fn pass_on(&mut self, set: Option<FlobId>) {
        let Some(set) = self.live(set) else { return };
        if let Some((_, port)) = self.first_client(set) {
            self.notify_servers(port);
        }
    }

    /// Ends a thread's call: status into `rax`, RIP behind the call. A step over a call stops there.
    #[inline(never)]
    pub(crate) fn complete(&mut self, thread: ThreadId, status: Status) {
        let Self { threads, objects, .. } = self;
        let Some(mut record) = threads.get_mut(thread.0) else { return };
        if !record.leave_at_once(thread, objects) {
            self.leave_queue(thread);
            let Some(again) = self.threads.get_mut(thread.0) else { return };
            record = again;
        }
        record.waiting_for = None;
        if step_over(&mut record.context, status) {
            self.raise_debug(thread, true);
            self.make_ready(thread);
        } else if self.current != Some(thread)
            && let Some(priority) = Self::runs_at(&self.objects, record)
        {
            record.queue_up(priority);
            self.enqueue_ready(thread, priority);
        }
    }

    /// The same for the current thread, which is in no queue. True if it goes on: nothing has happened that could keep it
    /// from that, nor is this the end of a single step.
    #[inline(always)]
    pub(crate) fn end_current(&mut self, thread: ThreadId, status: Status) -> bool {
        let Some(record) = self.threads.get_mut(thread.0) else { return false };
        if end_call(&mut record.context.registers, status) { self.goes_on() } else { self.end_step(thread) }
    }

    /// The same where the flags say that there is more to it.
    #[cold]
    #[inline(never)]
    fn end_step(&mut self, thread: ThreadId) -> bool {
        let steps = resume(&mut self.thread_mut(thread).context);
        if steps {
            self.raise_debug(thread, true);
        }
        !steps && self.goes_on()
    }

    /// Whether a thread's registers hold a stage in which it can wait for this flob.
    pub(crate) fn stage_fits(&self, thread: ThreadId, on: FlobId) -> bool {
        self.kind_of(on).is_some_and(|kind| self.thread(thread).stage_fits(kind))
    }

    /// Makes the queues agree with a thread's state after somebody has set it.
    pub(crate) fn settle(&mut self, thread: ThreadId) {
        if !matches!(self.thread(thread).queue, Queue::None) {
            self.leave_queue(thread);
        }
        let record = self.thread(thread);
        let stopped = record.is_stopped();
        if let Some(on) = record.waiting_for {
            let lost = !stopped && on.as_thread().is_some() && self.is_lost_call(thread);
            if !self.exists(on) || lost {
                self.thread_mut(thread).waiting_for = None;
            } else if self.stage_fits(thread, on) {
                self.enqueue_waiter(thread, on);
                self.settle_waiting(thread, on);
            } else if !stopped {
                self.thread_mut(thread).waiting_for = None;
            }
        }
        if !stopped && self.thread(thread).has_exception() && !self.asks_already(thread) {
            self.dispatch_again(thread);
        }
        if self.thread(thread).exception.deferred != 0 {
            self.take_deferred(thread);
        }
        if !stopped {
            self.make_ready(thread);
        }
    }

    /// Whether a thread waits for the reply to an idempotent call that nobody has in his hands: it must put it again.
    fn is_lost_call(&self, thread: ThreadId) -> bool {
        !self.thread(thread).has_exception() && self.is_in_call(thread) && !self.is_being_served(thread)
    }

    /// What a new waiter waits for may have happened already.
    fn settle_waiting(&mut self, thread: ThreadId, on: FlobId) {
        match self.kind_of(on) {
            Some(FlobKind::Mutex) => self.hand_over_to_running(on),
            Some(FlobKind::Port) => self.notify_servers(on),
            Some(FlobKind::PortSet) => self.pass_on(Some(on)),
            Some(FlobKind::Thread) => {
                let free = |thread: ThreadId| !self.thread(thread).has_exception();
                let waits_back = |peer: &ThreadId| self.thread(*peer).waiting_for == Some(thread.into());
                // Two threads that wait for each other both look again: one of their steps may fit the other's now.
                if let Some(peer) = on.as_thread().filter(waits_back)
                    && free(peer)
                    && free(thread)
                {
                    self.wake(peer);
                    self.wake(thread);
                }
            }
            _ => {}
        }
    }

    /// A ticket behind all who wait.
    #[inline]
    pub(crate) fn next_ticket(&mut self) -> u64 {
        draw(&mut self.next_rank)
    }

    /// A ticket for a thread whose rank is set from outside: behind all who wait, in the order of the given ranks. Only
    /// their distances count, so that restoring again and again does not make them grow.
    pub(crate) fn import_rank(&mut self, rank: u64) -> u64 {
        let near = |(_, first): &(u64, u64)| rank.abs_diff(*first) <= IMPORT_REACH;
        // A rank far from the first one is of another import.
        let (base, first) = self.import_base.filter(near).unwrap_or((self.next_rank, rank));
        self.import_base = Some((base, first));
        let middle = base.saturating_add(2 * IMPORT_REACH);
        let distance = rank.abs_diff(first);
        let ticket =
            if rank >= first { middle.saturating_add(distance) } else { middle.saturating_sub(distance) };
        self.next_rank = self.next_rank.max(ticket.saturating_add(1));
        ticket
    }
}

impl Thread {
    /// Takes it out of its queue if that concerns nothing but the one flob that it waits for. False, and nothing is done, if not.
    #[inline(always)]
    pub fn leave_at_once(&mut self, own: ThreadId, objects: &mut Arena<Object>) -> bool {
        match self.queue {
            Queue::None => true,
            Queue::Peer => {
                self.queue = Queue::None;
                true
            }
            Queue::Waiters(on) => {
                objects.get_mut(on.0).is_some_and(|on| self.leave_alone(own, on, self.standing))
            }
            Queue::Ready(_) | Queue::Timer | Queue::Line(_) => false,
        }
    }

    /// The same of one that waits for a flob, if it is the only one there; not of a port, whose set wants to know.
    #[inline(always)]
    pub fn leave_alone(&mut self, own: ThreadId, on: &mut Object, standing: Standing) -> bool {
        let root = on.waiters.of_mut(standing);
        let is_alone = *root == own.0.index() && self.branch.left & self.branch.right == NONE;
        let leaves = is_alone && !matches!(on.body, Body::Port(_));
        if leaves {
            *root = NONE;
            self.queue = Queue::None;
        }
        leaves
    }

    /// It has the processor. One that was woken to look at its port set has not done that yet.
    #[inline(always)]
    pub fn wait_no_more(&mut self) {
        if self.waiting_for.is_some() && next_step(self.context.registers.rax) != Some(ipc::WAIT) {
            self.waiting_for = None;
        }
    }

    /// It is in no queue, and waits for the thread at the other end of a connection from now on.
    #[inline(always)]
    pub fn wait_for_peer(&mut self, peer: ThreadId, rank: u64) {
        self.rank = rank;
        self.imported = false;
        self.waiting_for = Some(peer.into());
        self.queue = Queue::Peer;
    }

    /// Whether the registers hold a stage in which a thread can wait for a flob of this kind.
    pub fn stage_fits(&self, kind: FlobKind) -> bool {
        if self.has_exception() {
            return matches!(kind, FlobKind::Port | FlobKind::Thread | FlobKind::Space | FlobKind::Region);
        }
        let call = self.context.registers.rax;
        match kind {
            FlobKind::Mutex => call == Call::MutexLock as u64,
            FlobKind::Condition => call == Call::ConditionSleep as u64,
            FlobKind::Port => {
                next_step(call).is_some_and(|step| step & (ipc::CONNECT | ipc::ONE_WAY | ipc::CALL) != 0)
            }
            FlobKind::PortSet => next_step(call) == Some(ipc::WAIT),
            FlobKind::Thread => next_step(call).is_some_and(|step| step & WITH_PEER != 0),
            _ => false,
        }
    }
}

/// The next ticket.
#[inline(always)]
pub(crate) fn draw(next: &mut u64) -> u64 {
    let ticket = *next;
    *next = ticket.wrapping_add(1);
    ticket
}

/// Ends a call in its registers. True if that is the end of a single step, or it has written what is watched.
#[inline(always)]
fn step_over(context: &mut Context, status: Status) -> bool {
    !end_call(&mut context.registers, status) && resume(context)
}

/// The same but for the flags. True if they have nothing to do with it.
#[inline(always)]
pub(crate) fn end_call(registers: &mut Registers, status: Status) -> bool {
    registers.rax = status as u64;
    registers.rip = match registers.rip.wrapping_add(CALL_SIZE) {
        behind if behind < USER_END => behind,
        behind => canonical(behind),
    };
    registers.rflags & (RESUME_FLAG | TRAP_FLAG) == 0
}

/// An address behind all user memory, as an instruction pointer can be.
#[cold]
fn canonical(address: u64) -> u64 {
    if is_canonical(address) { address } else { USER_END }
}

/// The instruction has been executed, which had a flag that concerned it. True if there is a debug exception at its end.
#[cold]
#[inline(never)]
fn resume(context: &mut Context) -> bool {
    context.registers.rflags &= !RESUME_FLAG;
    context.registers.rflags & TRAP_FLAG != 0 || context.debug.dr6 & WATCHED != 0
}

pub(crate) use ipc::next_step;
