//! The virtio serial port as the line. What is sent goes to the device from where it lies; who sends waits until the
//! device has taken it, and the device takes it at once unless the host reads slowly.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::iter;

use flob_runtime::sync::{Condition, Lock};
use flob_runtime::thread::Builder;
use flob_runtime::{call, eprintln};
use platform_devices::pci;
use platform_devices::serial_port::{Controls, IDENTITY, News, Queue, Registers, SerialPort};
use platform_devices::virtqueue::{Chain, Piece, Virtqueue};

use super::{Arrivals, Device};
use crate::dma::{self, Block};
use crate::io::Machine;
use crate::lent::Lent;

/// Buffers for what comes from the host, and the size of each. QEMU reads no more than this at once and gives each piece a buffer of
/// its own, and an interrupt: it runs ahead only as far as there are buffers, and while it does one interrupt serves for many.
const BUFFERS: (usize, usize) = (64, 4096);

/// For how many nanoseconds an answer is expected at once, and how often it is looked for before the clock is. An interrupt, two changes
/// of threads and the host's waking the emulator for it take a tenth of that.
const BRIEFLY: u64 = 300_000;
const LOOKS: u32 = 64;

/// Pieces that are offered at once: the queue has room for twice as many.
const MOST_PIECES: usize = 64;

/// The port, for those who send.
struct Virtio {
    registers: Registers<Machine>,
    /// Held from the first piece of a message to the last.
    turn: Lock<()>,
    transmit: Lock<Virtqueue<Block>>,
    receive: Lock<Receive>,
    /// Signalled when the device has interrupted.
    taken: Condition,
}

/// What comes from the host, for who looks.
struct Receive {
    registers: Registers<Machine>,
    queue: Virtqueue<Block>,
    buffers: Vec<(Chain, Block)>,
    arrivals: Arrivals,
}

/// What the driver's thread has for itself.
struct Driver {
    port: &'static Virtio,
    interrupt: u8,
    controls: Controls<Machine, Block>,
}

/// Finds the device and starts it, or says why not.
pub fn start() -> Result<&'static dyn Device, String> {
    let (vendor, kind) = IDENTITY;
    let device = pci::find(&Machine, vendor, kind).ok_or("there is no virtio serial port")?;
    let device = device.map_err(|reason| format!("the virtio serial port is unusable: {}", reason.text()))?;
    let started = SerialPort::start(Machine, device, Block::take);
    let started = started.map_err(|reason| format!("the virtio serial port failed: {}", reason.text()))?;
    let SerialPort { registers, controls, receive, mut transmit } = started;
    transmit.ask_for_interrupts(false);
    let mut receive = Receive { registers, queue: receive, buffers: Vec::new(), arrivals: Arrivals::new() };
    let (count, size) = BUFFERS;
    let blocks: Option<Vec<Block>> = (0..count).map(|_| Block::take(size)).collect();
    for block in blocks.ok_or("there is no memory for the virtio serial port's buffers")? {
        receive.offer(block);
    }
    registers.notify(Queue::Receive);
    let port: &'static Virtio = Box::leak(Box::new(Virtio {
        registers,
        turn: Lock::new(()),
        transmit: Lock::new(transmit),
        receive: Lock::new(receive),
        taken: Condition::new(),
    }));
    let driver = Driver { port, interrupt: device.interrupt, controls };
    let thread = Builder::new().spawn(move || driver.run());
    thread.map_err(|status| format!("no thread for the virtio serial port: {}", status.text()))?.detach();
    Ok(port)
}

impl Device for Virtio {
    fn send(&self, frame: &[u8], lent: &[Lent]) {
        let parts = lent.iter().map(|lent| (lent.address(), lent.size()));
        let frame = (frame.as_ptr().expose_provenance() as u64, frame.len());
        let pieces: Vec<Piece> = iter::once(frame)
            .chain(parts)
            .filter_map(|(address, size)| dma::to_be_read(address, size))
            .collect();
        // Whoever comes next waits for its turn.
        let _turn = self.turn.lock();
        for pieces in pieces.chunks(MOST_PIECES) {
            self.send_chain(pieces);
        }
    }

    fn await_briefly(&self) {
        let mut receive = self.receive.lock();
        receive.queue.ask_for_interrupts(false);
        let end = now().saturating_add(BRIEFLY);
        while !(0..LOOKS).any(|_| receive.take()) && now() < end {}
        receive.queue.ask_for_interrupts(true);
        // What came before the device knew that.
        receive.take();
    }

    fn is_idle(&self) -> bool {
        is_taken(&mut self.transmit.lock())
    }

    fn is_lossless(&self) -> bool {
        true
    }
}

impl Virtio {
    /// Sends what one chain has room for. Nothing else is under way.
    fn send_chain(&self, pieces: &[Piece]) {
        let mut transmit = self.transmit.lock();
        if transmit.offer(pieces).is_none() {
            return;
        }
        if transmit.wants_notice() {
            self.registers.notify(Queue::Transmit);
        }
        while !is_taken(&mut transmit) {
            transmit.ask_for_interrupts(true);
            if is_taken(&mut transmit) {
                break;
            }
            transmit = self.taken.wait(transmit);
        }
        transmit.ask_for_interrupts(false);
    }
}

/// Nanoseconds since boot.
fn now() -> u64 {
    call::timer_wait(0).unwrap_or(u64::MAX)
}

/// Whether the device has done with all that was offered.
fn is_taken(transmit: &mut Virtqueue<Block>) -> bool {
    while transmit.take().is_some() {}
    !transmit.is_busy()
}

impl Driver {
    /// Does what there is to do, then waits for the device. An interrupt is asked after before the queues are looked at:
    /// so what the device does behind that look interrupts again.
    fn run(mut self) {
        loop {
            let was_called = self.port.registers.interrupts();
            let received = self.port.receive.lock().take();
            match self.controls.attend() {
                Some(News::Removed) => eprintln!("platform: the virtio serial port was removed"),
                Some(News::Opened) | None => {}
            }
            if was_called {
                // Under the lock, so that nobody is between his look and his wait.
                let transmit = self.port.transmit.lock();
                self.port.taken.broadcast();
                drop(transmit);
            } else if !received && let Err(status) = call::interrupt_wait(self.interrupt) {
                eprintln!("platform: the virtio serial port's interrupt: {}", status.text());
            }
        }
    }
}

impl Receive {
    fn offer(&mut self, block: Block) {
        let chain = block.to_be_written().and_then(|piece| self.queue.offer(&[piece]));
        if let Some(chain) = chain {
            self.buffers.push((chain, block));
        }
    }

    /// Takes what has come from the host; whether something has. A device that has run out of buffers stands until it is notified:
    /// then nearly all of them are taken here in one go.
    fn take(&mut self) -> bool {
        let mut taken = 0;
        while let Some(used) = self.queue.take() {
            let Some(index) = self.buffers.iter().position(|(chain, _)| *chain == used.chain) else {
                continue;
            };
            let (_, block) = self.buffers.swap_remove(index);
            self.arrivals.take(block.written(used.bytes));
            self.offer(block);
            taken += 1;
        }
        if taken >= BUFFERS.0 / 2 {
            self.registers.notify(Queue::Receive);
        }
        taken > 0
    }
}
