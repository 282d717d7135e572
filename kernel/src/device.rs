//! Time and interrupts, for those who were granted them. Nothing is latched: a line that fires with nobody waiting is
//! forgotten by the kernel (the device still asks).

use flob_abi::{Call, Misuse, PortRange, Protection, Status};

use crate::kernel::{Kernel, LINES};
use crate::machine::Machine;
use crate::outcome::{Args, Done, Outcome, Trap, status};
use crate::record::{Queue, Thread, ThreadId};
use crate::schedule::queue_node;
use crate::tree::{Branch, Sorted};

/// I/O port by which the machine can be ended.
const EXIT_PORT: u16 = 0xf4;
/// I/O port of the early console.
const LOG_PORT: u16 = 0xe9;
/// Most bytes of a `kernel_log`.
const LOG_MAX: usize = 256;

/// Those who wait for a time, by that.
pub(crate) struct ByDeadline;

impl Sorted<Thread> for ByDeadline {
    type Key = (u64, u32);

    fn branch(thread: &Thread) -> Option<&Branch> {
        Some(&thread.branch)
    }

    fn branch_mut(thread: &mut Thread) -> Option<&mut Branch> {
        Some(&mut thread.branch)
    }

    fn key(index: u32, thread: &Thread) -> Option<Self::Key> {
        Some((thread.deadline, index))
    }
}

impl<M: Machine> Kernel<M> {
    /// `timer_wait`.
    pub(crate) fn timer_wait(&mut self, thread: ThreadId, args: Args) -> Outcome {
        if self.space_of(thread) != self.root {
            return Trap::misuse(Misuse::NotGranted, args.rdi);
        }
        let now = self.machine.now();
        if now >= args.rdi {
            self.thread_mut(thread).context.registers.rdi = now;
            return status(Status::Success);
        }
        self.leave_queue(thread);
        let record = self.thread_mut(thread);
        (record.queue, record.deadline) = (Queue::Timer, args.rdi);
        self.timers = self.threads.tree_insert::<ByDeadline>(self.timers, thread.0.index());
        Ok(Done::Kept)
    }

    /// The first of those who wait for a time, and for which.
    pub(crate) fn first_timer(&self) -> Option<(ThreadId, u64)> {
        let first = self.threads.tree_first::<ByDeadline>(self.timers, None);
        self.threads.entry(first).map(|(id, thread)| (ThreadId(id), thread.deadline))
    }

    /// A millisecond has passed.
    pub(crate) fn tick(&mut self) {
        let now = self.machine.now();
        if self.first_timer().is_some_and(|(_, deadline)| deadline <= now) {
            self.fall_behind();
        }
        self.use_up_slice();
    }

    /// `interrupt_wait`.
    pub(crate) fn interrupt_wait(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let granted =
            self.space_of(thread).and_then(|space| self.space(space)).map_or(0, |space| space.interrupts);
        let line =
            u8::try_from(args.rdi).ok().filter(|line| usize::from(*line) < LINES && granted >> line & 1 != 0);
        let Some((line, list)) = line.and_then(|line| Some((line, self.lines.get_mut(usize::from(line))?)))
        else {
            return Trap::misuse(Misuse::NotGranted, args.rdi);
        };
        self.threads.push_back(list, thread.0.index(), queue_node);
        self.thread_mut(thread).queue = Queue::Line(line);
        self.machine.unmask_interrupt(line);
        Ok(Done::Kept)
    }

    /// A line has fired (and is masked): its first waiter goes on.
    pub(crate) fn interrupt(&mut self, line: u8) {
        let Some(list) = self.lines.get(usize::from(line)) else { return };
        let Some(id) = self.threads.id_at(list.head) else { return };
        if self.thread(ThreadId(id)).context.registers.rax == Call::InterruptWait as u64 {
            self.complete(ThreadId(id), Status::Success);
        } else {
            self.wake(ThreadId(id));
        }
    }

    /// Whether a thread's space has been granted an I/O port.
    fn has_port(&self, thread: ThreadId, port: u16) -> bool {
        let space = self.space_of(thread).and_then(|space| self.space(space));
        let covers = |range: &PortRange| port.wrapping_sub(range.first) < range.count;
        space.is_some_and(|space| space.ports.iter().any(covers))
    }

    /// `kernel_log`. Only for those who could write to the console's port themselves: what others have to say passes their
    /// nesters.
    pub(crate) fn kernel_log(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let space = self.own_space(thread)?;
        if !self.has_port(thread, LOG_PORT) {
            return Trap::misuse(Misuse::NotGranted, args.rdi);
        }
        let mut text = [0; LOG_MAX];
        let Some(text) = usize::try_from(args.rsi).ok().and_then(|len| text.get_mut(..len)) else {
            return Trap::misuse(Misuse::InvalidAddress, args.rsi);
        };
        let buffer = self.user_buffer(space, args.rdi, text.len(), Protection::READ)?;
        self.read_buffer(buffer, text);
        self.machine.log(text);
        status(Status::Success)
    }

    /// `machine_exit`.
    pub(crate) fn machine_exit(&mut self, thread: ThreadId, args: Args) -> Outcome {
        if !self.has_port(thread, EXIT_PORT) {
            return Trap::misuse(Misuse::NotGranted, args.rdi);
        }
        self.machine.exit(args.rdi as u8);
        status(Status::Success)
    }
}
