//! The processor's I/O ports.

use core::arch::asm;

use platform_devices::Ports;

/// All ports of the machine: the first space may use them.
#[derive(Clone, Copy)]
pub struct Machine;

macro_rules! port {
    ($input:ident, $output:ident, $type:ty, $register:literal, $operand:tt) => {
        fn $input(&self, port: u16) -> $type {
            let value;
            // SAFETY: a device's answer changes no memory but what was offered to it, which nobody uses meanwhile.
            unsafe {
                asm!(concat!("in ", $register, ", dx"), in("dx") port, out($operand) value, options(nostack, preserves_flags))
            };
            value
        }

        fn $output(&self, port: u16, value: $type) {
            // SAFETY: as above; and the compiler has all memory written before, for the device may read it.
            unsafe {
                asm!(concat!("out dx, ", $register), in("dx") port, in($operand) value, options(nostack, preserves_flags))
            };
        }
    };
}

impl Ports for Machine {
    port!(in8, out8, u8, "al", "al");
    port!(in16, out16, u16, "ax", "ax");
    port!(in32, out32, u32, "eax", "eax");
}
