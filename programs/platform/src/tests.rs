//! The driver against the simulated device.

use alloc::vec::Vec;

use crate::Ports;
use crate::pci::{self, Unusable};
use crate::serial_port::{Failure, IDENTITY, News, Queue, SerialPort};
use crate::simulated::{Block, FIRST, LINE, Machine, Ram, Ring, bytes};
use crate::virtqueue::{Piece, Virtqueue, size};

type Port = SerialPort<Machine, Block>;

fn start(machine: &Machine) -> Port {
    let device = pci::find(machine, IDENTITY.0, IDENTITY.1).expect("is there").expect("is usable");
    let ram = machine.ram().clone();
    SerialPort::start(machine.clone(), device, |bytes| Some(ram.block(bytes))).ok().expect("starts")
}

fn piece(physical: u64, bytes: usize, device_writes: bool) -> Piece {
    Piece { physical, bytes: bytes as u32, device_writes }
}

/// A queue and the device's side of it.
fn queue(ram: &Ram, length: u16) -> (Virtqueue<Block>, Ring) {
    let block = ram.block(size(length));
    let base = crate::Memory::physical(&block);
    (Virtqueue::new(block, length), Ring::new(base, length))
}

#[test]
fn a_device_is_found_by_its_identity_and_switched_on() {
    let machine = Machine::new(2);
    assert_eq!(pci::find(&machine, 0x1af4, 0x1000), None);
    let device = pci::find(&machine, IDENTITY.0, IDENTITY.1);
    assert_eq!(device, Some(Ok(pci::Device { ports: FIRST, interrupt: LINE })));
    assert!(machine.is_bus_master());
}

/// A bus whose only device has these registers.
struct Bus([u32; 16], core::cell::Cell<u32>);

impl Ports for Bus {
    fn in8(&self, _: u16) -> u8 {
        0
    }
    fn in16(&self, _: u16) -> u16 {
        0
    }
    fn in32(&self, _: u16) -> u32 {
        let address = self.1.get();
        if address >> 11 & 0x1f == 0 { self.0[(address & 0xff) as usize / 4] } else { u32::MAX }
    }
    fn out8(&self, _: u16, _: u8) {}
    fn out16(&self, _: u16, _: u16) {}
    fn out32(&self, port: u16, value: u32) {
        if port == 0xcf8 {
            self.1.set(value);
        }
    }
}

#[test]
fn a_device_without_ports_or_interrupt_is_refused() {
    let with = |bar: u32, interrupt: u32| {
        let mut registers = [0; 16];
        (registers[0], registers[4], registers[15]) = (0x1003_1af4, bar, interrupt);
        pci::find(&Bus(registers, Default::default()), 0x1af4, 0x1003)
    };
    assert_eq!(with(0xfebf_0000, 11), Some(Err(Unusable::NoPorts)));
    assert_eq!(with(1, 11), Some(Err(Unusable::NoPorts)));
    assert_eq!(with(0xc001, 0xff), Some(Err(Unusable::NoInterrupt)));
    assert_eq!(with(0xc001, 0), Some(Err(Unusable::NoInterrupt)));
    assert_eq!(with(0xc001, 9), Some(Ok(pci::Device { ports: 0xc000, interrupt: 9 })));
}

#[test]
fn the_port_is_opened_by_what_the_device_says() {
    let machine = Machine::new(2);
    let mut port = start(&machine);
    assert_eq!(machine.status(), 7);
    assert!(!machine.is_open(), "only what the device says opens it");
    assert_eq!(port.controls.attend(), Some(News::Opened));
    assert!(machine.is_open());
    assert_eq!(port.controls.attend(), None);
}

#[test]
fn a_device_with_one_port_or_without_memory_is_given_up() {
    let machine = Machine::new(0);
    let device = pci::find(&machine, IDENTITY.0, IDENTITY.1).expect("is there").expect("is usable");
    let ram = machine.ram().clone();
    let started = SerialPort::start(machine.clone(), device, |bytes| Some(ram.block(bytes)));
    assert_eq!(started.err(), Some(Failure::NoPorts));
    assert_eq!(machine.status(), 128);
    let machine = Machine::new(2);
    let started = SerialPort::<_, Block>::start(machine.clone(), device, |_| None);
    assert_eq!(started.err(), Some(Failure::NoMemory));
    assert_eq!(machine.status(), 128);
}

#[test]
fn what_is_sent_arrives_whole_and_in_order_however_slowly_the_host_reads() {
    let machine = Machine::new(2);
    let mut port = start(&machine);
    port.controls.attend();
    let mut expected = Vec::new();
    for round in 0..300_usize {
        machine.block(round % 3 == 0);
        let (head, body) = (bytes(9 + round % 5, 1), bytes(round * 7 % 4096, round as u8));
        let places = [machine.ram().block(head.len()), machine.ram().block(body.len().max(1))];
        let mut pieces = Vec::new();
        for (place, part) in places.iter().zip([&head, &body]).filter(|(_, part)| !part.is_empty()) {
            let physical = crate::Memory::physical(place);
            machine.ram().set(physical, part);
            pieces.push(piece(physical, part.len(), false));
        }
        let chain = port.transmit.offer(&pieces).expect("there is room");
        port.registers.notify(Queue::Transmit);
        expected.extend([head, body].concat());
        if round % 3 == 0 {
            assert_eq!(port.transmit.take(), None, "the device has not taken it");
            assert!(port.transmit.is_busy());
            machine.block(false);
        }
        assert!(port.registers.interrupts());
        assert!(!port.registers.interrupts(), "asking ends it");
        assert_eq!(port.transmit.take().map(|used| used.chain), Some(chain));
        assert!(!port.transmit.is_busy());
    }
    assert_eq!(machine.sent(), expected);
}

#[test]
fn what_arrives_is_where_room_was_offered() {
    let machine = Machine::new(2);
    let mut port = start(&machine);
    assert_eq!(machine.arrive(b"too early"), 0);
    port.controls.attend();
    assert_eq!(machine.arrive(b"no room"), 0);
    let block = machine.ram().block(4096);
    let physical = crate::Memory::physical(&block);
    for round in 0..1000_usize {
        let chain = port.receive.offer(&[piece(physical, 4096, true)]).expect("there is room");
        let sent = bytes(1 + round * 13 % 4096, round as u8);
        assert_eq!(machine.arrive(&sent), sent.len());
        let used = port.receive.take().expect("was filled");
        assert_eq!((used.chain, used.bytes as usize), (chain, sent.len()));
        assert_eq!(machine.ram().get(physical, sent.len()), sent);
    }
}

#[test]
fn a_full_queue_refuses_and_takes_again_in_any_order() {
    let ram = Ram::default();
    let (mut queue, mut ring) = queue(&ram, 8);
    for round in 0..100_u64 {
        let chains: Vec<_> = (0..4)
            .map(|index| {
                let at = round * 64 + index * 16;
                queue.offer(&[piece(at, 4, false), piece(at + 4, 8, true)]).expect("there is room")
            })
            .collect();
        assert_eq!(queue.offer(&[piece(0, 1, false)]), None);
        assert_eq!(queue.offer(&[]), None);
        let mut heads = Vec::new();
        while let Some((head, pieces)) = ring.next(&ram) {
            let at = round * 64 + heads.len() as u64 * 16;
            assert_eq!(pieces, [(at, 4, false), (at + 4, 8, true)]);
            heads.push(head);
        }
        heads.rotate_left((round % 4) as usize);
        heads.iter().for_each(|head| ring.give_back(&ram, (*head).into(), 5));
        let taken: Vec<_> = core::iter::from_fn(|| queue.take()).map(|used| used.chain).collect();
        assert_eq!(taken.len(), chains.len());
        assert!(chains.iter().all(|chain| taken.contains(chain)));
        assert!(!queue.is_busy());
    }
}

#[test]
fn chains_that_were_never_offered_are_passed_over() {
    let ram = Ram::default();
    let (mut queue, mut ring) = queue(&ram, 8);
    let chain = queue.offer(&[piece(0, 4, false), piece(4, 4, false)]).expect("there is room");
    let (head, _) = ring.next(&ram).expect("was offered");
    // Out of range, free, the second of a chain; then the right one, and the right one again.
    for given in [u32::MAX, 8, 5, u32::from(head ^ 1), head.into(), head.into()] {
        ring.give_back(&ram, given, 0);
    }
    assert_eq!(queue.take().map(|used| used.chain), Some(chain));
    assert_eq!(queue.take(), None);
    assert!(!queue.is_busy());
    assert_eq!((0..8).filter_map(|_| queue.offer(&[piece(0, 1, false)])).count(), 8, "no descriptor is lost");
}
