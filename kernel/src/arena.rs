//! A pool with generations: a stale id is found out, never followed. Allocated once, at boot.

use alloc::vec::Vec;
use core::num::NonZeroU64;

use crate::list::NONE;

/// Index of a slot (the lower half) and the generation of what is in it, which is odd and so not 0: one number, which
/// compares, and says that there is none, in one instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SlotId(NonZeroU64);

/// One generation.
const GENERATION: u64 = 1 << 32;

impl SlotId {
    /// Of no slot.
    pub const NEVER: Self = Self(NonZeroU64::MAX);

    /// The slot.
    #[inline(always)]
    pub fn index(self) -> u32 {
        self.0.get() as u32
    }

    /// All of it.
    #[inline(always)]
    pub fn number(self) -> u64 {
        self.0.get()
    }

    /// With these bits set in the index.
    #[inline(always)]
    pub fn tagged(self, bits: u32) -> Self {
        Self(self.0 | u64::from(bits))
    }

    /// The same generation of another slot.
    #[inline(always)]
    pub fn with_index(self, index: u32) -> Option<Self> {
        NonZeroU64::new(self.0.get() >> 32 << 32 | u64::from(index)).map(Self)
    }
}

#[derive(Clone)]
struct Slot<T> {
    /// What an id of it is. Its generation is odd while something is in it, so that no id of nothing is ever found.
    id: u64,
    /// The next free slot, while this one is free.
    next_free: u32,
    /// What is or was in it.
    value: T,
}

impl<T> Slot<T> {
    #[inline(always)]
    fn is_used(&self) -> bool {
        self.id & GENERATION != 0
    }

    /// Its id, if something is in it.
    #[inline(always)]
    fn used_id(&self) -> Option<SlotId> {
        if self.is_used() { NonZeroU64::new(self.id).map(SlotId) } else { None }
    }
}

/// Counts a look at a slot, in tests: what an entry looks at must not grow with the number of flobs.
#[inline(always)]
fn look() {
    #[cfg(test)]
    tests::LOOKS.set(tests::LOOKS.get() + 1);
}

/// Looks at slots by this thread of the host since it was asked last.
#[cfg(test)]
pub(crate) fn take_looks() -> u64 {
    tests::LOOKS.replace(0)
}

/// The pool.
pub(crate) struct Arena<T> {
    slots: Vec<Slot<T>>,
    free: u32,
    /// Makes the shapes of trees unforeseeable: see `tree`.
    pub seed: u64,
}

/// A copy has room for as much as the original.
impl<T: Clone> Clone for Arena<T> {
    fn clone(&self) -> Self {
        let mut slots = Vec::with_capacity(self.slots.capacity());
        slots.extend_from_slice(&self.slots);
        Self { slots, free: self.free, seed: self.seed }
    }
}

impl<T> Arena<T> {
    /// Bytes a slot takes.
    pub const SLOT_SIZE: usize = size_of::<Slot<T>>();

    pub fn with_capacity(capacity: usize) -> Self {
        Self { slots: Vec::with_capacity(capacity), free: NONE, seed: 0 }
    }

    /// Puts a value in; `None` if the pool is full.
    pub fn insert(&mut self, value: T) -> Option<SlotId> {
        if let Some(slot) = self.slots.get_mut(self.free as usize) {
            let index = core::mem::replace(&mut self.free, slot.next_free);
            slot.id |= GENERATION;
            slot.value = value;
            return self.id_at(index);
        }
        if self.slots.len() == self.slots.capacity() {
            return None;
        }
        let index = u32::try_from(self.slots.len()).ok()?;
        self.slots.push(Slot { id: GENERATION | u64::from(index), next_free: NONE, value });
        self.id_at(index)
    }

    /// Ends it; every id of it is stale from now on. False if this one was.
    pub fn remove(&mut self, id: SlotId) -> bool {
        let free = self.free;
        let Some(slot) = self.slots.get_mut(id.index() as usize) else { return false };
        if slot.id != id.0.get() {
            return false;
        }
        // A slot whose generations are used up is never used again, or a very old id would find something.
        slot.id = slot.id.wrapping_add(GENERATION);
        if slot.id >= GENERATION {
            slot.next_free = free;
            self.free = id.index();
        }
        true
    }

    #[inline]
    pub fn get(&self, id: SlotId) -> Option<&T> {
        look();
        let slot = self.slots.get(id.index() as usize)?;
        if slot.id == id.0.get() { Some(&slot.value) } else { None }
    }

    #[inline]
    pub fn get_mut(&mut self, id: SlotId) -> Option<&mut T> {
        look();
        let slot = self.slots.get_mut(id.index() as usize)?;
        if slot.id == id.0.get() { Some(&mut slot.value) } else { None }
    }

    /// Two different ones, to change both.
    #[inline]
    pub fn get_two(&mut self, one: SlotId, other: SlotId) -> Option<(&mut T, &mut T)> {
        look();
        let places = [one.index() as usize, other.index() as usize];
        let [first, second] = self.slots.get_disjoint_mut(places).ok()?;
        let live = first.id == one.0.get() && second.id == other.0.get();
        live.then_some((&mut first.value, &mut second.value))
    }

    /// What is in a slot now, whatever its generation.
    #[inline]
    pub fn at(&self, index: u32) -> Option<&T> {
        look();
        self.slots.get(index as usize).filter(|slot| slot.is_used()).map(|slot| &slot.value)
    }

    /// What is in a slot now, to change.
    #[inline]
    pub fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        look();
        self.slots.get_mut(index as usize).filter(|slot| slot.is_used()).map(|slot| &mut slot.value)
    }

    /// The same of a slot that is known to have something in it, because somebody names it by its index alone.
    #[inline]
    pub fn named_mut(&mut self, index: u32) -> Option<&mut T> {
        look();
        let slot = self.slots.get_mut(index as usize)?;
        debug_assert!(slot.is_used(), "slot {index} is free and has a name");
        Some(&mut slot.value)
    }

    /// The id of what is in a slot now.
    #[inline]
    pub fn id_at(&self, index: u32) -> Option<SlotId> {
        look();
        self.slots.get(index as usize)?.used_id()
    }

    /// What is in a slot now, with its id.
    #[inline]
    pub fn entry(&self, index: u32) -> Option<(SlotId, &T)> {
        look();
        let slot = self.slots.get(index as usize)?;
        Some((slot.used_id()?, &slot.value))
    }

    /// The same, to change.
    #[inline]
    pub fn entry_mut(&mut self, index: u32) -> Option<(SlotId, &mut T)> {
        look();
        let slot = self.slots.get_mut(index as usize)?;
        Some((slot.used_id()?, &mut slot.value))
    }

    /// Slots ever used: indices below this may hold something.
    pub fn end(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    std::thread_local! {
        pub static LOOKS: core::cell::Cell<u64> = const { core::cell::Cell::new(0) };
    }

    #[test]
    fn a_stale_id_finds_nothing_after_its_slot_is_used_again() {
        let mut arena = Arena::with_capacity(1);
        let old = arena.insert(1).expect("room");
        assert_eq!(arena.insert(2), None);
        assert!(arena.remove(old));
        let new = arena.insert(3).expect("room");
        assert_eq!(new.index(), old.index());
        assert_eq!(arena.get(old), None);
        assert!(!arena.remove(old));
        assert_eq!(arena.get(new), Some(&3));
    }
}
