//! The early console (the emulator's debug port) and the way out of the emulator.

use core::fmt;

use crate::cpu;

/// Port of the debug console.
const CONSOLE: u16 = 0xe9;
/// Port of the exit device. The emulator ends with status `2 * value + 1`.
const EXIT: u16 = 0xf4;
/// What a kernel panic tells the exit device: the emulator ends with status 255.
pub const PANIC_STATUS: u8 = 0x7f;

/// The early console as a place to format to.
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write(text.as_bytes());
        Ok(())
    }
}

/// Writes bytes as they are.
pub fn write(bytes: &[u8]) {
    cpu::out8_all(CONSOLE, bytes);
}

/// Ends the emulator; returns where there is no exit device.
pub fn exit(status: u8) {
    cpu::out8(EXIT, status);
}

/// One line on the early console.
macro_rules! line {
    ($($argument:tt)*) => {{
        use core::fmt::Write as _;
        // The console cannot fail.
        let _ = writeln!($crate::console::Console, $($argument)*);
    }};
}
pub(crate) use line;
