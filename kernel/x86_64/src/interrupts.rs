//! The two 8259 interrupt controllers: sixteen lines at vectors 32 to 47, all masked but the tick.

use crate::cpu;

/// Vector of line 0.
pub const FIRST_VECTOR: u64 = 32;
/// Line of the interval timer; the kernel's own.
pub const TICK: u8 = 0;
/// Line of the first controller at which the second one hangs.
const CASCADE: u8 = 2;
const LINES: u8 = 16;

const COMMAND: [u16; 2] = [0x20, 0xa0];
const DATA: [u16; 2] = [0x21, 0xa1];
const END_OF_INTERRUPT: u8 = 0x20;
const READ_IN_SERVICE: u8 = 0x0b;

/// Which lines are masked.
pub struct Lines {
    masked: u16,
}

impl Lines {
    /// Sets both controllers up.
    pub fn start() -> Self {
        let wiring = [1 << CASCADE, CASCADE];
        for which in [0_usize, 1] {
            cpu::out8(COMMAND[which], 0x11);
            cpu::out8(DATA[which], FIRST_VECTOR as u8 + 8 * which as u8);
            cpu::out8(DATA[which], wiring[which]);
            cpu::out8(DATA[which], 0x01);
        }
        let mut lines = Self { masked: 0 };
        lines.write(!(1 << TICK | 1 << CASCADE));
        lines
    }

    /// Keeps a line from firing.
    pub fn mask(&mut self, line: u8) {
        if is_device(line) {
            self.write(self.masked | 1 << line);
        }
    }

    /// Lets a line fire.
    pub fn unmask(&mut self, line: u8) {
        if is_device(line) {
            self.write(self.masked & !(1 << line));
        }
    }

    /// Takes an interrupt from the controllers; a device's line is masked by that. False if there was none: lines 7
    /// and 15 fire also when a request goes away before it is taken.
    pub fn take(&mut self, line: u8) -> bool {
        let real = line % 8 != 7 || in_service(usize::from(line / 8)) & 0x80 != 0;
        if real {
            self.mask(line);
        }
        if line >= 8 && real {
            cpu::out8(COMMAND[1], END_OF_INTERRUPT);
        }
        if line >= 8 || real {
            cpu::out8(COMMAND[0], END_OF_INTERRUPT);
        }
        real
    }

    fn write(&mut self, masked: u16) {
        let (old, new) = (self.masked.to_le_bytes(), masked.to_le_bytes());
        for which in [0_usize, 1] {
            if old[which] != new[which] {
                cpu::out8(DATA[which], new[which]);
            }
        }
        self.masked = masked;
    }
}

fn is_device(line: u8) -> bool {
    line < LINES && line != TICK && line != CASCADE
}

fn in_service(which: usize) -> u8 {
    cpu::out8(COMMAND[which], READ_IN_SERVICE);
    cpu::in8(COMMAND[which])
}
