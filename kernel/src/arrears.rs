//! What one entry leaves to the next ones. Some things that happen concern as many threads as a program likes: a flob is gone
//! that they waited for, a ceiling has changed under them, their time has come. Each entry does a small share of what is left,
//! before it is decided who runs; and who adds to it by a call waits, with that call, until the rest is done.

use flob_abi::{Call, Status};

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::record::{Queue, ThreadId, Waiters};

/// What an entry does of it, in parts of about a hundred instructions; and what takes how much of that.
const SHARE: u32 = 16;
const SORT: u32 = 1;
const RELEASE: u32 = 8;
const EXPIRE: u32 = 8;
const DISPATCH: u32 = SHARE;

impl<M: Machine> Kernel<M> {
    /// Whether something is left to do, even if nobody can run: the machine enters again, as if for an interrupt.
    #[inline(always)]
    pub fn in_arrears(&self) -> bool {
        self.arrears
    }

    /// Does an entry's share of what is left.
    #[cold]
    pub(crate) fn catch_up(&mut self) {
        let mut done = 0;
        while done < SHARE {
            let part = self.sort_one().or_else(|| self.expire_one()).or_else(|| self.release_one());
            let Some(part) = part else {
                self.arrears = false;
                return;
            };
            done += part;
        }
    }

    /// One of the threads whose priority may have changed is put where it belongs.
    fn sort_one(&mut self) -> Option<u32> {
        let thread = self.first_stale()?;
        self.leave_queue(thread);
        self.make_ready(thread);
        if self.thread(thread).queue != Queue::None {
            return Some(SORT);
        }
        // Its space is gone: what it was woken for is for somebody else.
        let woken_for = self.thread(thread).waiting_for;
        self.pass_on(woken_for);
        Some(RELEASE)
    }

    /// The first of those who wait for a time goes on, if that has come.
    fn expire_one(&mut self) -> Option<u32> {
        let (thread, deadline) = self.first_timer()?;
        let now = self.machine.now();
        if deadline > now {
            return None;
        }
        let registers = &mut self.thread_mut(thread).context.registers;
        if registers.rax == Call::TimerWait as u64 {
            registers.rdi = now;
            self.complete(thread, Status::Success);
        } else {
            self.wake(thread);
        }
        Some(EXPIRE)
    }

    /// One of those who waited for a flob that is gone runs its call again, and finds out.
    fn release_one(&mut self) -> Option<u32> {
        let Waiters(roots) = self.released;
        let thread = ThreadId(roots.into_iter().find_map(|root| self.threads.id_at(root))?);
        self.leave_queue(thread);
        let record = self.thread_mut(thread);
        record.waiting_for = None;
        if !record.has_exception() {
            self.make_ready(thread);
        } else if !record.is_stopped() {
            self.dispatch_exception(thread);
            return Some(DISPATCH);
        }
        Some(RELEASE)
    }

    /// These waited for a flob that is gone.
    pub(crate) fn release_waiters(&mut self, waiters: Waiters) {
        self.reconsider = true;
        if !waiters.is_empty() {
            self.released = waiters;
            self.fall_behind();
        }
    }

    /// The threads of a space whose ceiling was or is one of these priorities may be in the wrong places.
    pub(crate) fn resort(&mut self, priorities: core::ops::RangeInclusive<u32>) {
        if self.make_stale(priorities) {
            self.fall_behind();
        }
    }

    /// There is something left to do.
    pub(crate) fn fall_behind(&mut self) {
        self.arrears = true;
        self.reconsider = true;
    }
}
