//! The end of a child that cannot be rolled back (any more), and the log.

use alloc::format;

use flob_abi::ExceptionCode;
use flob_runtime::{
    service::{log, parent},
    start,
};

use super::state::Death;

/// Added to the exception's number for the exit code: as the session does for a child of its own.
const DIED: i32 = 128;

/// A line for the log.
pub fn say(line: &str) {
    // Without a log there is nobody to tell.
    let _ = log::write(&format!("checkpointer: {line}\n"));
}

/// What the child died of.
pub fn cause(death: &Death) -> &'static str {
    ExceptionCode::from_number(death.message.code).map_or("an unknown exception", ExceptionCode::text)
}

/// The child is dead for good.
pub fn give_up(death: &Death, why: &str) -> ! {
    say(&format!(
        "given up: the child died of {} (thread at {:#x}, address {:#x}): {why}",
        cause(death),
        death.place,
        death.message.address
    ));
    parent::exit(DIED.saturating_add(death.message.code as i32));
    start::forever()
}
