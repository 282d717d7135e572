//! Locks of the runtime, which make their flobs when they are first used.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use flob_program_shared::expect;
use flob_runtime::abi::state::group;
use flob_runtime::flob::Links;
use flob_runtime::service::clock;
use flob_runtime::sync::Lock;
use flob_runtime::thread;

use crate::Outcome;

/// A lock that may be in the making.
static SHOWN: Lock<Option<Arc<Lock<u64>>>> = Lock::new(None);
static STOP: AtomicBool = AtomicBool::new(false);

/// Uses one lock after the other for the first time, and shows each before that.
fn make() {
    while !STOP.load(Ordering::Relaxed) {
        let lock = Arc::new(Lock::new(0));
        *SHOWN.lock() = Some(Arc::clone(&lock));
        *lock.lock() += 1;
    }
}

/// A thread that wants a lock which a thread of lower priority is just making gets it.
pub fn in_the_making() -> Outcome {
    /// Longer and longer: where everything is slow, the maker gets its turn too.
    const SLEEPS: core::ops::Range<u64> = 1..30;
    STOP.store(false, Ordering::Relaxed);
    let maker = thread::spawn(make)?;
    let mut lower = maker.flob().head(&Links::NONE)?;
    // Far below: the ceiling of the space may make priorities that are near each other the same.
    lower.priority = 0;
    maker.flob().set_head(&lower, &Links::NONE, group::SCHEDULING)?;
    maker.flob().resume(false)?;
    for milliseconds in SLEEPS {
        clock::sleep(Duration::from_millis(milliseconds))?;
        let shown = SHOWN.lock().clone();
        if let Some(lock) = shown {
            let uses = *lock.lock();
            expect("uses", u64::from(uses <= 1), 1)?;
        }
    }
    STOP.store(true, Ordering::Relaxed);
    maker.join()?;
    *SHOWN.lock() = None;
    Ok(())
}
