//! From a user address to a flob: address → frame → granule table → record. Memory access is the capability.

use alloc::vec;
use alloc::vec::Vec;

use flob_abi::{FlobKind, Misuse, PAGE_SIZE, Protection, flob::GRANULE};

use crate::arena::SlotId;
use crate::kernel::{GRANULES, Kernel};
use crate::list::NONE;
use crate::machine::{Frame, Machine};
use crate::outcome::Trap;
use crate::record::{Body, FlobId, Object, Place, ThreadId};

/// In a granule's entry, which is the index of a record: that of a thread.
const THREAD_ENTRY: u32 = 1 << 31;
/// A granule without a flob: the index of no record.
pub(crate) const NO_FLOB: u32 = NONE;

impl<M: Machine> Kernel<M> {
    /// The kind of a flob that exists.
    pub(crate) fn kind_of(&self, id: FlobId) -> Option<FlobKind> {
        match id.as_thread() {
            Some(thread) => self.threads.get(thread.0).map(|_| FlobKind::Thread),
            None => self.objects.get(id.0).map(|object| object.body.kind()),
        }
    }

    /// Where a flob that exists lives.
    pub(crate) fn place_of(&self, id: FlobId) -> Option<Place> {
        match id.as_thread() {
            Some(thread) => self.threads.get(thread.0).map(|thread| thread.place),
            None => self.objects.get(id.0).map(|object| object.place),
        }
    }

    /// The hash of a flob that exists.
    pub(crate) fn hash_of(&self, id: FlobId) -> Option<u64> {
        match id.as_thread() {
            Some(thread) => self.threads.get(thread.0).map(|thread| thread.hash),
            None => self.objects.get(id.0).map(|object| object.hash),
        }
    }

    fn granule(&self, frame: Frame, granule: usize) -> Option<FlobId> {
        let entry = *self.granules.get(frame.0 as usize * GRANULES + granule)?;
        if entry & THREAD_ENTRY != 0 {
            self.threads.id_at(entry & !THREAD_ENTRY).map(|id| ThreadId(id).into())
        } else {
            self.objects.id_at(entry).map(FlobId)
        }
    }

    /// The flob that starts in this granule of a frame.
    pub(crate) fn flob_at(&self, frame: Frame, granule: usize) -> Option<FlobId> {
        let id = self.granule(frame, granule)?;
        let starts_here = usize::from(self.place_of(id)?.offset) == granule * GRANULE as usize;
        starts_here.then_some(id)
    }

    fn granules_of(place: Place, kind: FlobKind) -> core::ops::Range<usize> {
        let first = place.frame.0 as usize * GRANULES + usize::from(place.offset) / GRANULE as usize;
        first..first + (kind.size() / GRANULE) as usize
    }

    /// Whether no flob covers a place.
    pub(crate) fn is_free(&self, place: Place, kind: FlobKind) -> bool {
        self.granules
            .get(Self::granules_of(place, kind))
            .is_some_and(|all| all.iter().all(|entry| *entry == NO_FLOB))
    }

    /// Enters a flob at its place.
    pub(crate) fn occupy(&mut self, place: Place, id: FlobId) {
        let Some(kind) = self.kind_of(id) else { return };
        let entry = match id.as_thread() {
            Some(thread) => thread.0.index() | THREAD_ENTRY,
            None => id.0.index(),
        };
        self.fill(place, kind, entry);
    }

    /// Takes a flob of this kind from its place.
    pub(crate) fn vacate(&mut self, place: Place, kind: FlobKind) {
        self.fill(place, kind, NO_FLOB);
    }

    fn fill(&mut self, place: Place, kind: FlobKind, entry: u32) {
        if let Some(entries) = self.granules.get_mut(Self::granules_of(place, kind)) {
            entries.fill(entry);
        }
        for wanted in [0, kind as usize] {
            let is_one = |id| wanted == 0 || self.kind_of(id) == Some(kind);
            let mut found = (0..GRANULES).filter_map(|granule| self.granule(place.frame, granule));
            let is_in = found.any(is_one);
            self.frames_with[wanted].set(place.frame, is_in);
        }
    }

    /// The place that a user address means for a flob of this kind.
    #[inline(always)]
    pub(crate) fn place_at(
        &mut self,
        space: FlobId,
        address: u64,
        kind: FlobKind,
        access: Protection,
    ) -> Result<Place, Trap> {
        if !address.is_multiple_of(kind.size()) {
            return Trap::misuse(Misuse::NotAligned, address);
        }
        let (frame, offset) = self.user_spot(space, address, access)?;
        Ok(Place { frame, offset: offset as u16 })
    }

    /// The flob of this kind at a user address.
    #[inline(always)]
    pub(crate) fn find(
        &mut self,
        space: FlobId,
        address: u64,
        kind: FlobKind,
        access: Protection,
    ) -> Result<FlobId, Trap> {
        let place = self.place_at(space, address, kind, access)?;
        match self.flob_at_place(place, kind) {
            Some(id) => Ok(id),
            None => self.no_such_flob(place, address),
        }
    }

    /// The same of a kind that is no thread, with its record.
    #[inline(always)]
    pub(crate) fn find_object(
        &mut self,
        space: FlobId,
        address: u64,
        kind: FlobKind,
        access: Protection,
    ) -> Result<(FlobId, &mut Object), Trap> {
        let place = self.place_at(space, address, kind, access)?;
        let index = self.object_index(place).unwrap_or(NO_FLOB);
        if self.objects.at(index).is_none_or(|object| object.body.kind() != kind) {
            return self.no_such_flob(place, address);
        }
        self.objects.entry_mut(index).map(|(id, object)| (FlobId(id), object)).ok_or(Trap::NoSpace)
    }

    /// The index and the record of the one flob that the caller names, in the usual case: its memory is at hand and may be
    /// written.
    #[inline(always)]
    pub(crate) fn find_at_once(&mut self, address: u64, kind: FlobKind) -> Result<(u32, &mut Object), Trap> {
        let unsettled = Trap::Unsettled { address, kind };
        let space = self.current_space;
        let (frame, offset) = self.recent_spot(space, address, Protection::WRITE).ok_or(unsettled)?;
        if !address.is_multiple_of(kind.size()) {
            return Err(unsettled);
        }
        let index = self.object_index(Place { frame, offset: offset as u16 }).ok_or(unsettled)?;
        let object = self.objects.named_mut(index).ok_or(unsettled)?;
        if object.body.kind() == kind { Ok((index, object)) } else { Err(unsettled) }
    }

    /// The id of an object that was found by its index.
    #[inline(always)]
    pub(crate) fn object_id(&self, index: u32) -> Result<FlobId, Trap> {
        self.objects.id_at(index).map(FlobId).ok_or(Trap::NoSpace)
    }

    /// The flob of this kind that starts at a place.
    #[inline(always)]
    fn flob_at_place(&self, place: Place, kind: FlobKind) -> Option<FlobId> {
        if kind == FlobKind::Thread {
            let entry = self.object_index(place)?;
            let id = self.threads.id_at(entry & !THREAD_ENTRY).filter(|_| entry & THREAD_ENTRY != 0)?;
            return Some(ThreadId(id).into());
        }
        let (id, object) = self.object_at_place(place)?;
        (object.body.kind() == kind).then_some(id)
    }

    /// What is at a place: the index of an object, or of none if it is a thread.
    #[inline(always)]
    fn object_index(&self, place: Place) -> Option<u32> {
        let granule = place.frame.0 as usize * GRANULES + usize::from(place.offset) / GRANULE as usize;
        self.granules.get(granule).copied()
    }

    /// The flob at a place, if it is no thread. Such a one fills a granule, and so starts in it.
    #[inline(always)]
    fn object_at_place(&self, place: Place) -> Option<(FlobId, &Object)> {
        let (id, object) = self.objects.entry(self.object_index(place)?)?;
        Some((FlobId(id), object))
    }

    #[cold]
    #[inline(never)]
    fn no_such_flob<T>(&self, place: Place, address: u64) -> Result<T, Trap> {
        let some = self.flob_at(place.frame, usize::from(place.offset) / GRANULE as usize);
        Trap::misuse(if some.is_some() { Misuse::WrongKind } else { Misuse::NoFlob }, address)
    }

    /// The target of the reference flob at a user address; `None` if it is null.
    #[inline]
    pub(crate) fn find_target(&mut self, space: FlobId, address: u64) -> Result<Option<FlobId>, Trap> {
        let link = self.find_link(space, address)?;
        Ok(self.live(link))
    }

    /// The same, whether the target still exists or not.
    #[inline(always)]
    pub(crate) fn find_link(&mut self, space: FlobId, address: u64) -> Result<Option<FlobId>, Trap> {
        let place = self.place_at(space, address, FlobKind::Reference, Protection::READ)?;
        match self.object_at_place(place) {
            Some((_, Object { body: Body::Reference(reference), .. })) => Ok(reference.target),
            _ => self.no_such_flob(place, address),
        }
    }

    /// The hash of a new flob.
    pub(crate) fn new_hash(&mut self, wanted: u64) -> u64 {
        if wanted != 0 {
            return wanted;
        }
        let hash = self.next_hash;
        self.next_hash = self.next_hash.wrapping_add(1).max(1);
        hash
    }
}

/// All kinds, and 0 for any.
pub(crate) const KINDS: usize = FlobKind::ALL.len() + 1;

/// A set of frames, in which the next one is soon found.
#[derive(Clone)]
pub(crate) struct FrameSet {
    /// A bit each.
    frames: Vec<u64>,
    /// The words of that which are not zero, a bit each.
    words: Vec<u64>,
}

impl FrameSet {
    /// Of frames below `end`.
    pub fn new(end: usize) -> Self {
        Self { frames: vec![0; end.div_ceil(64)], words: vec![0; end.div_ceil(64 * 64)] }
    }

    /// What it takes.
    pub const fn bytes(end: usize) -> usize {
        (end.div_ceil(64) + end.div_ceil(64 * 64)) * size_of::<u64>()
    }

    fn set(&mut self, frame: Frame, is_in: bool) {
        let is_word_empty = set_bit(&mut self.frames, frame.0 as usize, is_in);
        set_bit(&mut self.words, frame.0 as usize / 64, !is_word_empty);
    }

    /// How many frames in a row, from this one on, are not in it; all the rest if none is.
    pub fn gap(&self, first: Frame) -> u32 {
        let at = first.0 as usize;
        let here = self.frames.get(at / 64).filter(|word| *word >> (at % 64) != 0).map(|_| at / 64);
        let word = here.or_else(|| next_bit(&self.words, at / 64 + 1));
        let next = word.and_then(|word| next_bit(&self.frames, at.max(word * 64)));
        next.map_or(u32::MAX, |next| (next - at) as u32)
    }
}

/// Sets a bit or clears it: whether its word is zero now.
fn set_bit(words: &mut [u64], bit: usize, value: bool) -> bool {
    let Some(word) = words.get_mut(bit / 64) else { return true };
    *word = *word & !(1 << (bit % 64)) | u64::from(value) << (bit % 64);
    *word == 0
}

/// The first set bit from this one on.
fn next_bit(words: &[u64], from: usize) -> Option<usize> {
    let first = words.get(from / 64)? >> (from % 64);
    if first != 0 {
        return Some(from + first.trailing_zeros() as usize);
    }
    let (word, bits) = words.iter().enumerate().skip(from / 64 + 1).find(|(_, bits)| **bits != 0)?;
    Some(word * 64 + bits.trailing_zeros() as usize)
}

/// A page holds whole granules.
const _: () = assert!(PAGE_SIZE.is_multiple_of(GRANULE));

impl From<SlotId> for FlobId {
    fn from(slot: SlotId) -> Self {
        Self(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_bit_is_found_wherever_it_is_and_an_empty_word_is_told() {
        let mut words = [0; 70];
        let bits = [0, 5, 63, 64, 200, 64 * 64, 64 * 69 + 63];
        for bit in bits {
            assert!(!set_bit(&mut words, bit, true));
        }
        for from in 0..64 * 70 {
            assert_eq!(next_bit(&words, from), bits.into_iter().find(|bit| *bit >= from), "{from}");
        }
        assert_eq!(next_bit(&words, 64 * 70), None);
        assert!(!set_bit(&mut words, 5, false) && !set_bit(&mut words, 0, false));
        assert!(set_bit(&mut words, 63, false), "the last of its word");
        assert_eq!(next_bit(&words, 0), Some(64));
    }
}
