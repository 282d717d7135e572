//! A pool with generations: a stale id is found out, never followed. Allocated once, at boot.

use alloc::vec::Vec;
use core::num::NonZeroU32;

use crate::list::NONE;

/// Index of a slot and the generation of what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SlotId {
    pub index: u32,
    pub generation: NonZeroU32,
}

#[derive(Clone)]
struct Slot<T> {
    generation: NonZeroU32,
    /// The next free slot, while this one is free.
    next_free: u32,
    value: Option<T>,
}

/// The pool.
pub(crate) struct Arena<T> {
    slots: Vec<Slot<T>>,
    free: u32,
}

/// A copy has room for as much as the original.
impl<T: Clone> Clone for Arena<T> {
    fn clone(&self) -> Self {
        let mut slots = Vec::with_capacity(self.slots.capacity());
        slots.extend_from_slice(&self.slots);
        Self { slots, free: self.free }
    }
}

impl<T> Arena<T> {
    /// Bytes a slot takes.
    pub const SLOT_SIZE: usize = size_of::<Slot<T>>();

    pub fn with_capacity(capacity: usize) -> Self {
        Self { slots: Vec::with_capacity(capacity), free: NONE }
    }

    /// Puts a value in; `None` if the pool is full.
    pub fn insert(&mut self, value: T) -> Option<SlotId> {
        if let Some(slot) = self.slots.get_mut(self.free as usize) {
            let id = SlotId { index: self.free, generation: slot.generation };
            self.free = slot.next_free;
            slot.value = Some(value);
            return Some(id);
        }
        if self.slots.len() == self.slots.capacity() {
            return None;
        }
        let index = u32::try_from(self.slots.len()).ok()?;
        self.slots.push(Slot { generation: NonZeroU32::MIN, next_free: NONE, value: Some(value) });
        Some(SlotId { index, generation: NonZeroU32::MIN })
    }

    /// Takes it out; every id of it is stale from now on.
    pub fn remove(&mut self, id: SlotId) -> Option<T> {
        let free = self.free;
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation != id.generation {
            return None;
        }
        let value = slot.value.take()?;
        // A slot whose generations are used up is never used again, or a very old id would find something.
        if let Some(next) = slot.generation.checked_add(1) {
            slot.generation = next;
            slot.next_free = free;
            self.free = id.index;
        }
        Some(value)
    }

    pub fn get(&self, id: SlotId) -> Option<&T> {
        let slot = self.slots.get(id.index as usize)?;
        if slot.generation == id.generation { slot.value.as_ref() } else { None }
    }

    pub fn get_mut(&mut self, id: SlotId) -> Option<&mut T> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation == id.generation { slot.value.as_mut() } else { None }
    }

    /// What is in a slot now, whatever its generation.
    pub fn at(&self, index: u32) -> Option<&T> {
        self.slots.get(index as usize)?.value.as_ref()
    }

    /// What is in a slot now, to change.
    pub fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        self.slots.get_mut(index as usize)?.value.as_mut()
    }

    /// The id of what is in a slot now.
    pub fn id_at(&self, index: u32) -> Option<SlotId> {
        let slot = self.slots.get(index as usize)?;
        slot.value.as_ref()?;
        Some(SlotId { index, generation: slot.generation })
    }

    /// Slots ever used: indices below this may hold something.
    pub fn end(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_id_finds_nothing_after_its_slot_is_used_again() {
        let mut arena = Arena::with_capacity(1);
        let old = arena.insert(1).expect("room");
        assert_eq!(arena.insert(2), None);
        assert_eq!(arena.remove(old), Some(1));
        let new = arena.insert(3).expect("room");
        assert_eq!(new.index, old.index);
        assert_eq!(arena.get(old), None);
        assert_eq!(arena.get(new), Some(&3));
    }
}
