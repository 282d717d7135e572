//! A virtio serial device in memory, with two ports, behind a PCI configuration space: what is sent to port 1 is kept, and
//! what is to come from there goes into the buffers that were offered. It checks what the driver does.

use alloc::rc::Rc;
use alloc::{vec, vec::Vec};
use core::cell::{Cell, RefCell};

use crate::virtqueue::size;
use crate::{Memory, Ports};

/// Where its ports begin.
pub const FIRST: u16 = 0xc000;
pub const LINE: u8 = 11;
const SLOT: u32 = 3;
const LENGTHS: [u16; 6] = [128, 128, 32, 32, 128, 128];

/// The machine's memory: the driver and the device share it.
#[derive(Clone, Default)]
pub struct Ram(Rc<RefCell<Vec<u8>>>);

impl Ram {
    /// A page-aligned block of it.
    pub fn block(&self, bytes: usize) -> Block {
        let mut ram = self.0.borrow_mut();
        let start = ram.len().next_multiple_of(4096).max(4096);
        ram.resize(start + bytes.next_multiple_of(4096), 0);
        Block { ram: self.clone(), start, size: bytes }
    }

    pub fn get(&self, physical: u64, bytes: usize) -> Vec<u8> {
        self.0.borrow()[physical as usize..physical as usize + bytes].to_vec()
    }

    pub fn set(&self, physical: u64, bytes: &[u8]) {
        self.0.borrow_mut()[physical as usize..physical as usize + bytes.len()].copy_from_slice(bytes);
    }

    fn number(&self, physical: u64, bytes: usize) -> u64 {
        self.get(physical, bytes).iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }
}

/// A block of it, as the driver has it.
pub struct Block {
    ram: Ram,
    start: usize,
    size: usize,
}

impl Block {
    fn load(&self, offset: usize, bytes: usize) -> u64 {
        if offset + bytes <= self.size { self.ram.number((self.start + offset) as u64, bytes) } else { 0 }
    }

    fn store(&self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.size, "the driver writes beyond its memory");
        self.ram.set((self.start + offset) as u64, bytes);
    }
}

impl Memory for Block {
    fn physical(&self) -> u64 {
        self.start as u64
    }

    fn load16(&self, offset: usize) -> u16 {
        self.load(offset, 2) as u16
    }

    fn load32(&self, offset: usize) -> u32 {
        self.load(offset, 4) as u32
    }

    fn store16(&self, offset: usize, value: u16) {
        self.store(offset, &value.to_le_bytes());
    }

    fn store32(&self, offset: usize, value: u32) {
        self.store(offset, &value.to_le_bytes());
    }

    fn store64(&self, offset: usize, value: u64) {
        self.store(offset, &value.to_le_bytes());
    }
}

/// The device's side of a queue.
#[derive(Clone, Copy, Default)]
pub struct Ring {
    base: u64,
    length: u16,
    seen: u16,
    used: u16,
}

impl Ring {
    pub fn new(base: u64, length: u16) -> Self {
        Self { base, length, seen: 0, used: 0 }
    }

    /// The next chain that was offered: its head, and address, size and direction of each piece.
    pub fn next(&mut self, ram: &Ram) -> Option<(u16, Vec<(u64, usize, bool)>)> {
        let available = self.base + 16 * u64::from(self.length);
        if self.base == 0 || ram.number(available + 2, 2) as u16 == self.seen {
            return None;
        }
        let place = u64::from(self.seen % self.length);
        self.seen = self.seen.wrapping_add(1);
        let head = ram.number(available + 4 + 2 * place, 2) as u16;
        let (mut pieces, mut descriptor) = (Vec::new(), u64::from(head));
        loop {
            let at = self.base + 16 * descriptor;
            let flags = ram.number(at + 12, 2);
            pieces.push((ram.number(at, 8), ram.number(at + 8, 4) as usize, flags & 2 != 0));
            assert!(pieces.len() <= usize::from(self.length), "a chain that goes round");
            if flags & 1 == 0 {
                return Some((head, pieces));
            }
            descriptor = ram.number(at + 14, 2);
        }
    }

    /// Gives a chain back.
    pub fn give_back(&mut self, ram: &Ram, head: u32, bytes: usize) {
        let used = self.base + size(self.length) as u64
            - (6 + 8 * usize::from(self.length)).next_multiple_of(4096) as u64;
        let entry = used + 4 + 8 * u64::from(self.used % self.length);
        ram.set(entry, &head.to_le_bytes());
        ram.set(entry + 4, &(bytes as u32).to_le_bytes());
        self.used = self.used.wrapping_add(1);
        ram.set(used + 2, &self.used.to_le_bytes());
    }
}

/// The machine: memory and the device.
#[derive(Clone)]
pub struct Machine(Rc<Device>);

struct Device {
    ram: Ram,
    features: u32,
    address: Cell<u32>,
    command: Cell<u32>,
    status: Cell<u8>,
    selected: Cell<u16>,
    interrupt: Cell<bool>,
    rings: RefCell<[Ring; 6]>,
    is_ready: Cell<bool>,
    is_open: Cell<bool>,
    sent: RefCell<Vec<u8>>,
    /// While set, nothing of what is sent is taken.
    is_blocked: Cell<bool>,
}

impl Machine {
    /// One whose device offers these features.
    pub fn new(features: u32) -> Self {
        Self(Rc::new(Device {
            ram: Ram::default(),
            features,
            address: Cell::new(0),
            command: Cell::new(0),
            status: Cell::new(0),
            selected: Cell::new(0),
            interrupt: Cell::new(false),
            rings: RefCell::default(),
            is_ready: Cell::new(false),
            is_open: Cell::new(false),
            sent: RefCell::default(),
            is_blocked: Cell::new(false),
        }))
    }

    pub fn ram(&self) -> &Ram {
        &self.0.ram
    }

    pub fn status(&self) -> u8 {
        self.0.status.get()
    }

    pub fn is_bus_master(&self) -> bool {
        self.0.command.get() & 4 != 0
    }

    pub fn is_open(&self) -> bool {
        self.0.is_open.get()
    }

    pub fn sent(&self) -> Vec<u8> {
        self.0.sent.borrow().clone()
    }

    /// The host reads, or does not.
    pub fn block(&self, blocked: bool) {
        self.0.is_blocked.set(blocked);
        self.take_sent();
    }

    /// The host sends: how many of the bytes found room.
    pub fn arrive(&self, bytes: &[u8]) -> usize {
        if self.is_open() { self.fill(4, bytes) } else { 0 }
    }

    fn fill(&self, queue: usize, bytes: &[u8]) -> usize {
        let (ram, rings) = (self.ram(), &mut *self.0.rings.borrow_mut());
        let Some((head, pieces)) = rings[queue].next(ram) else { return 0 };
        let mut done = 0;
        for (physical, room, device_writes) in pieces {
            assert!(device_writes, "room to write in that may not be written");
            let count = room.min(bytes.len() - done);
            ram.set(physical, &bytes[done..done + count]);
            done += count;
        }
        rings[queue].give_back(ram, head.into(), done);
        self.0.interrupt.set(true);
        done
    }

    fn take_sent(&self) {
        while !self.0.is_blocked.get() {
            let next = self.0.rings.borrow_mut()[5].next(self.ram());
            let Some((head, pieces)) = next else { return };
            assert!(self.is_open(), "nothing goes through a port that is not open");
            for (physical, bytes, device_writes) in pieces {
                assert!(!device_writes);
                self.0.sent.borrow_mut().extend(self.ram().get(physical, bytes));
            }
            self.0.rings.borrow_mut()[5].give_back(self.ram(), head.into(), 0);
            self.0.interrupt.set(true);
        }
    }

    fn take_controls(&self) {
        loop {
            let next = self.0.rings.borrow_mut()[3].next(self.ram());
            let Some((head, pieces)) = next else { return };
            let message: Vec<u8> =
                pieces.iter().flat_map(|(physical, bytes, _)| self.ram().get(*physical, *bytes)).collect();
            self.0.rings.borrow_mut()[3].give_back(self.ram(), head.into(), 0);
            self.heard(message.try_into().expect("eight bytes"));
        }
    }

    fn heard(&self, message: [u8; 8]) {
        let [port, _, _, _, event, 0, value, 0] = message else { panic!("no such message: {message:?}") };
        match (event, port, value) {
            (0, 0, 1) => {
                self.0.is_ready.set(true);
                for port in [0, 1] {
                    self.fill(2, &[port, 0, 0, 0, 1, 0, 1, 0]);
                }
            }
            (3, 1, 1) => {
                assert!(self.0.is_ready.get(), "the device comes before its ports");
                self.fill(2, b"\x01\0\0\0\x07\0\x01\0flob");
                self.fill(2, &[1, 0, 0, 0, 6, 0, 1, 0]);
            }
            (6, 1, 1) => self.0.is_open.set(true),
            _ => panic!("unexpected: {message:?}"),
        }
    }

    fn configuration(&self) -> u32 {
        if self.0.address.get() >> 11 & 0x1f != SLOT {
            return u32::MAX;
        }
        match self.0.address.get() & 0xff {
            0x00 => 0x1003_1af4,
            0x04 => self.0.command.get(),
            0x10 => u32::from(FIRST) | 1,
            0x3c => 0x0100 | u32::from(LINE),
            _ => 0,
        }
    }
}

impl Ports for Machine {
    fn in8(&self, port: u16) -> u8 {
        match port - FIRST {
            0x12 => self.status(),
            0x13 => self.0.interrupt.replace(false).into(),
            other => panic!("no register to read at {other:#x}"),
        }
    }

    fn in16(&self, port: u16) -> u16 {
        assert_eq!(port - FIRST, 0x0c);
        LENGTHS.get(usize::from(self.0.selected.get())).copied().unwrap_or(0)
    }

    fn in32(&self, port: u16) -> u32 {
        if port == 0xcfc { self.configuration() } else { self.0.features }
    }

    fn out8(&self, port: u16, value: u8) {
        assert_eq!(port - FIRST, 0x12);
        self.0.status.set(value);
    }

    fn out16(&self, port: u16, value: u16) {
        match (port - FIRST, value) {
            (0x0e, _) => self.0.selected.set(value),
            (0x10, 3) => self.take_controls(),
            (0x10, 5) => self.take_sent(),
            (0x10, _) => assert_eq!(self.status(), 7, "told of buffers before the driver is there"),
            other => panic!("no register to write at {other:x?}"),
        }
    }

    fn out32(&self, port: u16, value: u32) {
        match port {
            0xcf8 => self.0.address.set(value),
            0xcfc => self.0.command.set(value),
            _ if port == FIRST + 4 => {
                assert_eq!(value & !self.0.features, 0, "a feature that is not offered")
            }
            _ => {
                assert_eq!(port - FIRST, 8);
                let queue = usize::from(self.0.selected.get());
                self.0.rings.borrow_mut()[queue] = Ring::new(u64::from(value) << 12, LENGTHS[queue]);
            }
        }
    }
}

/// Some bytes that are not all alike.
pub fn bytes(count: usize, seed: u8) -> Vec<u8> {
    let mut bytes = vec![seed; count];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = byte.wrapping_add((index * 31 + index / 253) as u8);
    }
    bytes
}
