//! The serial line: bytes out of a queue, bytes in to the frame decoder, driven by the device's interrupt. Nothing
//! here ever waits for the host but those who send: it may be slow, stop reading, or not be there.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use flob_link::frame::{self, Decoder, MAX_ENCODED, TooLong};
use flob_runtime::sync::{Condition, Lock};
use flob_runtime::thread::Builder;
use flob_runtime::{call, eprintln, flob};

use crate::channels;
use crate::uart::{self, Cause};

/// Bytes that may wait to be sent; who sends more waits.
const CAPACITY: usize = 8 * MAX_ENCODED;
/// Bytes received or sent before the other direction has its turn.
const BURST: usize = 256;
/// How often, and for how many nanoseconds each, the end of the machine waits for the last bytes to leave.
const DRAIN: (u32, u64) = (200, 5_000_000);

static DRIVER: flob::Thread = flob::Thread::new();
/// Bytes to be sent. Who holds it may use the transmitter.
static OUT: Lock<VecDeque<u8>> = Lock::new(VecDeque::new());
/// Signalled when [`OUT`] has got shorter.
static ROOM: Condition = Condition::new();

/// Sets the device up and starts its driver.
pub fn start() -> Result<(), String> {
    OUT.lock().reserve(CAPACITY);
    uart::start();
    let driver = Builder::new().flob(&DRIVER).spawn(driver);
    driver.map_err(|status| format!("no thread for the serial line: {}", status.text()))?.detach();
    Ok(())
}

/// Queues a frame, as soon as there is room.
pub fn send(channel: u8, payload: &[u8]) -> Result<(), TooLong> {
    let mut encoded = Vec::with_capacity(MAX_ENCODED);
    frame::encode(channel, payload, &mut encoded)?;
    let mut out = ROOM.wait_until(OUT.lock(), |out| out.len() + encoded.len() <= CAPACITY);
    out.extend(encoded);
    // Wakes the driver, at once if the transmitter is empty.
    uart::ask_for_interrupts(true);
    Ok(())
}

/// Waits until everything has been sent; not for long, for the host may have gone.
pub fn drain() {
    let (rounds, nanoseconds) = DRAIN;
    for _ in 0..rounds {
        if OUT.lock().is_empty() {
            return;
        }
        let now = call::timer_wait(0).unwrap_or(0);
        let _ = call::timer_wait(now.saturating_add(nanoseconds));
    }
}

/// The driver: does what the device asks for, until it asks for nothing, then waits for it.
fn driver() {
    let mut decoder = Decoder::new();
    let mut dropped = 0;
    loop {
        match uart::cause() {
            Some(Cause::Received(promised)) => receive(promised, &mut decoder, &mut dropped),
            Some(Cause::TransmitterEmpty) => transmit(),
            Some(Cause::Other) => {}
            None => {
                if let Err(status) = call::interrupt_wait(uart::INTERRUPT) {
                    eprintln!("platform: the serial line's interrupt: {}", status.text());
                }
            }
        }
    }
}

/// Takes up to a burst of bytes from the device; whole frames go to their channels.
fn receive(promised: usize, decoder: &mut Decoder, dropped: &mut u64) {
    uart::receive(promised, BURST, |byte| {
        let garbled_before = decoder.garbled();
        let delivered = decoder.push(byte).map(|frame| channels::deliver(frame.channel, frame.payload));
        if delivered == Some(false) || decoder.garbled() > garbled_before {
            *dropped += 1;
            eprintln!("platform: a frame from the host was dropped ({dropped} so far)");
        }
    });
}

/// Gives up to a burst of bytes to the device.
fn transmit() {
    let mut out = OUT.lock();
    let mut count = 0;
    while count < BURST && !out.is_empty() && uart::can_send() {
        let batch = out.len().min(uart::TRANSMIT_FIFO);
        out.drain(..batch).for_each(uart::send);
        count += batch;
    }
    if out.is_empty() {
        uart::ask_for_interrupts(false);
    }
    if count > 0 {
        ROOM.broadcast();
    }
}
