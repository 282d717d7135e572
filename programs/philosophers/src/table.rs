//! The table: forks, and the moment at which all hold one.

use flob_runtime::abi::{MutexState, Status};
use flob_runtime::flob::{FlobAt, Links, Mutex, OwnedReference, Reference};
use flob_runtime::sync::{Condition, Lock};

use crate::options::MAX_PHILOSOPHERS;

/// A mutex for each fork.
static FORKS: [Mutex; MAX_PHILOSOPHERS] = [const { Mutex::new() }; MAX_PHILOSOPHERS];
/// How many philosophers hold their left fork.
static LEFT_FORKS_TAKEN: Lock<usize> = Lock::new(0);
/// Broadcast when all do.
static ALL_LEFT_FORKS_TAKEN: Condition = Condition::new();

/// A fork, by its number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fork(usize);

impl Fork {
    /// The fork to the left of the philosopher with this number.
    pub const fn number(number: usize) -> Self {
        Self(number % MAX_PHILOSOPHERS)
    }

    fn mutex(self) -> FlobAt<Mutex> {
        FORKS.get(self.0).map_or(FlobAt::new(0), Mutex::at)
    }

    /// Puts it on the table, once.
    pub fn lay(self) -> Result<(), Status> {
        self.mutex().create()
    }

    /// Waits for it and takes it.
    pub fn take(self) -> Result<(), Status> {
        self.mutex().lock()
    }

    /// Puts it back.
    pub fn put_back(self) -> Result<(), Status> {
        self.mutex().unlock()
    }

    /// Whether the thread that `holder` refers to holds it, by what the kernel exports of the mutex.
    pub fn is_held_by(self, holder: FlobAt<Reference>) -> Result<bool, Status> {
        let owner = OwnedReference::new()?;
        let MutexState { locked, .. } = self.mutex().get_state(&Links::of(&[owner.at()]))?;
        Ok(locked != 0 && owner.at().same_as(holder))
    }
}

/// A barrier: returns when as many philosophers have come here.
pub fn wait_until_all_have_their_left_fork(philosophers: usize) {
    let mut taken = LEFT_FORKS_TAKEN.lock();
    *taken += 1;
    if *taken >= philosophers {
        ALL_LEFT_FORKS_TAKEN.broadcast();
    }
    drop(ALL_LEFT_FORKS_TAKEN.wait_until(taken, |taken| *taken >= philosophers));
}
