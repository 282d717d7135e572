//! Condition variables. `condition_wait` releases its mutex and turns into `condition_sleep`; a signal turns that into
//! `mutex_lock`, in the registers of the sleeper, stopped or not.

use flob_abi::{Call, FlobKind, Protection};

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::outcome::{Args, Done, Outcome, SUCCESS};
use crate::record::{FlobId, ThreadId};

/// Sleepers that one entry wakes at most.
const BROADCAST: usize = 8;

impl<M: Machine> Kernel<M> {
    /// `condition_wait`.
    pub(crate) fn condition_wait(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let space = self.callers_space();
        let condition = self.find(space, args.rdi, FlobKind::Condition, Protection::WRITE)?;
        self.unlock(space, thread, args.rsi)?;
        self.thread_mut(thread).context.registers.rax = Call::ConditionSleep as u64;
        Ok(Done::Wait(condition))
    }

    /// `condition_sleep`.
    pub(crate) fn condition_sleep(&mut self, _: ThreadId, args: Args) -> Outcome {
        let space = self.callers_space();
        Ok(Done::Wait(self.find(space, args.rdi, FlobKind::Condition, Protection::WRITE)?))
    }

    /// `condition_signal`.
    pub(crate) fn condition_signal(&mut self, _: ThreadId, args: Args) -> Outcome {
        let space = self.callers_space();
        let condition = self.find(space, args.rdi, FlobKind::Condition, Protection::WRITE)?;
        while let Some(sleeper) = self.find_waiter(condition, |_, _, _| true) {
            if self.signal_sleeper(sleeper, condition) {
                break;
            }
        }
        SUCCESS
    }

    /// `condition_broadcast`. Restarted until nobody sleeps: who begins to sleep meanwhile is woken for nothing, which a
    /// condition variable may.
    pub(crate) fn condition_broadcast(&mut self, _: ThreadId, args: Args) -> Outcome {
        let space = self.callers_space();
        let condition = self.find(space, args.rdi, FlobKind::Condition, Protection::WRITE)?;
        for _ in 0..BROADCAST {
            let Some(sleeper) = self.find_waiter(condition, |_, _, _| true) else { return SUCCESS };
            self.signal_sleeper(sleeper, condition);
        }
        Ok(Done::Again)
    }

    /// Lets one waiter go on. False if its stage did not fit: it just runs its call again.
    fn signal_sleeper(&mut self, sleeper: ThreadId, condition: FlobId) -> bool {
        let fits = self.stage_fits(sleeper, condition);
        if fits {
            self.begin_lock(sleeper);
        }
        self.wake(sleeper);
        fits
    }

    /// The last stage of `condition_wait`: to lock the mutex.
    pub(crate) fn begin_lock(&mut self, sleeper: ThreadId) {
        let registers = &mut self.thread_mut(sleeper).context.registers;
        registers.rax = Call::MutexLock as u64;
        registers.rdi = registers.rsi;
    }
}
