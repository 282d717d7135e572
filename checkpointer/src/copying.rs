//! The memory of a child as it was at a moment, while the child runs on. Its pages are denied to be written at the region
//! ([`crate::denial`]), and one that is about to be written is copied first, to the same place of other memory, if it is wanted at
//! all. So what is read is the memory as it was, however long that takes.

use alloc::vec;
use core::ops::Range;

use flob_abi::{PAGE_SIZE, Status, call::Dirty};
use flob_image::Place;
use flob_runtime::nester::{ChildMemory, Environment};

use crate::pages::PageSet;

/// The memory that is kept as it was, and what its nester knows of it.
pub trait Original {
    /// Where the child writes.
    fn memory(&self) -> &ChildMemory;
    /// Where copies go. As large, and nothing else is written there.
    fn copies(&self) -> &ChildMemory;
    /// Whether a page is wanted that was not written since the moment. One of which that cannot be found out is.
    fn is_wanted(&self, page: u64) -> bool;
    /// Takes the nester's own marks off what was read at this place: they may come and go before the copy is used.
    fn hide(&self, place: Place, bytes: &mut [u8]);
}

/// What has become of each page since the moment.
#[derive(Debug, Default)]
pub struct Copying {
    /// Pages that the child may have written since: as they were they are among the copies, or not wanted.
    settled: PageSet,
    /// Pages that have been copied.
    copied: PageSet,
}

/// Where a page is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Where the child writes.
    Present,
    /// Among the copies.
    Copy,
    /// Nowhere: it was not wanted, and is not as it was any more.
    Gone,
}

impl Copying {
    /// At the moment, of so many pages. From now on the child must be denied to write.
    pub fn new(pages: u64) -> Self {
        Self { settled: PageSet::new(pages), copied: PageSet::new(pages) }
    }

    /// See [`Source`].
    pub fn source(&self, page: u64) -> Source {
        if self.copied.contains(page) {
            Source::Copy
        } else if self.settled.contains(page) {
            Source::Gone
        } else {
            Source::Present
        }
    }

    /// How many pages have been copied.
    pub fn count(&self) -> u64 {
        self.copied.count()
    }

    /// This memory is about to be changed: it is copied, as far as it is wanted and has not been.
    pub fn about_to_change(&mut self, original: &impl Original, place: Place, bytes: u64) {
        let last = place.saturating_add(bytes.saturating_sub(1)) / PAGE_SIZE;
        for page in place / PAGE_SIZE..=last {
            if self.settled.insert(page) && original.is_wanted(page) {
                self.copy(original, page);
            }
        }
    }

    /// Copies a page that is as it was; from now on the child may write it.
    pub fn copy(&mut self, original: &impl Original, page: u64) {
        self.settled.insert(page);
        let (from, to) = (original.memory(), original.copies());
        // What is empty here and there need not be written: memory that nobody has used stays so.
        if !(from.is_page_zero(page) && to.is_page_zero(page)) {
            let (place, mut bytes) = (page * PAGE_SIZE, vec![0; PAGE_SIZE as usize]);
            if !from.read(place, &mut bytes) {
                return;
            }
            original.hide(place, &mut bytes);
            let copied = to.write(place, &bytes);
            debug_assert!(copied, "there is room for all copies");
        }
        self.copied.insert(page);
    }
}

/// The first pages in a row among these of which the kernel knows that they were written since an epoch.
pub fn next_written(
    environment: &Environment,
    pages: Range<u64>,
    since: u64,
) -> Result<Option<Range<u64>>, Status> {
    let (mut offset, mut left) = (pages.start * PAGE_SIZE, pages.count() as u64 * PAGE_SIZE);
    while left > 0 {
        let mut found = [Dirty::default()];
        let search = environment.region().dirty(offset, left, &mut found, since)?;
        let [found] = found;
        if search.count > 0 {
            let first = found.offset / PAGE_SIZE;
            return Ok(Some(first..first + found.size / PAGE_SIZE));
        }
        (offset, left) = (search.offset, search.size);
    }
    Ok(None)
}
