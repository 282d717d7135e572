//! Condition variables, the bare flobs.

use flob_abi::{Call, ConditionState, Status};

use super::{FlobAt, Mutex, Referable, storage};
use crate::call;

storage! {
    /// Memory for a condition variable flob.
    Condition, ConditionState, 512
}
impl Referable for Condition {}

impl FlobAt<Condition> {
    /// `condition_wait`: releases `mutex`, sleeps until signalled, locks again.
    pub fn wait(self, mutex: FlobAt<Mutex>) -> Result<(), Status> {
        call::run(Call::ConditionWait, self.address(), mutex.address())
    }

    /// `condition_signal`: the first waiter goes on.
    pub fn signal(self) -> Result<(), Status> {
        call::run(Call::ConditionSignal, self.address(), 0)
    }

    /// `condition_broadcast`: all waiters go on.
    pub fn broadcast(self) -> Result<(), Status> {
        call::run(Call::ConditionBroadcast, self.address(), 0)
    }
}
