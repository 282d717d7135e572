//! What must be forgotten when a mapping or region changes: every translation derived from it, at any depth. Iterative; a
//! tree of mappings too large for the work list is answered by forgetting all translations.

use crate::kernel::Kernel;
use crate::list::NONE;
use crate::machine::{Machine, Page};
use crate::record::{Body, FlobId, Mapping, Object};
use flob_abi::PAGE_SIZE;

const WORK: usize = 64;
/// Regions and mappings looked at before all translations are forgotten instead.
const SCAN: usize = 160;
/// Pages of which translations are dropped before all are forgotten instead.
const PAGES: u64 = 256;

/// Ranges of spaces that still have to be flushed.
struct Work {
    ranges: [Option<(FlobId, u64, u64)>; WORK],
    len: usize,
    overflow: bool,
    /// Ranges flushed so far: bounds the work, and ends it where mappings run in a circle.
    done: usize,
    /// Regions and mappings looked at so far.
    scanned: usize,
    /// Pages dropped so far.
    pages: u64,
}

impl Work {
    const NONE: Self = Self { ranges: [None; WORK], len: 0, overflow: false, done: 0, scanned: 0, pages: 0 };

    /// Counts a look at a region or mapping. False if that is enough.
    fn scan(&mut self) -> bool {
        self.scanned += 1;
        self.overflow |= self.scanned > SCAN;
        !self.overflow
    }

    fn push(&mut self, space: FlobId, start: u64, size: u64) {
        match self.ranges.get_mut(self.len) {
            Some(slot) => {
                *slot = Some((space, start, size));
                self.len += 1;
            }
            None => self.overflow = true,
        }
    }

    fn pop(&mut self) -> Option<(FlobId, u64, u64)> {
        self.len = self.len.checked_sub(1)?;
        self.done += 1;
        self.overflow |= self.done > WORK;
        self.ranges.get_mut(self.len)?.take()
    }
}

impl<M: Machine> Kernel<M> {
    /// Forgets what is derived from this mapping as it is now.
    pub(crate) fn flush_mapping(&mut self, mapping: FlobId) {
        let mut work = Work::NONE;
        if let Some(Mapping { space: Some(space), start, size, .. }) = self.mapping(mapping).cloned() {
            work.push(space, start, size);
        }
        self.flush(work);
    }

    /// Forgets what is derived from this region as it is now.
    pub(crate) fn flush_region(&mut self, region: FlobId) {
        let mut work = Work::NONE;
        let everything = (0, u64::MAX);
        self.push_importers(&mut work, region.0.index(), everything);
        self.flush(work);
    }

    /// Adds the ranges in which mappings show part `(offset, size)` of a region.
    fn push_importers(&self, work: &mut Work, region: u32, (offset, size): (u64, u64)) {
        let Some(Object { body: Body::Region(region), .. }) = self.objects.at(region) else { return };
        let mut index = region.mappings.head;
        while let Some(Object { body: Body::Mapping(mapping), .. }) = self.objects.at(index) {
            index = mapping.in_region.next;
            if !work.scan() {
                return;
            }
            let start = mapping.offset.max(offset);
            let end = mapping.offset.saturating_add(mapping.size).min(offset.saturating_add(size));
            if let Some(space) = mapping.space
                && start < end
            {
                work.push(space, mapping.start.saturating_add(start - mapping.offset), end - start);
            }
        }
    }

    fn flush(&mut self, mut work: Work) {
        while let Some((space, start, size)) = work.pop() {
            if work.overflow {
                break;
            }
            // A range that is long is dropped with all of its space, which is short.
            work.pages += (size / PAGE_SIZE).min(PAGES / 4);
            work.overflow |= work.pages > PAGES;
            self.machine.remove(space.key(), Page(start / PAGE_SIZE), size / PAGE_SIZE);
            let mut index = self.space(space).map_or(NONE, |space| space.regions.head);
            while let Some(Object { body: Body::Region(region), .. }) = self.objects.at(index) {
                let next = region.in_space.next;
                if !work.scan() {
                    break;
                }
                let from = region.start.max(start);
                let to = region.start.saturating_add(region.size).min(start.saturating_add(size));
                if from < to {
                    self.push_importers(&mut work, index, (from - region.start, to - from));
                }
                index = next;
            }
        }
        if work.overflow {
            self.machine.forget_all();
        }
    }
}
