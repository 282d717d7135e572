//! A port of a virtio serial device ("console device" in the standard), through its legacy registers in I/O ports. Source:
//! VIRTIO 1.1, sections 4.1.4.8 (registers), 5.3 (device).
//!
//! Port 0 is the console's; the link is port 1. So the device's control queues are needed: it says which ports there
//! are, and is told that this one is in use. Before that it gives us nothing of what the host sends.

use alloc::vec::Vec;

use crate::virtqueue::{self, Chain, Piece, Used, Virtqueue};
use crate::{Memory, Ports, pci};

/// PCI identity of a transitional virtio serial device.
pub const IDENTITY: (u16, u16) = (0x1af4, 0x1003);
/// The port that is used.
pub const PORT: u32 = 1;

/// Registers, as offsets from the device's first port.
mod register {
    pub const DEVICE_FEATURES: u16 = 0x00;
    pub const DRIVER_FEATURES: u16 = 0x04;
    pub const QUEUE_FRAME: u16 = 0x08;
    pub const QUEUE_LENGTH: u16 = 0x0c;
    pub const QUEUE_SELECT: u16 = 0x0e;
    pub const QUEUE_NOTIFY: u16 = 0x10;
    pub const STATUS: u16 = 0x12;
    pub const INTERRUPT: u16 = 0x13;
}

/// Device status, and what a driver says in which order.
mod status {
    pub const RESET: u8 = 0;
    pub const ACKNOWLEDGE: u8 = 1;
    pub const DRIVER: u8 = 2;
    pub const DRIVER_OK: u8 = 4;
    pub const FAILED: u8 = 128;
}

/// The feature that gives a device more than one port, and control queues.
const MULTIPLE_PORTS: u32 = 1 << 1;

/// Events of the control queues.
mod event {
    pub const DEVICE_READY: u16 = 0;
    pub const PORT_ADD: u16 = 1;
    pub const PORT_REMOVE: u16 = 2;
    pub const PORT_READY: u16 = 3;
    pub const PORT_OPEN: u16 = 6;
}

/// The queues that are used, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
#[repr(u16)]
pub enum Queue {
    ControlIn = 2,
    ControlOut = 3,
    /// Of [`PORT`].
    Receive = 4,
    Transmit = 5,
}

/// Bytes of a control message; a name may follow.
const CONTROL: usize = 8;
/// Bytes of a buffer for a control message.
const CONTROL_ROOM: u32 = 64;
/// Buffers for control messages from the device.
const CONTROL_BUFFERS: u32 = 16;
/// Bytes of memory for control messages: one that goes out, then those that come in.
pub const CONTROL_MEMORY: usize = (CONTROL_ROOM * (CONTROL_BUFFERS + 1)) as usize;

/// Why the device cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It has one port, the console's.
    NoPorts,
    /// One of its queues is missing.
    NoQueue(Queue),
    /// There is no memory for a queue.
    NoMemory,
}

impl Failure {
    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoPorts => "it has no ports besides the console's",
            Self::NoQueue(_) => "it lacks a queue",
            Self::NoMemory => "there is no memory for its queues",
        }
    }
}

/// What the device says, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Our port has been put to use.
    Opened,
    /// Our port is gone.
    Removed,
}

/// A message of the control queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Control {
    port: u32,
    event: u16,
    value: u16,
}

impl Control {
    fn load(memory: &impl Memory, at: usize) -> Self {
        Self { port: memory.load32(at), event: memory.load16(at + 4), value: memory.load16(at + 6) }
    }

    fn store(self, memory: &impl Memory, at: usize) {
        memory.store32(at, self.port);
        memory.store16(at + 4, self.event);
        memory.store16(at + 6, self.value);
    }
}

/// The device's registers. Several hands may have them: after the start, each register has one meaning.
#[derive(Clone, Copy)]
pub struct Registers<P> {
    ports: P,
    first: u16,
}

impl<P: Ports> Registers<P> {
    fn at(&self, register: u16) -> u16 {
        self.first.wrapping_add(register)
    }

    fn set_status(&self, status: u8) {
        self.ports.out8(self.at(register::STATUS), status);
    }

    /// Tells the device that something was offered in this queue.
    pub fn notify(&self, queue: Queue) {
        self.ports.out16(self.at(register::QUEUE_NOTIFY), queue as u16);
    }

    /// Whether the device interrupts; asking ends it.
    pub fn interrupts(&self) -> bool {
        self.ports.in8(self.at(register::INTERRUPT)) & 1 != 0
    }

    fn make_queue<M: Memory>(
        &self,
        queue: Queue,
        memory: &mut impl FnMut(usize) -> Option<M>,
    ) -> Result<Virtqueue<M>, Failure> {
        self.ports.out16(self.at(register::QUEUE_SELECT), queue as u16);
        let length = self.ports.in16(self.at(register::QUEUE_LENGTH));
        if !length.is_power_of_two() {
            return Err(Failure::NoQueue(queue));
        }
        let memory = memory(virtqueue::size(length)).ok_or(Failure::NoMemory)?;
        let frame = u32::try_from(memory.physical() / flob_abi::PAGE_SIZE).map_err(|_| Failure::NoMemory)?;
        self.ports.out32(self.at(register::QUEUE_FRAME), frame);
        Ok(Virtqueue::new(memory, length))
    }
}

/// The device as it was started: its control queues, and the two of our port.
pub struct SerialPort<P, M> {
    /// Its registers.
    pub registers: Registers<P>,
    /// What says which ports there are.
    pub controls: Controls<P, M>,
    /// Of our port: what comes from the host.
    pub receive: Virtqueue<M>,
    /// Of our port: what goes to the host.
    pub transmit: Virtqueue<M>,
}

/// The control queues.
pub struct Controls<P, M> {
    registers: Registers<P>,
    memory: M,
    incoming: Virtqueue<M>,
    outgoing: Virtqueue<M>,
    /// For each chain of `incoming`, where its buffer is.
    buffers: Vec<(Chain, usize)>,
    /// Messages that wait until the device has taken the one before.
    waiting: Vec<Control>,
}

impl<P: Ports + Clone, M: Memory> SerialPort<P, M> {
    /// Starts the device. `memory` gives zeroed memory of at least so many bytes.
    pub fn start(
        ports: P,
        device: pci::Device,
        mut memory: impl FnMut(usize) -> Option<M>,
    ) -> Result<Self, Failure> {
        let registers = Registers { ports, first: device.ports };
        registers.set_status(status::RESET);
        registers.set_status(status::ACKNOWLEDGE);
        registers.set_status(status::ACKNOWLEDGE | status::DRIVER);
        let started = Self::set_up(&registers, &mut memory);
        if started.is_err() {
            registers.set_status(status::FAILED);
        }
        started
    }

    fn set_up(
        registers: &Registers<P>,
        memory: &mut impl FnMut(usize) -> Option<M>,
    ) -> Result<Self, Failure> {
        let features = registers.ports.in32(registers.at(register::DEVICE_FEATURES)) & MULTIPLE_PORTS;
        if features == 0 {
            return Err(Failure::NoPorts);
        }
        registers.ports.out32(registers.at(register::DRIVER_FEATURES), features);
        let incoming = registers.make_queue(Queue::ControlIn, memory)?;
        let outgoing = registers.make_queue(Queue::ControlOut, memory)?;
        let receive = registers.make_queue(Queue::Receive, memory)?;
        let transmit = registers.make_queue(Queue::Transmit, memory)?;
        let memory = memory(CONTROL_MEMORY).ok_or(Failure::NoMemory)?;
        registers.set_status(status::ACKNOWLEDGE | status::DRIVER | status::DRIVER_OK);
        let registers = registers.clone();
        let mut controls = Controls {
            registers: registers.clone(),
            memory,
            incoming,
            outgoing,
            buffers: Vec::new(),
            waiting: Vec::new(),
        };
        controls.begin();
        Ok(Self { registers, controls, receive, transmit })
    }
}

impl<P: Ports, M: Memory> Controls<P, M> {
    fn begin(&mut self) {
        for index in 1..=CONTROL_BUFFERS {
            self.offer((CONTROL_ROOM * index) as usize);
        }
        self.registers.notify(Queue::ControlIn);
        self.say(&[Control { port: 0, event: event::DEVICE_READY, value: 1 }]);
    }

    fn offer(&mut self, at: usize) {
        let physical = self.memory.physical().saturating_add(at as u64);
        let piece = Piece { physical, bytes: CONTROL_ROOM, device_writes: true };
        if let Some(chain) = self.incoming.offer(&[piece]) {
            self.buffers.push((chain, at));
        }
    }

    /// Hears the device out and answers it.
    pub fn attend(&mut self) -> Option<News> {
        let mut news = None;
        while let Some(Used { chain, bytes }) = self.incoming.take() {
            let Some(index) = self.buffers.iter().position(|(known, _)| *known == chain) else { continue };
            let (_, at) = self.buffers.swap_remove(index);
            if bytes as usize >= CONTROL {
                news = self.heard(Control::load(&self.memory, at)).or(news);
            }
            self.offer(at);
            self.registers.notify(Queue::ControlIn);
        }
        self.say(&[]);
        news
    }

    fn heard(&mut self, message: Control) -> Option<News> {
        if message.port != PORT {
            return None;
        }
        match message.event {
            event::PORT_ADD => {
                let answer = |event| Control { port: PORT, event, value: 1 };
                self.say(&[answer(event::PORT_READY), answer(event::PORT_OPEN)]);
                Some(News::Opened)
            }
            event::PORT_REMOVE => Some(News::Removed),
            _ => None,
        }
    }

    /// Says these, as soon as the device has taken what was said before.
    fn say(&mut self, messages: &[Control]) {
        self.waiting.extend_from_slice(messages);
        loop {
            while self.outgoing.take().is_some() {}
            if self.outgoing.is_busy() || self.waiting.is_empty() {
                return;
            }
            self.waiting.remove(0).store(&self.memory, 0);
            let physical = self.memory.physical();
            let piece = Piece { physical, bytes: CONTROL as u32, device_writes: false };
            if self.outgoing.offer(&[piece]).is_none() {
                return;
            }
            self.registers.notify(Queue::ControlOut);
        }
    }
}
