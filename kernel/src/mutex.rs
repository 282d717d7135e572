//! Mutexes: lock, unlock, hand over. State and link: locked, owner.

use flob_abi::{FlobKind, Misuse, MutexState, Protection, Status};

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::outcome::{Args, Done, Outcome, SUCCESS, Trap, status};
use crate::record::{FlobId, Mutex, Thread, ThreadId};

impl<M: Machine> Kernel<M> {
    /// `mutex_lock`.
    pub(crate) fn mutex_lock(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let space = self.own_space(thread)?;
        let id = self.find(space, args.rdi, FlobKind::Mutex, Protection::WRITE)?;
        let Some(mutex) = self.mutex_mut(id) else { return Trap::misuse(Misuse::WrongKind, args.rdi) };
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
        let space = self.own_space(thread)?;
        let id = self.find(space, args.rdi, FlobKind::Mutex, Protection::WRITE)?;
        let Some(mutex) = self.mutex_mut(id) else { return Trap::misuse(Misuse::WrongKind, args.rdi) };
        if mutex.locked {
            return status(Status::MutexHeld);
        }
        take(mutex, thread);
        SUCCESS
    }

    /// `mutex_unlock`.
    pub(crate) fn mutex_unlock(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let space = self.own_space(thread)?;
        let id = self.owned_mutex(space, thread, args.rdi)?;
        self.release(id);
        SUCCESS
    }

    /// The mutex at this address, which must be held by the thread.
    pub(crate) fn owned_mutex(
        &mut self,
        space: FlobId,
        thread: ThreadId,
        address: u64,
    ) -> Result<FlobId, Trap> {
        let id = self.find(space, address, FlobKind::Mutex, Protection::WRITE)?;
        match self.mutex(id) {
            Some(mutex) if !mutex.locked => Trap::misuse(Misuse::MutexNotLocked, address),
            Some(mutex) if mutex.owner == Some(thread.into()) => Ok(id),
            _ => Trap::misuse(Misuse::MutexNotOwner, address),
        }
    }

    /// Unlocks it, and gives it to the first waiter.
    pub(crate) fn release(&mut self, id: FlobId) {
        if let Some(mutex) = self.mutex_mut(id) {
            mutex.locked = false;
            mutex.owner = None;
        }
        self.hand_over(id);
    }

    /// An unlocked mutex goes to the first waiter, stopped or not.
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
