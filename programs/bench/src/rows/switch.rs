//! One call and one switch: a mutex is let go for which a higher thread waits; a thread waits for a mutex.

use core::sync::atomic::{AtomicU32, Ordering};

use flob_runtime::abi::{Call, Status};
use flob_runtime::flob::{FlobAt, Mutex};
use flob_runtime::start;

use crate::report::row;
use crate::timed::{Block, between};
use crate::world::{HIGH, thread};

/// What the high thread has measured: when it began to wait, when it went on.
static BEGIN: AtomicU32 = AtomicU32::new(0);
static END: AtomicU32 = AtomicU32::new(0);
/// Two mutexes, each in turn.
static MUTEXES: [Mutex; 2] = [Mutex::new(), Mutex::new()];

/// Waits for one mutex after the other.
extern "C" fn high(_: u64) -> ! {
    loop {
        for mutex in &MUTEXES {
            let mut wait = Block::call(Call::MutexLock, [mutex.at().address(), 0, 0, 0]);
            // Before the call, for it does not return at once.
            wait.run();
            BEGIN.store(wait.begin, Ordering::Relaxed);
            END.store(wait.end, Ordering::Relaxed);
            let _ = mutex.at().unlock();
        }
    }
}

/// The rows.
pub fn measure() -> Result<(), Status> {
    for mutex in &MUTEXES {
        mutex.at().create()?;
        mutex.at().lock()?;
    }
    thread(start::space(), HIGH, high, 0)?;
    let mut turn = 0_usize;
    // The high thread has the mutex, gives it back, and waits for the other one before this one's call returns.
    let mut once = move || -> Result<(Block, FlobAt<Mutex>), Status> {
        let mutex = MUTEXES.get(turn % 2).map_or(FlobAt::new(0), Mutex::at);
        turn += 1;
        let mut unlock = Block::call(Call::MutexUnlock, [mutex.address(), 0, 0, 0]);
        unlock.run_counted();
        mutex.lock()?;
        Ok((unlock, mutex))
    };
    row("switch-wake", || {
        let (unlock, _) = once()?;
        Ok(between(unlock.begin, END.load(Ordering::Relaxed)))
    })?;
    let mut last = None;
    // The high thread waits for good in the end: nobody unlocks any more.
    row("switch-block", || {
        let (unlock, _) = once()?;
        // The wait that began in this round ends in the next, which then knows when it began.
        let begun = BEGIN.load(Ordering::Relaxed);
        let time = last.map(|end| between(begun, end));
        last = Some(unlock.end);
        Ok(time.unwrap_or(0))
    })
}
