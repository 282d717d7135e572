//! One page table: what its entries mean.

use crate::layout::DIRECT_MAP;
use flob_abi::Protection;
use flob_abi::memory::{PAGE_SHIFT, USER_END};
use flob_kernel::{Caching, Frame, Page};

/// Entries in a table.
pub const ENTRIES: usize = 512;

/// Bits of an entry.
pub mod bit {
    /// The entry counts.
    pub const PRESENT: u64 = 1 << 0;
    /// Writing is allowed.
    pub const WRITE: u64 = 1 << 1;
    /// User code is allowed.
    pub const USER: u64 = 1 << 2;
    /// Write-through and no caching: a device.
    pub const UNCACHED: u64 = 3 << 3;
    /// Set beforehand, so that the processor never writes to a table.
    pub const ACCESSED_DIRTY: u64 = 3 << 5;
    /// A page of 2 MiB.
    pub const LARGE: u64 = 1 << 7;
    /// The same in all spaces.
    pub const GLOBAL: u64 = 1 << 8;
    /// Executing is not allowed.
    pub const NO_EXECUTE: u64 = 1 << 63;
    /// The physical address.
    pub const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
}

/// What leads to a lower table: the leaves decide what is allowed.
pub const TO_TABLE: u64 = bit::PRESENT | bit::WRITE | bit::USER | bit::ACCESSED_DIRTY;

/// One table, as the processor reads it.
#[derive(Clone)]
#[repr(C, align(4096))]
pub struct Table(pub [u64; ENTRIES]);

impl Table {
    /// Nothing mapped.
    pub const EMPTY: Self = Self([0; ENTRIES]);

    /// Its physical address, for a table in the direct map.
    pub fn physical(&self) -> u64 {
        (core::ptr::from_ref(self).expose_provenance() as u64).wrapping_sub(DIRECT_MAP)
    }
}

/// What a leaf allows.
pub fn allowed(entry: u64) -> Protection {
    let write = if entry & bit::WRITE != 0 { Protection::WRITE } else { Protection::NONE };
    let execute = if entry & bit::NO_EXECUTE == 0 { Protection::EXECUTE } else { Protection::NONE };
    Protection::READ.or(write).or(execute)
}

/// The entry for a page.
pub fn leaf(frame: Frame, access: Protection, caching: Caching) -> u64 {
    let mut entry = u64::from(frame.0) << PAGE_SHIFT | bit::PRESENT | bit::USER | bit::ACCESSED_DIRTY;
    if access.allows(Protection::WRITE) {
        entry |= bit::WRITE;
    }
    if !access.allows(Protection::EXECUTE) {
        entry |= bit::NO_EXECUTE;
    }
    if caching == Caching::Uncached {
        entry |= bit::UNCACHED;
    }
    entry
}

/// Where a page's entry is in a table of this level; 1 is the lowest.
#[inline]
pub fn index(page: Page, level: u32) -> usize {
    (page.0 >> (9 * (level - 1))) as usize % ENTRIES
}

/// Whether user code can have this page at all.
pub fn is_user(page: Page) -> bool {
    page.0 < USER_END >> PAGE_SHIFT
}
