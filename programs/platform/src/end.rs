//! The end of the child, which is the end of the machine.

use flob_runtime::{call, start};

use crate::line;

/// Status of a child that an exception ended.
pub const DIED: u8 = 125;

/// Ends the machine with this status, once the host has got everything that was sent to it.
pub fn end_machine(status: u8) -> ! {
    line::drain();
    call::machine_exit(status);
    // A real machine cannot be ended so; it stands still.
    start::forever()
}
