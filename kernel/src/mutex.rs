//! Mutexes: lock, unlock, hand over. State and link: locked, owner.

use flob_abi::{FlobKind, Misuse, MutexState, Protection, Status};

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::outcome::{Args, Done, Outcome, SUCCESS, Trap, status};
use crate::record::{Body, FlobId, Mutex, Object, Thread, ThreadId, Waiters};
use crate::state::NewLinks;

impl Mutex {
    pub(crate) fn state(&self, hash: u64) -> MutexState {
        MutexState { hash, flags: self.flags, locked: u32::from(self.locked) }
    }
}

impl<M: Machine> Kernel<M> {
    /// `mutex_lock`.
    pub(crate) fn mutex_lock(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let (index, object) = self.find_at_once(args.rdi, FlobKind::Mutex)?;
        let (mutex, _) = mutex_of(object, args.rdi)?;
        if !mutex.locked {
            take(mutex, thread);
            return SUCCESS;
        }
        if mutex.owner == Some(thread) {
            return Trap::misuse(Misuse::MutexLocked, args.rdi);
        }
        Ok(Done::Wait(self.object_id(index)?))
    }

    /// `mutex_trylock`.
    pub(crate) fn mutex_trylock(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let (_, object) = self.find_at_once(args.rdi, FlobKind::Mutex)?;
        let (mutex, _) = mutex_of(object, args.rdi)?;
        if mutex.locked {
            return status(Status::MutexHeld);
        }
        take(mutex, thread);
        SUCCESS
    }

    /// `mutex_unlock`.
    pub(crate) fn mutex_unlock(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let (index, object) = self.find_at_once(args.rdi, FlobKind::Mutex)?;
        let (mutex, waiters) = mutex_of(object, args.rdi)?;
        unlock(mutex, thread, args.rdi)?;
        if waiters.is_empty() {
            return SUCCESS;
        }
        Ok(Done::HandOver(self.object_id(index)?))
    }

    /// The end of a `mutex_unlock`: the first of those who wait gets the mutex.
    #[inline(never)]
    pub(crate) fn end_unlock(&mut self, thread: ThreadId, mutex: FlobId) -> bool {
        self.hand_over(mutex);
        self.end_current(thread, Status::Success)
    }

    /// Unlocks the mutex at this address, which must be held by the thread, and gives it to the first waiter.
    pub(crate) fn unlock(&mut self, space: FlobId, thread: ThreadId, address: u64) -> Result<(), Trap> {
        let (id, object) = self.find_object(space, address, FlobKind::Mutex, Protection::WRITE)?;
        let (mutex, waiters) = mutex_of(object, address)?;
        unlock(mutex, thread, address)?;
        if !waiters.is_empty() {
            self.hand_over(id);
        }
        Ok(())
    }

    /// An unlocked mutex goes to the first waiter, stopped or not.
    fn hand_over(&mut self, id: FlobId) {
        if let Some(next) = self.find_waiter(id, |_, _, waiter| waiter.stage_fits(FlobKind::Mutex)) {
            self.give(id, next);
        }
    }

    /// A mutex that was found or set unlocked goes to the first waiter that can run. Not to a stopped one: it may be about to
    /// be restored, and the mutex after it. It gets its turn when it is let go.
    pub(crate) fn hand_over_to_running(&mut self, id: FlobId) {
        if self.mutex(id).is_none_or(|mutex| mutex.locked) {
            return;
        }
        let fits = |_: &Self, _, waiter: &Thread| waiter.stage_fits(FlobKind::Mutex) && !waiter.is_stopped();
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

    /// Sets state and link; a mutex that is unlocked now goes to its first waiter.
    pub(crate) fn set_mutex(&mut self, id: FlobId, state: Option<MutexState>, links: NewLinks) -> Status {
        if state.is_some_and(|state| state.flags != 0 || state.locked > 1) {
            return Status::InvalidState;
        }
        if let Some(mutex) = self.mutex_mut(id) {
            if let Some(state) = state {
                mutex.locked = state.locked == 1;
            }
            if let [Some(owner), ..] = links {
                mutex.owner = owner.and_then(FlobId::as_thread);
            }
            // Null owner and unlocked go together, as far as that can be had: an owner that died leaves it locked.
            if !mutex.locked {
                mutex.owner = None;
            }
        }
        self.hand_over_to_running(id);
        Status::Success
    }
}

/// A mutex and those who wait for it.
#[inline(always)]
fn mutex_of(object: &mut Object, address: u64) -> Result<(&mut Mutex, &Waiters), Trap> {
    match object {
        Object { body: Body::Mutex(mutex), waiters, .. } => Ok((mutex, waiters)),
        _ => Trap::misuse(Misuse::WrongKind, address),
    }
}

/// Unlocks a mutex, which must be held by the thread.
#[inline(always)]
fn unlock(mutex: &mut Mutex, thread: ThreadId, address: u64) -> Result<(), Trap> {
    if mutex.owner != Some(thread) {
        let misuse = if mutex.locked { Misuse::MutexNotOwner } else { Misuse::MutexNotLocked };
        return Trap::misuse(misuse, address);
    }
    mutex.locked = false;
    mutex.owner = None;
    Ok(())
}

fn take(mutex: &mut Mutex, owner: ThreadId) {
    mutex.locked = true;
    mutex.owner = Some(owner);
}
