//! The memory of an environment, as its nester sees it: a range of the nester's own memory that Rust code otherwise
//! has nothing to do with. The child runs on it, so it is only ever copied from and to.

use flob_abi::{PAGE_SIZE, Sum};

use crate::heap;

const WORD: usize = size_of::<u64>();
/// Words that are looked at together.
const BATCH: usize = 16;

/// A page-aligned range of memory for a child. Offsets in it are the *places* of the environment.
#[derive(Debug)]
pub struct ChildMemory {
    start: usize,
    size: usize,
}

impl ChildMemory {
    /// Takes `size` bytes (rounded up to pages) of memory that this program has never used, all zero. `None` if
    /// there is not that much left.
    pub fn take(size: u64) -> Option<Self> {
        let range = heap::take_untouched(usize::try_from(size).ok()?)?;
        Some(Self { start: range.start, size: range.len() })
    }

    /// Bytes in it.
    pub const fn size(&self) -> u64 {
        self.size as u64
    }

    /// Address of this offset in the own space.
    pub const fn address(&self, offset: u64) -> u64 {
        self.start as u64 + offset
    }

    /// Address in the own space of `count` bytes at `offset`, if they lie within.
    fn range(&self, offset: u64, count: usize) -> Option<usize> {
        let offset = usize::try_from(offset).ok()?;
        let end = offset.checked_add(count)?;
        (end <= self.size).then_some(self.start + offset)
    }

    /// Copies bytes out; `false` (and nothing is copied) if they do not all lie within.
    #[must_use]
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> bool {
        let Some(address) = self.range(offset, buffer.len()) else { return false };
        // SAFETY: the range is ours and within; it is no Rust object, so the buffer cannot overlap it.
        unsafe {
            let from = core::ptr::with_exposed_provenance::<u8>(address);
            core::ptr::copy_nonoverlapping(from, buffer.as_mut_ptr(), buffer.len());
        }
        true
    }

    /// Copies bytes in; `false` (and nothing is copied) if they do not all lie within.
    #[must_use]
    pub fn write(&self, offset: u64, bytes: &[u8]) -> bool {
        let Some(address) = self.range(offset, bytes.len()) else { return false };
        // SAFETY: the range is ours and within; it is no Rust object, so nothing of Rust's changes.
        unsafe {
            let to = core::ptr::with_exposed_provenance_mut::<u8>(address);
            core::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
        }
        true
    }

    /// Whether this page holds nothing but zeroes; `true` for one that does not exist.
    pub fn is_page_zero(&self, page: u64) -> bool {
        let Some(address) = self.page(page) else { return true };
        // Many words at a time: the look at each costs more than the word.
        (0..PAGE_SIZE as usize / (WORD * BATCH)).all(|batch| {
            let words = core::ptr::with_exposed_provenance::<u64>(address + batch * WORD * BATCH);
            // SAFETY: the page is ours, within and aligned.
            (0..BATCH).fold(0, |all, index| all | unsafe { words.add(index).read_volatile() }) == 0
        })
    }

    /// Adds a page to a sum; `false` if it does not exist.
    #[must_use]
    pub fn add_page_to(&self, page: u64, sum: &mut Sum) -> bool {
        let Some(address) = self.page(page) else { return false };
        let mut words = core::ptr::with_exposed_provenance::<u64>(address);
        for _ in 0..PAGE_SIZE as usize / (WORD * BATCH) {
            for index in 0..BATCH {
                // SAFETY: the page is ours, within and aligned.
                sum.add(unsafe { words.add(index).read_volatile() });
            }
            words = words.wrapping_add(BATCH);
        }
        true
    }

    /// Makes a write to this page that changes nothing: whoever denies it to this program is asked.
    pub fn touch(&self, page: u64) {
        let Some(address) = self.page(page) else { return };
        // SAFETY: the page is ours and within, no Rust object, and stays as it is, whatever a child writes meanwhile.
        unsafe { core::arch::asm!("lock or dword ptr [{}], 0", in(reg) address) }
    }

    /// Address of a page in the own space, if it lies within.
    fn page(&self, page: u64) -> Option<usize> {
        page.checked_mul(PAGE_SIZE).and_then(|offset| self.range(offset, PAGE_SIZE as usize))
    }

    /// All of it as a buffer to be filled: for memory that no child has.
    pub fn buffer(&mut self) -> &mut [u8] {
        // SAFETY: the range is ours and initialised, and the borrow keeps other uses of this value out.
        unsafe {
            core::slice::from_raw_parts_mut(core::ptr::with_exposed_provenance_mut(self.start), self.size)
        }
    }

    /// A look at it for a thread that does not own it.
    pub fn peek(&self) -> Peek {
        Peek { start: self.start, size: self.size }
    }

    /// Makes every page from this one on zero again.
    pub fn clear_from(&self, page: u64) {
        (page..self.size() / PAGE_SIZE).for_each(|page| self.clear_page(page));
    }

    /// Makes a page zero, if it lies within and is not.
    pub fn clear_page(&self, page: u64) {
        if !self.is_page_zero(page) {
            let cleared = self.write(page * PAGE_SIZE, &[0; PAGE_SIZE as usize]);
            debug_assert!(cleared, "the page lies within");
        }
    }
}

/// A look at memory that another thread fills. Meaningful while that thread is blocked or stopped.
#[derive(Clone, Copy, Debug)]
pub struct Peek {
    start: usize,
    size: usize,
}

impl Peek {
    /// A copy of the first `count` bytes, or of all if there are fewer.
    pub fn copy(&self, count: usize) -> alloc::vec::Vec<u8> {
        let mut bytes = alloc::vec![0; count.min(self.size)];
        // SAFETY: the range was taken for good, so it is readable; the copy is ours alone.
        unsafe {
            let from = core::ptr::with_exposed_provenance::<u8>(self.start);
            core::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len());
        }
        bytes
    }
}
