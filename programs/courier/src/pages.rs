//! The memory of both buffers: as it is, and once more where a region denies everything and its keeper is asked.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use flob_program_shared::{Failure, expect, leak, mix, refer};
use flob_runtime::abi::{PAGE_SIZE, Protection, RegionState};
use flob_runtime::flob::{FlobAt, Links, Mapping, Reference, Region};
use flob_runtime::start;

const WORDS: u64 = PAGE_SIZE / 8;
/// Where the denied pages are seen: first those that are sent, then those that arrive.
const WINDOW: u64 = 0x6000_0000_0000;

#[repr(C, align(4096))]
struct Page([AtomicU64; WORDS as usize]);

/// Both buffers.
#[derive(Clone, Copy)]
pub struct Pages {
    memory: &'static [Page],
    /// Pages of one buffer.
    count: u64,
    /// The keeper fills those that are sent.
    is_filled: bool,
}

/// The word that belongs there.
fn contents(index: u64) -> u64 {
    mix(0x0c0_0c1e, index)
}

impl Pages {
    /// So many pages for each buffer, all denied; a port of their keeper.
    pub fn new(count: u64, keeper: FlobAt<Reference>) -> Result<Self, Failure> {
        let memory: Vec<Page> =
            (0..2 * count).map(|_| Page([const { AtomicU64::new(0) }; WORDS as usize])).collect();
        let memory: &'static [Page] = Vec::leak(memory);
        let (start, size) = (memory.as_ptr().expose_provenance() as u64, 2 * count * PAGE_SIZE);
        let region = leak(Region::new()).at();
        region.export(start::space(), start, size, Protection::NONE)?;
        let state: RegionState = region.get_state(&Links::NONE)?;
        region.set_state(&state, &Links::of(&[start::space(), keeper]))?;
        let (from, to) = ((refer(region)?, 0), (start::space(), WINDOW));
        leak(Mapping::new()).at().map(from, to, size, Protection::READ_WRITE)?;
        Ok(Self { memory, count, is_filled: true })
    }

    /// Bytes of one buffer.
    pub fn bytes(self) -> u64 {
        self.count * PAGE_SIZE
    }

    /// What is sent, where it is denied.
    pub fn leaving(self) -> &'static [u8] {
        self.denied().get(..self.bytes() as usize).unwrap_or_default()
    }

    /// Both buffers, where they are denied and nothing arrives.
    pub fn denied(self) -> &'static [u8] {
        let window = core::ptr::with_exposed_provenance(WINDOW as usize);
        // SAFETY: mapped for good, and written by nobody where it is seen so; the keeper fills a page before it can be read.
        unsafe { core::slice::from_raw_parts(window, 2 * self.bytes() as usize) }
    }

    /// Where it arrives, where that is denied. For one thread.
    pub fn arriving(self) -> &'static mut [u8] {
        self.to_write(WINDOW + self.bytes())
    }

    /// Where something else arrives, if nothing is sent. For one thread.
    pub fn arriving_too(self) -> &'static mut [u8] {
        self.to_write(WINDOW)
    }

    fn to_write(self, start: u64) -> &'static mut [u8] {
        let window = core::ptr::with_exposed_provenance_mut(start as usize);
        // SAFETY: mapped for good; only one receiver asks for it, and `check` looks after its call.
        unsafe { core::slice::from_raw_parts_mut(window, self.bytes() as usize) }
    }

    /// This is sent, from so many bytes on, a whole number of pages, and not what a keeper fills in.
    pub fn put(&mut self, start: u64, message: &[u8]) {
        self.is_filled = false;
        let pages = self.memory.get((start / PAGE_SIZE) as usize..).unwrap_or_default();
        let words = pages.iter().flat_map(|page| &page.0);
        for (at, bytes) in words.zip(message.chunks(8)) {
            let mut word = [0; 8];
            word.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            at.store(u64::from_le_bytes(word), Ordering::Relaxed);
        }
    }

    /// Fills the page that a fault at this offset wants, if it is one that is sent.
    pub fn fill(self, offset: u64) {
        let number = offset / PAGE_SIZE;
        let page = self.memory.get(number as usize).filter(|_| self.is_filled && number < self.count);
        for (word, at) in (number * WORDS..).zip(page.iter().flat_map(|page| &page.0)) {
            at.store(contents(word), Ordering::Relaxed);
        }
    }

    /// Whether all has arrived as it was sent.
    pub fn check(self) -> Result<(), Failure> {
        let arrived = self.memory.get(self.count as usize..).unwrap_or_default();
        for (index, word) in (0..).zip(arrived.iter().flat_map(|page| &page.0)) {
            expect("word that arrived", word.load(Ordering::Relaxed), contents(index))?;
        }
        Ok(())
    }
}
