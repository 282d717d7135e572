//! What the platform knows of its devices, without a machine: the split virtqueue, the virtio serial port over it, and
//! where such a device is found on the PCI bus; and what goes to the host with bulk. The machine itself comes in by two traits, [`Ports`] and [`Memory`], so
//! that all of this runs on the host, against a simulated device.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod outward;
pub mod pci;
pub mod serial_port;
pub mod virtqueue;

#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;

/// The processor's I/O ports. Reading one may change the device behind it.
#[expect(missing_docs, reason = "the names say it")]
pub trait Ports {
    fn in8(&self, port: u16) -> u8;
    fn in16(&self, port: u16) -> u16;
    fn in32(&self, port: u16) -> u32;
    fn out8(&self, port: u16, value: u8);
    fn out16(&self, port: u16, value: u16);
    fn out32(&self, port: u16, value: u32);
}

/// A page-aligned piece of memory, zero at first, that a device reads and writes too. Every access really happens, in the
/// order of the program. Whoever reads or writes beyond its end gets 0 and changes nothing.
#[expect(missing_docs, reason = "the names say it")]
pub trait Memory {
    /// Where the device finds it.
    fn physical(&self) -> u64;
    fn load16(&self, offset: usize) -> u16;
    fn load32(&self, offset: usize) -> u32;
    fn store16(&self, offset: usize, value: u16);
    fn store32(&self, offset: usize, value: u32);
    fn store64(&self, offset: usize, value: u64);
}
