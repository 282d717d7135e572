//! Mutexes: lock, unlock, hand over. State and link: locked, owner.

use flob_abi::{FlobKind, Misuse, MutexState, Protection, Status};

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::outcome::{Args, Done, Outcome, SUCCESS, Trap, status};
use crate::record::{Body, FlobId, Mutex, Object, Thread, ThreadId, Waiters};

impl<M: Machine> Kernel<M> {
    /// `mutex_lock`.
    pub(crate) fn mutex_lock(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let space = self.callers_space()?;
        let (id, mutex, _) = self.find_mutex(space, args.rdi)?;
        if !mutex.locked {
            take(mutex, thread);
            return SUCCESS;
        }
        if mutex.owner == Some(thread.into()) {
            return Trap::misuse(Misuse::MutexLocked, args.rdi);
        }
        Ok(Done::Wait(id))
    }

    /// `mutex_trylock`.
    pub(crate) fn mutex_trylock(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let space = self.callers_space()?;
        let (_, mutex, _) = self.find_mutex(space, args.rdi)?;
        if mutex.locked {
            return status(Status::MutexHeld);
        }
        take(mutex, thread);
        SUCCESS
    }

    /// `mutex_unlock`.
    pub(crate) fn mutex_unlock(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let space = self.callers_space()?;
        self.unlock(space, thread, args.rdi)?;
        SUCCESS
    }

    /// The mutex at this address, with its record and those who wait for it.
    #[inline(always)]
    fn find_mutex(&mut self, space: FlobId, address: u64) -> Result<(FlobId, &mut Mutex, Waiters), Trap> {
        match self.find_object(space, address, FlobKind::Mutex, Protection::WRITE)? {
            (id, Object { body: Body::Mutex(mutex), waiters, .. }) => Ok((id, mutex, *waiters)),
            _ => Trap::misuse(Misuse::WrongKind, address),
        }
    }

    /// Unlocks the mutex at this address, which must be held by the thread, and gives it to the first waiter.
    #[inline(always)]
    pub(crate) fn unlock(&mut self, space: FlobId, thread: ThreadId, address: u64) -> Result<(), Trap> {
        let (id, mutex, waiters) = self.find_mutex(space, address)?;
        if !mutex.locked {
            return Trap::misuse(Misuse::MutexNotLocked, address);
        }
        if mutex.owner != Some(thread.into()) {
            return Trap::misuse(Misuse::MutexNotOwner, address);
        }
        mutex.locked = false;
        mutex.owner = None;
        if !waiters.is_empty() {
            self.hand_over(id);
        }
        Ok(())
    }

    /// An unlocked mutex goes to the first waiter, stopped or not.
    #[inline(never)]
    fn hand_over(&mut self, id: FlobId) {
        if let Some(next) = self.find_waiter(id, |kernel, waiter| kernel.stage_fits(waiter, id)) {
            self.give(id, next);
        }
    }

    /// A mutex that was found or set unlocked goes to the first waiter that can run. Not to a stopped one: it may be about to
    /// be restored, and the mutex after it. It gets its turn when it is let go.
    pub(crate) fn hand_over_to_running(&mut self, id: FlobId) {
        if self.mutex(id).is_none_or(|mutex| mutex.locked) {
            return;
        }
        let fits = |_: &Self, waiter: &Thread| waiter.stage_fits(FlobKind::Mutex) && !waiter.is_stopped();
        if let Some(next) = self.find_going_waiter(id, fits) {
            self.give(id, next);
        }
    }

    /// Ends a waiter's `mutex_lock`.
    fn give(&mut self, id: FlobId, waiter: ThreadId) {
        if let Some(mutex) = self.mutex_mut(id) {
            take(mutex, waiter);
        }
        self.complete(waiter, Status::Success);
    }

    pub(crate) fn mutex_state(&self, id: FlobId, hash: u64) -> Option<MutexState> {
        let mutex = self.mutex(id)?;
        Some(MutexState { hash, flags: mutex.flags, locked: u32::from(mutex.locked) })
    }

    /// Sets state; a mutex that is unlocked now goes to its first waiter.
    pub(crate) fn set_mutex_state(&mut self, id: FlobId, state: MutexState) -> Status {
        if state.flags != 0 || state.locked > 1 {
            return Status::InvalidState;
        }
        if let Some(mutex) = self.mutex_mut(id) {
            mutex.locked = state.locked == 1;
            if !mutex.locked {
                mutex.owner = None;
            }
        }
        Status::Success
    }
}

fn take(mutex: &mut Mutex, owner: ThreadId) {
    mutex.locked = true;
    mutex.owner = Some(owner.into());
}
