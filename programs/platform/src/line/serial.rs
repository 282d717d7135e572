//! The 16550 as the line: bytes out of a queue and in to the decoder, driven by the device's interrupt.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;

use flob_link::frame::MAX_ENCODED;
use flob_runtime::sync::{Condition, Lock};
use flob_runtime::thread::Builder;
use flob_runtime::{call, eprintln, flob};

use super::{Arrivals, Device};
use crate::lent::Lent;
use crate::uart::{self, Cause};

/// Bytes that may wait to be sent; who sends more waits.
const CAPACITY: usize = 8 * MAX_ENCODED;
/// Bytes received or sent before the other direction has its turn.
const BURST: usize = 256;

static DRIVER: flob::Thread = flob::Thread::new();
/// Bytes to be sent. Who holds it may use the transmitter.
static OUT: Lock<VecDeque<u8>> = Lock::new(VecDeque::new());
/// Signalled when [`OUT`] has got shorter.
static ROOM: Condition = Condition::new();

/// The device.
struct Serial;

impl Device for Serial {
    fn send(&self, frame: &[u8], lent: &[Lent]) {
        let lent = Lent::copied(lent);
        // One that is longer than the queue has it alone.
        let room = CAPACITY.saturating_sub(frame.len() + lent.len());
        let mut out = ROOM.wait_until(OUT.lock(), |out| out.len() <= room);
        out.extend(frame.iter().chain(&lent));
        // Wakes the driver, at once if the transmitter is empty.
        uart::ask_for_interrupts(true);
    }

    fn is_idle(&self) -> bool {
        OUT.lock().is_empty()
    }

    fn is_lossless(&self) -> bool {
        false
    }
}

/// Sets the device up and starts its driver.
pub fn start() -> Result<&'static dyn Device, String> {
    OUT.lock().reserve(CAPACITY);
    if !uart::is_present() {
        eprintln!("platform: there is no 16550 either: no host will be heard");
    }
    uart::start();
    let driver = Builder::new().flob(&DRIVER).spawn(driver);
    driver.map_err(|status| format!("no thread for the serial line: {}", status.text()))?.detach();
    Ok(&Serial)
}

/// The driver: does what the device asks for, until it asks for nothing, then waits for it.
fn driver() {
    let mut arrivals = Arrivals::new();
    loop {
        match uart::cause() {
            Some(Cause::Received(promised)) => {
                uart::receive(promised, BURST, |byte| arrivals.take(&[byte]));
            }
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
