//! Calls that neither wait nor wake.

use flob_runtime::abi::{Call, Status};
use flob_runtime::flob::Mutex;

use crate::report::row;
use crate::timed::Block;
use crate::world::leak;

/// The rows.
pub fn measure() -> Result<(), Status> {
    row("null", || Ok(Block::call(Call::Null, [0; 4]).time()))?;
    let mutex = leak(Mutex::new()).at();
    mutex.create()?;
    row("mutex-lock", || {
        let time = Block::call(Call::MutexLock, [mutex.address(), 0, 0, 0]).time();
        mutex.unlock().map(|()| time)
    })?;
    row("mutex-unlock", || {
        mutex.lock()?;
        Ok(Block::call(Call::MutexUnlock, [mutex.address(), 0, 0, 0]).time())
    })
}
