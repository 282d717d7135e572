//! Finding a device on the first PCI bus and what its configuration says. Source: PCI Local Bus Specification 3.0,
//! configuration mechanism #1.

use crate::Ports;

const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;
const ENABLE: u32 = 1 << 31;
const DEVICES: u32 = 32;
/// Registers, as offsets in the configuration space.
const IDENTITY: u32 = 0x00;
const COMMAND: u32 = 0x04;
const FIRST_BAR: u32 = 0x10;
const INTERRUPT: u32 = 0x3c;
/// The device answers at its I/O ports, and reads and writes memory by itself.
const IO_AND_BUS_MASTER: u32 = 1 | 1 << 2;
/// A base address register that names I/O ports, and its bits that do not belong to the address.
const BAR_IS_IO: u32 = 1;
const BAR_FLAGS: u32 = 3;

/// A device whose first base address register names I/O ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// The first of its ports.
    pub ports: u16,
    /// Its line at the interrupt controllers; the firmware chose it.
    pub interrupt: u8,
}

/// Why a device that is there cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It has no I/O ports.
    NoPorts,
    /// It has no interrupt line.
    NoInterrupt,
}

impl Unusable {
    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoPorts => "it has no I/O ports",
            Self::NoInterrupt => "it has no interrupt line",
        }
    }
}

/// The first device of this vendor and kind; it is switched on. `None`: there is none.
pub fn find(ports: &impl Ports, vendor: u16, kind: u16) -> Option<Result<Device, Unusable>> {
    let identity = u32::from(kind) << 16 | u32::from(vendor);
    let slot = (0..DEVICES).find(|slot| read(ports, *slot, IDENTITY) == identity)?;
    Some(open(ports, slot))
}

fn open(ports: &impl Ports, slot: u32) -> Result<Device, Unusable> {
    let bar = read(ports, slot, FIRST_BAR);
    let first = u16::try_from(bar & !BAR_FLAGS).ok().filter(|first| bar & BAR_IS_IO != 0 && *first != 0);
    let first = first.ok_or(Unusable::NoPorts)?;
    let [interrupt, ..] = read(ports, slot, INTERRUPT).to_le_bytes();
    if !(1..16).contains(&interrupt) {
        return Err(Unusable::NoInterrupt);
    }
    // The upper half is status, whose bits are cleared by writing them.
    let command = read(ports, slot, COMMAND) & 0xffff;
    write(ports, slot, COMMAND, command | IO_AND_BUS_MASTER);
    Ok(Device { ports: first, interrupt })
}

fn read(ports: &impl Ports, slot: u32, register: u32) -> u32 {
    ports.out32(ADDRESS, ENABLE | slot << 11 | register);
    ports.in32(DATA)
}

fn write(ports: &impl Ports, slot: u32, register: u32, value: u32) {
    ports.out32(ADDRESS, ENABLE | slot << 11 | register);
    ports.out32(DATA, value);
}
