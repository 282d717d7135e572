//! The 16550 on COM1: its registers, and nothing about what the bytes mean. Source: National Semiconductor, PC16550D data sheet.

use platform_devices::Ports;

use crate::io::Machine;

/// First port of COM1.
const BASE: u16 = 0x3f8;
/// Its interrupt line.
pub const INTERRUPT: u8 = 4;
/// Bytes that the transmitter takes once it says that it is empty.
pub const TRANSMIT_FIFO: usize = 16;
/// Bytes that are there when the receiver says so.
const RECEIVE_BATCH: usize = 14;

/// The registers, as offsets from [`BASE`].
#[derive(Clone, Copy)]
enum Register {
    /// Receiver buffer, transmitter holding; the low byte of the divisor while the latch is open.
    Data = 0,
    /// Interrupt enable; the high byte of the divisor while the latch is open.
    InterruptEnable = 1,
    /// Reading: interrupt identification. Writing: FIFO control.
    Fifo = 2,
    LineControl = 3,
    ModemControl = 4,
    LineStatus = 5,
    ModemStatus = 6,
    /// Keeps what is written to it.
    Scratch = 7,
}

/// Why the device interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Bytes have come: at least so many.
    Received(usize),
    /// The transmitter is empty.
    TransmitterEmpty,
    /// Something about the line that is of no interest.
    Other,
}

/// Divisor latch access.
const LATCH: u8 = 0x80;
/// Eight bits, no parity, one stop bit.
const FORMAT: u8 = 0x03;
/// FIFOs on and cleared; an interrupt when 14 bytes are there (or the line is silent).
const FIFO_ON: u8 = 0xc7;
/// DTR, RTS, and OUT2, which lets the interrupt out.
const MODEM: u8 = 0x0b;
/// Identification of an interrupt, and its values.
const CAUSE: u8 = 0x0f;
const NO_CAUSE: u8 = 0x01;
const CAUSE_EMPTY: u8 = 0x02;
const CAUSE_RECEIVED: u8 = 0x04;
/// Fewer bytes than a batch, and no further ones for a while.
const CAUSE_SILENT: u8 = 0x0c;
const DATA_READY: u8 = 0x01;
const TRANSMITTER_EMPTY: u8 = 0x20;
const ON_RECEIVE: u8 = 0x01;
const ON_TRANSMITTER_EMPTY: u8 = 0x02;

/// Sets the device up: 115200 baud, an interrupt for each received batch.
pub fn start() {
    write(Register::InterruptEnable, 0);
    write(Register::LineControl, LATCH);
    write(Register::Data, 1);
    write(Register::InterruptEnable, 0);
    write(Register::LineControl, FORMAT);
    write(Register::Fifo, FIFO_ON);
    write(Register::ModemControl, MODEM);
    ask_for_interrupts(false);
}

/// Why the device interrupts; asking withdraws it for an empty transmitter. `None`: it does not, so that its line can
/// rise again. (An interrupt line whose rise was missed never wakes anybody.)
pub fn cause() -> Option<Cause> {
    match read(Register::Fifo) & CAUSE {
        NO_CAUSE => None,
        CAUSE_RECEIVED => Some(Cause::Received(RECEIVE_BATCH)),
        CAUSE_SILENT => Some(Cause::Received(1)),
        CAUSE_EMPTY => Some(Cause::TransmitterEmpty),
        _ => {
            read(Register::LineStatus);
            read(Register::ModemStatus);
            Some(Cause::Other)
        }
    }
}

/// Hands the bytes that came to `take`, until there are no more or `most` have been taken. The `promised` ones are
/// known to be there; each of the others is asked for, which costs as much as taking it.
pub fn receive(promised: usize, most: usize, mut take: impl FnMut(u8)) {
    (0..promised).for_each(|_| take(read(Register::Data)));
    let mut count = promised;
    while count < most && read(Register::LineStatus) & DATA_READY != 0 {
        take(read(Register::Data));
        count += 1;
    }
}

/// Whether [`TRANSMIT_FIFO`] bytes may be sent. (Bytes that are sent without asking are lost.)
pub fn can_send() -> bool {
    read(Register::LineStatus) & TRANSMITTER_EMPTY != 0
}

/// Sends a byte.
pub fn send(byte: u8) {
    write(Register::Data, byte);
}

/// Receiving always interrupts; an empty transmitter does if `on_empty`, also when it is empty already.
pub fn ask_for_interrupts(on_empty: bool) {
    write(Register::InterruptEnable, if on_empty { ON_RECEIVE | ON_TRANSMITTER_EMPTY } else { ON_RECEIVE });
}

/// Whether there is such a device.
pub fn is_present() -> bool {
    [0x5a, 0xa5].into_iter().all(|value| {
        write(Register::Scratch, value);
        read(Register::Scratch) == value
    })
}

fn read(register: Register) -> u8 {
    Machine.in8(BASE + register as u16)
}

fn write(register: Register, value: u8) {
    Machine.out8(BASE + register as u16, value);
}
