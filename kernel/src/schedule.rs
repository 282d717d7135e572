//! Who runs: fixed priorities, preemptive, round robin within one. All of it is derived state.

use flob_abi::MAX_PRIORITY;

use crate::arena::Arena;
use crate::kernel::Kernel;
use crate::list::{List, NONE, Node};
use crate::machine::Machine;
use crate::record::{Body, FlobId, Object, Queue, Thread, ThreadId, Waiters};
use crate::tree::Branch;

const PRIORITIES: usize = MAX_PRIORITY as usize + 1;
/// Ticks that a thread runs before others of its priority have their turn.
const SLICE: u32 = 10;

/// Threads that could run, by priority.
#[derive(Clone)]
pub(crate) struct Ready {
    lists: [List; PRIORITIES],
    /// Bit *n*: list *n* is not empty.
    occupied: u32,
    /// Those of each list that were in it when a ceiling changed and may belong elsewhere now, and which of these are not
    /// empty: see `arrears`.
    stale: [List; PRIORITIES],
    stale_occupied: u32,
    /// A thread that goes before all of its priority's list, and is in none itself: most threads that are woken run next.
    next: u32,
    next_priority: u8,
}

impl Ready {
    pub const EMPTY: Self = Self {
        lists: [List::EMPTY; PRIORITIES],
        occupied: 0,
        stale: [List::EMPTY; PRIORITIES],
        stale_occupied: 0,
        next: NONE,
        next_priority: 0,
    };

    /// Whether a list above this priority has anybody in it.
    #[inline(always)]
    fn is_occupied_above(&self, priority: u8) -> bool {
        self.occupied.wrapping_shr(u32::from(priority)) >> 1 != 0
    }

    /// Whether a thread of this priority would have to make room.
    #[inline(always)]
    pub fn has_above(&self, priority: u8) -> bool {
        self.next != NONE && self.next_priority > priority || self.is_occupied_above(priority)
    }

    /// The thread that comes first, and its priority.
    #[inline(always)]
    fn first(&self) -> Option<(u32, u8)> {
        if self.next != NONE && !self.is_occupied_above(self.next_priority) {
            return Some((self.next, self.next_priority));
        }
        let priority = self.occupied.checked_ilog2()? as u8;
        Some((self.lists.get(usize::from(priority))?.head, priority))
    }
}

/// The node by which a thread is in its queue.
#[expect(clippy::unnecessary_wraps, reason = "the shape that lists want")]
pub(crate) fn queue_node(thread: &mut Thread) -> Option<&mut Node> {
    Some(&mut thread.node)
}

impl<M: Machine> Kernel<M> {
    /// The priority of a thread if nothing keeps it from running.
    #[inline(always)]
    pub(crate) fn runs_at(objects: &Arena<Object>, thread: &Thread) -> Option<u8> {
        if !thread.is_free() {
            return None;
        }
        let Body::Space(space) = &objects.get(thread.space?.0)?.body else { return None };
        Some(thread.priority_below(space.ceiling))
    }

    /// Whether nothing keeps the thread from running. (Being in the ready queue does not.)
    #[cfg(test)]
    pub(crate) fn is_runnable(&self, id: ThreadId) -> bool {
        let thread = self.thread(id);
        matches!(thread.queue, Queue::None | Queue::Ready(_))
            && Self::runs_at(&self.objects, thread).is_some()
    }

    /// Puts a thread that can run behind the others of its priority.
    #[inline]
    pub(crate) fn make_ready(&mut self, thread: ThreadId) {
        let Some(record) = self.threads.get_mut(thread.0) else { return };
        if self.current == Some(thread) || record.queue != Queue::None {
            return;
        }
        if let Some(priority) = Self::runs_at(&self.objects, record) {
            record.queue_up(priority);
            self.enqueue_ready(thread, priority);
        }
    }

    /// Its record says already what queue it is in.
    #[inline(always)]
    pub(crate) fn enqueue_ready(&mut self, thread: ThreadId, priority: u8) {
        if self.current.is_none() || priority > self.current_priority {
            self.reconsider = true;
        }
        let goes_behind = self.ready.occupied.wrapping_shr(u32::from(priority)) != 0;
        if self.ready.next != NONE || goes_behind {
            return self.list_ready(thread, priority, false);
        }
        (self.ready.next, self.ready.next_priority) = (thread.0.index(), priority);
    }

    /// The same of one that had the processor, and goes before its equals.
    #[inline(always)]
    pub(crate) fn ready_again(&mut self, thread: ThreadId, priority: u8) {
        if self.ready.next != NONE || self.ready.is_occupied_above(priority) {
            return self.list_ready(thread, priority, true);
        }
        (self.ready.next, self.ready.next_priority) = (thread.0.index(), priority);
    }

    #[inline(never)]
    fn list_ready(&mut self, thread: ThreadId, priority: u8, first: bool) {
        let Some(list) = self.ready.lists.get_mut(usize::from(priority)) else { return };
        let behind = if first { NONE } else { list.tail };
        self.threads.insert_behind(list, behind, thread.0.index(), queue_node);
        self.ready.occupied |= 1 << priority;
    }

    #[inline]
    pub(crate) fn dequeue_ready(&mut self, thread: ThreadId, priority: u8) {
        if self.ready.next == thread.0.index() {
            self.ready.next = NONE;
        } else if !self.unlist_stale(thread.0.index(), priority) {
            self.unlist_ready(thread.0.index(), priority);
        }
        self.thread_mut(thread).queue = Queue::None;
    }

    /// Takes a thread that is at an end of its list of stale ones out of that. Elsewhere it does not matter in which list it is.
    fn unlist_stale(&mut self, index: u32, priority: u8) -> bool {
        let Some(list) = self.ready.stale.get_mut(usize::from(priority)) else { return false };
        let at_end = [list.head, list.tail].contains(&index);
        if at_end {
            self.threads.unlink(list, index, queue_node);
            if list.is_empty() {
                self.ready.stale_occupied &= !(1 << priority);
            }
        }
        at_end
    }

    #[inline(never)]
    fn unlist_ready(&mut self, index: u32, priority: u8) {
        let Some(list) = self.ready.lists.get_mut(usize::from(priority)) else { return };
        self.threads.unlink(list, index, queue_node);
        if list.is_empty() {
            self.ready.occupied &= !(1 << priority);
        }
    }

    /// Takes the first of those that are ready.
    #[inline(always)]
    pub(crate) fn choose(&mut self) -> Option<u32> {
        let Some((index, priority)) = self.ready.first() else {
            self.reconsider = true;
            return None;
        };
        if self.ready.next == index {
            self.ready.next = NONE;
        } else {
            self.unlist_ready(index, priority);
        }
        Some(index)
    }

    /// All ready threads of these priorities may belong elsewhere now. False if there are none.
    pub(crate) fn make_stale(&mut self, priorities: core::ops::RangeInclusive<u32>) -> bool {
        let (next, next_priority) = (self.ready.next, self.ready.next_priority);
        if priorities.contains(&u32::from(next_priority))
            && let Some(id) = self.threads.id_at(next)
        {
            self.ready.next = NONE;
            self.list_ready(ThreadId(id), next_priority, true);
        }
        let Ready { lists, stale, occupied, stale_occupied, .. } = &mut self.ready;
        for (priority, (list, stale)) in (0..).zip(lists.iter_mut().zip(stale)) {
            if priorities.contains(&priority) && !list.is_empty() {
                let moved = core::mem::replace(list, List::EMPTY);
                self.threads.append(stale, moved, queue_node);
                *occupied &= !(1 << priority);
                *stale_occupied |= 1 << priority;
            }
        }
        self.ready.stale_occupied != 0
    }

    /// The highest of the threads that may belong elsewhere.
    pub(crate) fn first_stale(&self) -> Option<ThreadId> {
        let priority = self.ready.stale_occupied.checked_ilog2()?;
        let list = self.ready.stale.get(priority as usize)?;
        self.threads.id_at(list.head).map(ThreadId)
    }

    /// The current thread's turn shrinks; at its end the others of its priority go first. One that is interrupted by a higher
    /// priority keeps what is left of its turn, and no more: or frequent interruptions would keep its equals waiting for ever.
    pub(crate) fn use_up_slice(&mut self) {
        let Some(current) = self.current else { return };
        let slice = &mut self.thread_mut(current).slice;
        *slice = slice.saturating_sub(1);
        if *slice == 0 {
            *slice = SLICE;
            self.reconsider = true;
            self.current = None;
            self.make_ready(current);
        }
    }

    /// Forgets all queues and builds them again from the threads' state.
    pub(crate) fn rebuild_queues(&mut self) {
        self.ready = Ready::EMPTY;
        self.timers = NONE;
        self.released = Waiters::EMPTY;
        self.arrears = false;
        for (line, list) in (0..).zip(&mut self.lines) {
            if !core::mem::replace(list, List::EMPTY).is_empty() {
                // Its waiters unmask it when they wait again.
                self.machine.mask_interrupt(line);
            }
        }
        for index in 0..self.objects.end() {
            let Some(id) = self.objects.id_at(index) else { continue };
            if let Some(object) = self.objects.at_mut(index) {
                object.waiters = Waiters::EMPTY;
                if matches!(object.body, Body::Port(_)) {
                    self.set_pending(FlobId(id));
                }
            }
        }
        for index in 0..self.threads.end() {
            if let Some(thread) = self.threads.at_mut(index) {
                thread.waiters = Waiters::EMPTY;
                thread.queue = Queue::None;
                thread.node = Node::ALONE;
                thread.branch = Branch::ALONE;
            }
        }
        for index in 0..self.threads.end() {
            if let Some(id) = self.threads.id_at(index) {
                self.settle(ThreadId(id));
            }
        }
    }
}

impl Thread {
    /// Whether it could run if it has a space.
    #[inline(always)]
    pub fn is_free(&self) -> bool {
        !(self.is_stopped() || self.has_exception())
    }

    /// The priority at which it runs in a space with this ceiling. Neither is set above the highest.
    #[inline(always)]
    pub fn priority_below(&self, ceiling: u32) -> u8 {
        self.priority.min(ceiling) as u8
    }

    /// It is about to be put into the ready queue, for a whole turn.
    #[inline]
    pub fn queue_up(&mut self, priority: u8) {
        self.queue = Queue::Ready(priority);
        self.slice = SLICE;
    }
}

#[cfg(test)]
impl<M: Machine> Kernel<M> {
    /// Whether a thread waits for its time, other than for the end of all times.
    pub fn timers_wait(&self) -> bool {
        self.first_timer().is_some_and(|(_, deadline)| deadline < u64::MAX)
    }

    /// Gives the processor to this one of the threads that could run: the order of the ready queue is nobody's business.
    pub(crate) fn run_next(&mut self, thread: ThreadId) {
        if self.current == Some(thread) {
            return;
        }
        if let Some(current) = self.current.take() {
            self.make_ready(current);
        }
        let Queue::Ready(priority) = self.thread(thread).queue else { panic!("it could not run") };
        self.dequeue_ready(thread, priority);
        self.current = Some(thread);
        if core::mem::take(&mut self.thread_mut(thread).imported) {
            self.import_base = None;
        }
    }
}

#[cfg(test)]
impl Ready {
    /// The lists with their priorities, and those of stale threads.
    pub fn lists(&self) -> impl Iterator<Item = (u8, [List; 2])> {
        (0..).zip(self.lists.into_iter().zip(self.stale).map(|(list, stale)| [list, stale]))
    }

    /// The thread that is in none of them, with its priority.
    pub fn next(&self) -> Option<(u8, u32)> {
        (self.next != NONE).then_some((self.next_priority, self.next))
    }
}
