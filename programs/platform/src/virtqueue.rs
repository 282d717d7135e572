//! A split virtqueue, the driver's side: memory is offered to the device in chains of pieces, and taken back when the device
//! has used it. Source: Virtual I/O Device (VIRTIO) 1.1, section 2.6, in its legacy layout.
//!
//! ```text
//! 0                 descriptors: address u64, bytes u32, flags u16, next u16
//! 16 * length       available: flags u16, index u16, length * head u16, (event u16)
//! next page         used: flags u16, index u16, length * (head u32, bytes u32), (event u16)
//! ```
//!
//! The device is not trusted with the lists: which pieces make a chain is kept here, and what the device returns is
//! checked.

use alloc::{vec, vec::Vec};
use core::sync::atomic::{Ordering, fence};

use crate::Memory;

const PAGE: usize = flob_abi::PAGE_SIZE as usize;
const DESCRIPTOR: usize = 16;
const FLAG_NEXT: u16 = 1;
const FLAG_DEVICE_WRITES: u16 = 2;
/// In the available ring's flags: the device need not interrupt.
const NO_INTERRUPT: u16 = 1;
/// In the used ring's flags: the driver need not notify.
const NO_NOTIFY: u16 = 1;

/// Bytes of memory that a queue of so many descriptors takes.
pub const fn size(length: u16) -> usize {
    used_offset(length) + (6 + 8 * length as usize).next_multiple_of(PAGE)
}

const fn available_offset(length: u16) -> usize {
    DESCRIPTOR * length as usize
}

const fn used_offset(length: u16) -> usize {
    (available_offset(length) + 6 + 2 * length as usize).next_multiple_of(PAGE)
}

/// Memory for the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its physical address.
    pub physical: u64,
    /// Its size in bytes.
    pub bytes: u32,
    /// The device writes to it, else it reads.
    pub device_writes: bool,
}

/// A chain that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain(u16);

/// A chain that the device has done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// Which.
    pub chain: Chain,
    /// Bytes that the device wrote.
    pub bytes: u32,
}

/// What becomes of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Free,
    /// The first of a chain of so many.
    Head(u16),
    /// Another of a chain.
    Rest,
}

/// The queue.
pub struct Virtqueue<M> {
    memory: M,
    length: u16,
    slots: Vec<Slot>,
    /// For each descriptor that is in a chain, the next one.
    next: Vec<u16>,
    /// Free descriptors.
    free: Vec<u16>,
    offered: u16,
    taken: u16,
}

impl<M: Memory> Virtqueue<M> {
    /// A queue of so many descriptors in this memory of [`size`] bytes, all zero.
    pub fn new(memory: M, length: u16) -> Self {
        let count = usize::from(length);
        let (slots, next) = (vec![Slot::Free; count], vec![0; count]);
        Self { memory, length, slots, next, free: (0..length).rev().collect(), offered: 0, taken: 0 }
    }

    /// Offers these pieces as one chain. `None` if there are none, or too few descriptors are free.
    pub fn offer(&mut self, pieces: &[Piece]) -> Option<Chain> {
        let rest = self.free.len().checked_sub(pieces.len()).filter(|_| !pieces.is_empty())?;
        let descriptors = self.free.split_off(rest);
        for (index, (descriptor, piece)) in descriptors.iter().zip(pieces).enumerate() {
            self.describe(*descriptor, piece, descriptors.get(index + 1).copied());
        }
        let head = descriptors.first().copied()?;
        *self.slots.get_mut(usize::from(head))? = Slot::Head(u16::try_from(pieces.len()).ok()?);
        let available = available_offset(self.length);
        let place = usize::from(self.offered % self.length);
        self.memory.store16(available + 4 + 2 * place, head);
        self.offered = self.offered.wrapping_add(1);
        // The device may look as soon as the index says so.
        fence(Ordering::SeqCst);
        self.memory.store16(available + 2, self.offered);
        fence(Ordering::SeqCst);
        Some(Chain(head))
    }

    fn describe(&mut self, descriptor: u16, piece: &Piece, next: Option<u16>) {
        let (index, at) = (usize::from(descriptor), usize::from(descriptor) * DESCRIPTOR);
        let direction = if piece.device_writes { FLAG_DEVICE_WRITES } else { 0 };
        let flags = if next.is_some() { direction | FLAG_NEXT } else { direction };
        self.memory.store64(at, piece.physical);
        self.memory.store32(at + 8, piece.bytes);
        self.memory.store16(at + 12, flags);
        self.memory.store16(at + 14, next.unwrap_or(0));
        if let (Some(slot), Some(place)) = (self.slots.get_mut(index), self.next.get_mut(index)) {
            *slot = Slot::Rest;
            *place = next.unwrap_or(0);
        }
    }

    /// Takes back a chain that the device has done with. Those that were never offered are passed over.
    pub fn take(&mut self) -> Option<Used> {
        let used = used_offset(self.length);
        while self.memory.load16(used + 2) != self.taken {
            fence(Ordering::SeqCst);
            let entry = used + 4 + 8 * usize::from(self.taken % self.length);
            let (head, bytes) = (self.memory.load32(entry), self.memory.load32(entry + 4));
            self.taken = self.taken.wrapping_add(1);
            if let Some(chain) = u16::try_from(head).ok().and_then(|head| self.release(head)) {
                return Some(Used { chain, bytes });
            }
        }
        None
    }

    fn release(&mut self, head: u16) -> Option<Chain> {
        let Slot::Head(count) = *self.slots.get(usize::from(head))? else { return None };
        let mut descriptor = head;
        for _ in 0..count {
            *self.slots.get_mut(usize::from(descriptor))? = Slot::Free;
            self.free.push(descriptor);
            descriptor = self.next.get(usize::from(descriptor)).copied()?;
        }
        Some(Chain(head))
    }

    /// Whether the device still has chains.
    pub fn is_busy(&self) -> bool {
        self.free.len() < usize::from(self.length)
    }

    /// Whether the device is to be told of what was offered.
    pub fn wants_notice(&self) -> bool {
        self.memory.load16(used_offset(self.length)) & NO_NOTIFY == 0
    }

    /// Whether the device shall interrupt when it has done with a chain. It may do so all the same.
    pub fn ask_for_interrupts(&mut self, wanted: bool) {
        self.memory.store16(available_offset(self.length), if wanted { 0 } else { NO_INTERRUPT });
        // Who asks looks once more before he waits.
        fence(Ordering::SeqCst);
    }

    /// Its memory.
    pub const fn memory(&self) -> &M {
        &self.memory
    }
}
