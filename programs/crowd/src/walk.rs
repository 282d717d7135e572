//! A thread that goes over stones, which are mutexes: it locks the next one before it unlocks the one that it comes from. So at any
//! moment one or two of them are locked, by it, and it knows which: an environment that was put together from several moments shows.
//!
//! The stones lie before all other flobs of the crowd, and the walker behind them: so whoever goes through memory meets stones long
//! before him.

use core::sync::atomic::{AtomicBool, Ordering};

use flob_program_shared::{Failure, leak};
use flob_runtime::abi::Status;
use flob_runtime::flob::{Mutex, Thread};
use flob_runtime::thread::{Builder, JoinHandle};

static IS_OVER: AtomicBool = AtomicBool::new(false);

/// The stones.
pub struct Walk(&'static [Mutex; 64]);

impl Walk {
    /// Lays them.
    pub fn prepare() -> Result<Self, Status> {
        let stones: &'static _ = leak([const { Mutex::new() }; 64]);
        stones.iter().try_for_each(|stone| stone.at().create())?;
        Ok(Self(stones))
    }

    /// Lets the walker go.
    pub fn start(self) -> Result<Walker, Status> {
        let Self(stones) = self;
        Builder::new().flob(leak(Thread::new())).spawn(move || walk(stones)).map(Walker)
    }
}

/// Who walks.
pub struct Walker(JoinHandle<Result<(), Status>>);

impl Walker {
    /// He comes to a stand: whether nothing was ever wrong.
    pub fn end(self) -> Result<(), Failure> {
        IS_OVER.store(true, Ordering::Relaxed);
        let Self(walker) = self;
        Ok(walker.join()??)
    }
}

fn walk(stones: &[Mutex]) -> Result<(), Status> {
    let Some(mut at) = stones.last() else { return Ok(()) };
    at.at().lock()?;
    for next in stones.iter().cycle() {
        next.at().try_lock()?;
        at.at().unlock()?;
        at = next;
        if IS_OVER.load(Ordering::Relaxed) {
            break;
        }
    }
    at.at().unlock()
}
