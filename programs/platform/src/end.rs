//! The end of the child, which is the end of the machine.

use flob_runtime::sync::{Condition, Lock};

/// The child's exit status, once it has one.
static STATUS: Lock<Option<u8>> = Lock::new(None);
static ENDED: Condition = Condition::new();

/// Status of a child that an exception ended.
pub const DIED: u8 = 125;

/// Notes that the child has ended; the first word counts.
pub fn note(status: u8) {
    STATUS.lock().get_or_insert(status);
    ENDED.broadcast();
}

/// Waits for it.
pub fn wait() -> u8 {
    let status = ENDED.wait_until(STATUS.lock(), |status| status.is_some());
    status.unwrap_or(DIED)
}
