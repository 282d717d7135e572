//! Mutexes, the bare flobs; [`crate::sync::Lock`] guards data with one.

use flob_abi::{Call, MutexState, Status};

use super::{FlobAt, Referable, storage};
use crate::call;

storage! {
    /// Memory for a mutex flob. Link: the thread that holds it.
    Mutex, MutexState, 512
}
impl Referable for Mutex {}

impl FlobAt<Mutex> {
    /// `mutex_lock`.
    pub fn lock(self) -> Result<(), Status> {
        call::run(Call::MutexLock, self.address(), 0)
    }

    /// `mutex_trylock`: `MutexHeld` if somebody holds it.
    pub fn try_lock(self) -> Result<(), Status> {
        call::run(Call::MutexTryLock, self.address(), 0)
    }

    /// `mutex_unlock`.
    pub fn unlock(self) -> Result<(), Status> {
        call::run(Call::MutexUnlock, self.address(), 0)
    }
}
