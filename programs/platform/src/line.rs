//! The line to the host: a stream of bytes either way, carried by whichever device there is. Above it nobody knows which.
//!
//! The virtio serial port is taken if the machine has one; else, with a word on the console, the 16550. Nothing here ever
//! waits for the host but those who send: it may be slow, stop reading, or not be there.

mod serial;
mod virtio;

use alloc::string::String;
use alloc::vec::Vec;

use flob_link::frame::{self, Decoder, MAX_BULK, MAX_ENCODED, TooLong};
use flob_runtime::sync::Once;
use flob_runtime::{call, eprintln};
use platform_devices::outward::Outward;

use crate::lent::Lent;
use crate::{channels, resident};

/// How often, and for how many nanoseconds each, the end of the machine waits for the last bytes to leave.
const DRAIN: (u32, u64) = (200, 5_000_000);

/// A device that carries the line.
pub trait Device: Send + Sync {
    /// Sends this frame and, with nothing between them, what is lent; waits as long as there is no room.
    fn send(&self, frame: &[u8], lent: &[Lent]);

    /// Waits a short while for something to come, and takes it in: whoever expects an answer at once need not be interrupted by it. Where
    /// that would take as long, it does nothing.
    fn await_briefly(&self) {}

    /// Whether all that was sent has left.
    fn is_idle(&self) -> bool;

    /// Whether no byte is ever lost on it.
    fn is_lossless(&self) -> bool;
}

/// What the line carries with one message.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// No byte is ever lost, so bulk goes raw.
    pub is_lossless: bool,
    /// Bytes of bulk to the host.
    pub to_host: usize,
    /// Bytes of bulk to the guest.
    pub to_guest: usize,
}

const PAGE: usize = flob_runtime::abi::PAGE_SIZE as usize;
/// Most pieces of bulk: a page each, of the most that is sent at once.
const MOST_PIECES: usize = MAX_BULK / PAGE;
/// Of a line that loses nothing, to who asks a service for it: bulk and message have to fit into one reply.
const WIDE: Capacity = Capacity { is_lossless: true, to_host: MAX_BULK, to_guest: 14 * PAGE };
/// The same to who is here: a few of these wait at once, in the platform's own memory.
const WIDE_INSIDE: Capacity = Capacity { to_guest: 64 * PAGE, ..WIDE };
/// Of a line that may lose some: bulk goes inside a frame.
const NARROW: Capacity = Capacity { is_lossless: false, to_host: PAGE, to_guest: PAGE };

/// The device that was chosen; none before [`start`].
static DEVICE: Once<&'static dyn Device> = Once::new();

fn device() -> Option<&'static dyn Device> {
    DEVICE.get().copied()
}

/// Chooses the device and starts it.
pub fn start() -> Result<(), String> {
    let device: &'static dyn Device = match virtio::start() {
        Ok(device) => device,
        Err(reason) => {
            eprintln!("platform: {reason}: the link is the 16550");
            serial::start()?
        }
    };
    DEVICE.set(device);
    Ok(())
}

/// Sends a frame, as soon as there is room.
pub fn send(channel: u8, payload: &[u8]) -> Result<(), TooLong> {
    let mut encoded = Vec::with_capacity(MAX_ENCODED);
    frame::encode(channel, payload, &mut encoded)?;
    if let Some(device) = device() {
        device.send(&encoded, &[]);
    }
    Ok(())
}

/// Takes in what comes within a short while, if something does.
pub fn await_briefly() {
    if let Some(device) = device() {
        device.await_briefly();
    }
}

/// What it carries.
pub fn capacity() -> Capacity {
    match device() {
        Some(device) if device.is_lossless() && resident::is_here() => WIDE_INSIDE,
        Some(device) if device.is_lossless() => WIDE,
        _ => NARROW,
    }
}

/// Sends a frame with bulk that has this sum, as soon as there is room.
pub fn send_bulk(channel: u8, message: &[u8], bulk: &[Lent], sum: u64) -> Result<(), TooLong> {
    let Some(device) = device() else { return Ok(()) };
    let size = bulk.iter().map(Lent::size).sum();
    if size > capacity().to_host || bulk.len() > MOST_PIECES {
        return Err(TooLong);
    }
    match Outward::new(device.is_lossless(), channel, message, (size, || Lent::copied(bulk)), sum)? {
        Outward::Head(head) => device.send(&head, bulk),
        Outward::Whole(frame) => device.send(&frame, &[]),
        Outward::Nothing => {}
    }
    Ok(())
}

/// Waits until everything has been sent; not for long, for the host may have gone.
pub fn drain() {
    let (rounds, nanoseconds) = DRAIN;
    for _ in 0..rounds {
        if device().is_none_or(Device::is_idle) {
            return;
        }
        let now = call::timer_wait(0).unwrap_or(0);
        let _ = call::timer_wait(now.saturating_add(nanoseconds));
    }
}

/// Where the bytes from the host go: whole frames to their channels.
struct Arrivals {
    decoder: Decoder,
    dropped: u64,
}

impl Arrivals {
    const fn new() -> Self {
        Self { decoder: Decoder::new(), dropped: 0 }
    }

    fn take(&mut self, bytes: &[u8]) {
        let garbled_before = self.decoder.garbled();
        let mut refused = 0;
        self.decoder.feed(bytes, |frame| {
            refused += u64::from(!channels::deliver(frame.channel, frame.payload, frame.bulk));
        });
        let now = refused + (self.decoder.garbled() - garbled_before);
        if now > 0 {
            self.dropped += now;
            eprintln!("platform: a frame from the host was dropped ({} so far)", self.dropped);
        }
    }
}
