//! Who runs: fixed priorities, preemptive, round robin within one. All of it is derived state.

use flob_abi::MAX_PRIORITY;

use crate::kernel::Kernel;
use crate::list::{List, NONE, Node};
use crate::machine::Machine;
use crate::record::{Body, FlobId, Queue, Thread, ThreadId, Waiters};
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
}

impl Ready {
    pub const EMPTY: Self = Self { lists: [List::EMPTY; PRIORITIES], occupied: 0 };

    fn highest(&self) -> Option<u8> {
        self.occupied.checked_ilog2().map(|bit| bit as u8)
    }
}

/// The node by which a thread is in its queue.
#[expect(clippy::unnecessary_wraps, reason = "the shape that lists want")]
pub(crate) fn queue_node(thread: &mut Thread) -> Option<&mut Node> {
    Some(&mut thread.node)
}

impl<M: Machine> Kernel<M> {
    /// The lower of the thread's priority and its space's ceiling.
    fn priority(&self, thread: ThreadId) -> u8 {
        let thread = self.thread(thread);
        let ceiling = thread.space.and_then(|space| self.space(space)).map_or(0, |space| space.ceiling);
        thread.priority.min(ceiling).min(MAX_PRIORITY) as u8
    }

    /// The priority of a thread if nothing keeps it from running and it is in such a queue.
    #[inline(always)]
    fn runs_at(&self, id: ThreadId, fits: impl Fn(Queue) -> bool) -> Option<u8> {
        let thread = self.threads.get(id.0)?;
        if thread.is_stopped() || thread.has_exception() || !fits(thread.queue) {
            return None;
        }
        let space = self.space(thread.space?)?;
        Some(thread.priority.min(space.ceiling).min(MAX_PRIORITY) as u8)
    }

    /// Whether nothing keeps the thread from running. (Being in the ready queue does not.)
    #[cfg(test)]
    pub(crate) fn is_runnable(&self, id: ThreadId) -> bool {
        self.runs_at(id, |queue| matches!(queue, Queue::None | Queue::Ready(_))).is_some()
    }

    /// Puts a thread that can run behind the others of its priority.
    #[inline]
    pub(crate) fn make_ready(&mut self, thread: ThreadId) {
        if self.current == Some(thread) {
            return;
        }
        if let Some(priority) = self.runs_at(thread, |queue| queue == Queue::None) {
            self.enqueue_ready(thread, priority, false);
        }
    }

    #[inline]
    fn enqueue_ready(&mut self, thread: ThreadId, priority: u8, first: bool) {
        let Some(list) = self.ready.lists.get_mut(usize::from(priority)) else { return };
        let behind = if first { NONE } else { list.tail };
        self.threads.insert_behind(list, behind, thread.0.index, queue_node);
        self.ready.occupied |= 1 << priority;
        self.reconsider = true;
        let record = self.thread_mut(thread);
        record.queue = Queue::Ready(priority);
        if !first {
            record.slice = SLICE;
        }
    }

    #[inline]
    pub(crate) fn dequeue_ready(&mut self, thread: ThreadId, priority: u8) {
        let Some(list) = self.ready.lists.get_mut(usize::from(priority)) else { return };
        self.threads.unlink(list, thread.0.index, queue_node);
        if list.is_empty() {
            self.ready.occupied &= !(1 << priority);
        }
        self.thread_mut(thread).queue = Queue::None;
    }

    /// The thread to run: the current one unless it cannot go on or a higher one is ready.
    #[inline(always)]
    pub(crate) fn choose(&mut self) -> Option<ThreadId> {
        if let Some(current) = self.current {
            match self.runs_at(current, |queue| queue == Queue::None) {
                None => self.current = None,
                Some(own) if self.ready.highest().is_some_and(|other| other > own) => {
                    self.current = None;
                    self.enqueue_ready(current, own, true);
                }
                Some(_) => {}
            }
        }
        while self.current.is_none() {
            let priority = self.ready.highest()?;
            let head = self.ready.lists.get(usize::from(priority))?.head;
            let next = ThreadId(self.threads.id_at(head)?);
            self.dequeue_ready(next, priority);
            match self.runs_at(next, |_| true) {
                // Its space is gone: what it was woken for is for somebody else.
                None => self.pass_on(self.thread(next).waiting_for),
                // The ceiling may have been lowered while it was in the queue.
                Some(own) if own < priority => self.enqueue_ready(next, own, true),
                Some(_) => self.start_turn(next),
            }
        }
        if let Some(current) = self.current {
            self.thread_mut(current).waiting_for = None;
        }
        self.current
    }

    /// Puts all threads of the ready queue where they belong now, after a ceiling has changed.
    pub(crate) fn requeue_ready(&mut self) {
        let lists = core::mem::replace(&mut self.ready.lists, [List::EMPTY; PRIORITIES]);
        self.ready.occupied = 0;
        for list in lists {
            let mut index = list.head;
            while let Some(id) = self.threads.id_at(index) {
                index = self.threads.next(index, queue_node);
                let thread = ThreadId(id);
                self.enqueue_ready(thread, self.priority(thread), false);
            }
        }
    }

    fn start_turn(&mut self, thread: ThreadId) {
        self.current = Some(thread);
        if core::mem::take(&mut self.thread_mut(thread).imported) {
            self.import_base = None;
        }
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
        self.timers = List::EMPTY;
        self.released = Waiters::EMPTY;
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

#[cfg(test)]
impl<M: Machine> Kernel<M> {
    /// Whether a thread waits for its time, other than for the end of all times.
    pub fn timers_wait(&self) -> bool {
        let first = self.threads.at(self.timers.head);
        first.is_some_and(|thread| thread.context.registers.rdi < u64::MAX)
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
        self.start_turn(thread);
    }
}

#[cfg(test)]
impl Ready {
    /// The lists with their priorities.
    pub fn lists(&self) -> impl Iterator<Item = (u8, List)> {
        (0..).zip(self.lists)
    }
}
