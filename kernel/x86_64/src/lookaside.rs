//! Recent walks of page tables, so that the kernel's own look at a user address is short. A direct-mapped cache of what the
//! tables say; whoever changes a table removes the entry.

use core::cell::Cell;

use alloc::boxed::Box;
use flob_abi::Protection;
use flob_abi::memory::{PAGE_SHIFT, USER_END};
use flob_kernel::{Frame, Page, SpaceKey};

const ENTRIES: usize = 256;
/// Bits of a user page's number.
const PAGE_BITS: u32 = USER_END.ilog2() + 1 - PAGE_SHIFT;
/// No page of any space.
const NOTHING: u64 = u64::MAX;

#[derive(Clone, Copy)]
struct Entry {
    /// Space and page in one number.
    what: u64,
    frame: Frame,
    access: Protection,
}

const EMPTY: Entry = Entry { what: NOTHING, frame: Frame(0), access: Protection::NONE };

/// The cache.
pub struct LookAside(Box<[Cell<Entry>; ENTRIES]>);

impl LookAside {
    /// Nothing is known.
    pub fn new() -> Self {
        Self(Box::new([const { Cell::new(EMPTY) }; ENTRIES]))
    }

    /// Where a page's entry is, if it has one.
    #[inline]
    fn place(&self, space: SpaceKey, page: Page) -> (u64, &Cell<Entry>) {
        // Spaces that see the same memory at the same addresses must not meet in one entry.
        let place = (page.0 as usize ^ (space.0 as usize).wrapping_mul(37)) % ENTRIES;
        (u64::from(space.0) << PAGE_BITS | page.0, &self.0[place])
    }

    /// What a walk would find, if that is known.
    #[inline]
    pub fn find(&self, space: SpaceKey, page: Page) -> Option<(Frame, Protection)> {
        let (what, place) = self.place(space, page);
        let entry = place.get();
        if entry.what == what { Some((entry.frame, entry.access)) } else { None }
    }

    /// Remembers what a walk has found.
    pub fn enter(&self, space: SpaceKey, page: Page, frame: Frame, access: Protection) {
        let (what, place) = self.place(space, page);
        place.set(Entry { what, frame, access });
    }

    /// Forgets a page.
    pub fn remove(&self, space: SpaceKey, page: Page) {
        let (what, place) = self.place(space, page);
        if place.get().what == what {
            place.set(EMPTY);
        }
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.0.iter().for_each(|place| place.set(EMPTY));
    }
}
