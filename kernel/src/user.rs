//! Memory of user code. The kernel never dereferences a user address: it resolves the page and goes through the machine's
//! frames, so an address can fail but never fault.

use flob_abi::{Misuse, PAGE_SIZE, Protection, memory::USER_END};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::dirty::Epochs;
use crate::kernel::Kernel;
use crate::machine::{Frame, Machine, Page};
use crate::outcome::Trap;
use crate::record::FlobId;

/// Where a user address leads: a frame and an offset in it.
pub(crate) type Spot = (Frame, usize);

/// Most pages that a state struct or link array can touch.
const MAX_SPOTS: usize = 2;

/// A short range of user memory whose pages have been resolved: reading and writing it cannot fail any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buffer {
    parts: [(Spot, usize); MAX_SPOTS],
}

impl Buffer {
    /// `len` bytes of it from `start` on, as far as there are any.
    #[inline]
    pub fn part(self, start: usize, len: usize) -> Self {
        let [(spot, first), (behind, second)] = self.parts;
        // A page's end may lie before, in or behind the part.
        let skipped = start.min(first);
        let now = len.min(first - skipped);
        let skipped_behind = start - skipped;
        let later = (len - now).min(second.saturating_sub(skipped_behind));
        let parts = [((spot.0, spot.1 + skipped), now), ((behind.0, behind.1 + skipped_behind), later)];
        Self { parts }
    }

    /// What lies there as a struct, where it lies. `None` if that is not in one page or not aligned: it is to be copied then.
    #[inline(always)]
    pub fn view<M: Machine, T: FromBytes + KnownLayout + Immutable>(self, machine: &M) -> Option<&T> {
        let [((frame, offset), len), _] = self.parts;
        T::ref_from_bytes(machine.frame(frame)?.get(offset..offset + len)?).ok()
    }

    /// The same, to be written.
    #[inline(always)]
    pub fn view_mut<'a, M: Machine, T: FromBytes + IntoBytes + KnownLayout>(
        self,
        machine: &'a mut M,
        epochs: &mut Epochs,
    ) -> Option<&'a mut T> {
        let [((frame, offset), len), _] = self.parts;
        epochs.mark(frame);
        T::mut_from_bytes(machine.frame_mut(frame)?.get_mut(offset..offset + len)?).ok()
    }
}

impl<M: Machine> Kernel<M> {
    /// Resolves one user address for an access. A translation at hand counts first: it may have been lifted.
    #[inline(always)]
    pub(crate) fn user_spot(
        &mut self,
        space: FlobId,
        address: u64,
        access: Protection,
    ) -> Result<Spot, Trap> {
        match self.recent_spot(space, address, access) {
            Some(spot) => Ok(spot),
            None => self.distant_spot(space, address, access),
        }
    }

    /// The same if its translation is at hand, and lately looked for.
    #[inline(always)]
    pub(crate) fn recent_spot(&self, space: FlobId, address: u64, access: Protection) -> Option<Spot> {
        let (key, page) = (space.key(), Page(address / PAGE_SIZE));
        let (frame, allowed) = self.machine.recent_translation(key, page)?;
        allowed.allows(access).then_some((frame, (address % PAGE_SIZE) as usize))
    }

    /// The same after its translation has been sought, which is at hand then.
    #[cold]
    #[inline(never)]
    fn distant_spot(&mut self, space: FlobId, address: u64, access: Protection) -> Result<Spot, Trap> {
        if address >= USER_END {
            return Trap::misuse(Misuse::InvalidAddress, address);
        }
        let (key, page) = (space.key(), Page(address / PAGE_SIZE));
        let at_hand = self.machine.translation(key, page);
        if !at_hand.is_some_and(|(_, allowed)| allowed.allows(access)) {
            let Ok(found) = self.resolve(space, address, access, None) else {
                return Err(Trap::Fault { address, access });
            };
            self.enter_translation(space, address, found, found.access, access);
            // So that it is known now.
            self.machine.translation(key, page);
        }
        self.recent_spot(space, address, access).ok_or(Trap::Fault { address, access })
    }

    /// Resolves a short range (at most a page long).
    #[inline]
    pub(crate) fn user_buffer(
        &mut self,
        space: FlobId,
        address: u64,
        len: usize,
        access: Protection,
    ) -> Result<Buffer, Trap> {
        let first = self.memory_spot(space, address, access)?;
        let first_len = len.min(PAGE_SIZE as usize - first.1);
        let mut parts = [(first, first_len), (first, 0)];
        if first_len < len {
            let second = self.memory_spot(space, address.saturating_add(first_len as u64), access)?;
            parts[1] = (second, len - first_len);
        }
        Ok(Buffer { parts })
    }

    /// Copies out of a resolved range.
    #[inline]
    pub(crate) fn read_buffer(&self, buffer: Buffer, bytes: &mut [u8]) {
        let mut rest = bytes;
        for ((frame, offset), len) in buffer.parts {
            if len == 0 {
                continue;
            }
            let Some((now, later)) = rest.split_at_mut_checked(len) else { return };
            if let Some(from) = self.machine.frame(frame).and_then(|memory| memory.get(offset..offset + len))
            {
                now.copy_from_slice(from);
            }
            rest = later;
        }
    }

    /// Copies into a resolved range; bytes that do not fit are left out.
    #[inline]
    pub(crate) fn write_buffer(&mut self, buffer: Buffer, bytes: &[u8]) {
        let mut rest = bytes;
        for ((frame, offset), len) in buffer.parts {
            if len == 0 {
                continue;
            }
            let (now, later) = rest.split_at(len.min(rest.len()));
            self.epochs.mark(frame);
            let memory = self.machine.frame_mut(frame);
            if let Some(to) = memory.and_then(|memory| memory.get_mut(offset..offset + now.len())) {
                to.copy_from_slice(now);
            }
            rest = later;
        }
    }

    /// Reads a value of user memory.
    pub(crate) fn read_user<T: FromBytes + IntoBytes + Immutable>(
        &mut self,
        space: FlobId,
        address: u64,
    ) -> Result<T, Trap> {
        let buffer = self.user_buffer(space, address, size_of::<T>(), Protection::READ)?;
        let mut value = T::new_zeroed();
        self.read_buffer(buffer, value.as_mut_bytes());
        Ok(value)
    }
}
