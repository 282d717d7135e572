//! Recent walks of page tables, so that the kernel's own look at a user address is short. A direct-mapped cache of what the
//! tables say; whoever changes a table removes the entry.

use core::cell::Cell;

use alloc::boxed::Box;
use flob_abi::Protection;
use flob_kernel::{Frame, Page, SpaceKey};

const ENTRIES: usize = 256;
/// No page of any space.
const NOTHING: u64 = u64::MAX;

/// Its size is a power of two, so that finding one is short.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct Entry {
    page: u64,
    space: SpaceKey,
    /// The frame's number above what is allowed.
    found: u32,
}

const EMPTY: Entry = Entry { page: NOTHING, space: SpaceKey(0), found: 0 };
/// Bits of what is allowed.
const ACCESS_BITS: u32 = 3;

/// The cache.
pub struct LookAside(Box<[Cell<Entry>; ENTRIES]>);

impl LookAside {
    /// Nothing is known.
    pub fn new() -> Self {
        Self(Box::new([const { Cell::new(EMPTY) }; ENTRIES]))
    }

    /// Where a page's entry is, if it has one.
    #[inline(always)]
    fn place(&self, space: SpaceKey, page: Page) -> &Cell<Entry> {
        // Spaces that see the same memory at the same addresses must not meet in one entry.
        let place = (page.0 as usize).wrapping_add(space.index() * 8) % ENTRIES;
        &self.0[place]
    }

    /// What a walk would find, if that is known.
    #[inline(always)]
    pub fn find(&self, space: SpaceKey, page: Page) -> Option<(Frame, Protection)> {
        let place = self.place(space, page);
        let entry = place.get();
        if entry.page != page.0 || entry.space != space {
            return None;
        }
        Some((Frame(entry.found >> ACCESS_BITS), Protection::from_bits(entry.found)))
    }

    /// Remembers what a walk has found.
    pub fn enter(&self, space: SpaceKey, page: Page, frame: Frame, access: Protection) {
        let found = frame.0 << ACCESS_BITS | access.0;
        self.place(space, page).set(Entry { page: page.0, space, found });
    }

    /// Forgets a page.
    pub fn remove(&self, space: SpaceKey, page: Page) {
        let place = self.place(space, page);
        let entry = place.get();
        if entry.page == page.0 && entry.space == space {
            place.set(EMPTY);
        }
    }

    /// Forgets all: of each entry only what it is found by is written.
    pub fn clear(&self) {
        self.0.iter().for_each(|place| place.set(Entry { page: NOTHING, ..place.get() }));
    }
}
