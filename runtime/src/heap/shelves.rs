//! Small blocks that were given back, by size: who wants one of that size takes it from there, without a search for the best place and
//! without joining and splitting. Most blocks of a nester live for one message, and come in a few sizes.

use core::alloc::Layout;
use core::ptr::NonNull;

use talc::{OomHandler, Talc};

/// Sizes are rounded up to this.
const GRAIN: usize = 16;
/// Whoever wants a stricter alignment is served by the heap itself.
const ALIGNMENT: usize = 8;
const SHELVES: usize = 64;
/// Most bytes that are kept of one size. All others are the heap's again at once.
const KEPT: usize = 2048;

/// A block that nobody has.
struct Block {
    next: Option<NonNull<Self>>,
}

#[derive(Clone, Copy)]
struct Shelf {
    first: Option<NonNull<Block>>,
    /// Bytes on it.
    kept: usize,
}

/// What is kept, by size.
pub(super) struct Shelves([Shelf; SHELVES]);

/// The shelf of blocks with this layout.
#[inline]
const fn shelf_of(layout: Layout) -> Option<usize> {
    let index = layout.size().wrapping_sub(1) / GRAIN;
    if index < SHELVES && layout.align() <= ALIGNMENT { Some(index) } else { None }
}

/// What all blocks of this shelf have.
fn layout_of(index: usize) -> Layout {
    // SAFETY: a power of two, and the largest size is far from any limit.
    unsafe { Layout::from_size_align_unchecked((index + 1) * GRAIN, ALIGNMENT) }
}

impl Shelves {
    pub const fn new() -> Self {
        Self([const { Shelf { first: None, kept: 0 } }; SHELVES])
    }

    /// Whether a block of this layout is as good for so many bytes.
    pub fn fits(layout: Layout, size: usize) -> bool {
        let index = shelf_of(layout);
        // SAFETY: the alignment is that of a layout, and a size with a shelf is small.
        index.is_some()
            && index == shelf_of(unsafe { Layout::from_size_align_unchecked(size, layout.align()) })
    }

    /// A new block.
    ///
    /// # Safety
    /// Its size is not zero. It goes back by [`Shelves::free`], and all blocks of this heap come from here.
    pub unsafe fn malloc<O: OomHandler>(
        &mut self,
        talc: &mut Talc<O>,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        let mut wanted = layout;
        if let Some(index) = shelf_of(layout) {
            wanted = layout_of(index);
            if let Some(shelf) = self.0.get_mut(index)
                && let Some(block) = shelf.first
            {
                // SAFETY: what is on a shelf is a block that nobody has.
                shelf.first = unsafe { block.read() }.next;
                shelf.kept = shelf.kept.wrapping_sub(wanted.size());
                return Some(block.cast());
            }
        }
        // SAFETY: the caller's promise.
        unsafe { talc.malloc(wanted).ok().or_else(|| self.malloc_last(talc, wanted)) }
    }

    /// The heap is full: what is kept may be what is missing.
    #[cold]
    #[inline(never)]
    unsafe fn malloc_last<O: OomHandler>(
        &mut self,
        talc: &mut Talc<O>,
        wanted: Layout,
    ) -> Option<NonNull<u8>> {
        for (index, shelf) in self.0.iter_mut().enumerate() {
            while let Some(block) = shelf.first {
                // SAFETY: what is on a shelf is a block of its layout that nobody has.
                unsafe {
                    shelf.first = block.read().next;
                    talc.free(block.cast(), layout_of(index));
                }
            }
            shelf.kept = 0;
        }
        // SAFETY: the caller's promise.
        unsafe { talc.malloc(wanted) }.ok()
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// It is one of [`Shelves::malloc`] with this layout, or one that [fits](Shelves::fits), and the caller has it no more.
    pub unsafe fn free<O: OomHandler>(&mut self, talc: &mut Talc<O>, block: NonNull<u8>, layout: Layout) {
        let mut had = layout;
        if let Some(index) = shelf_of(layout) {
            had = layout_of(index);
            if let Some(shelf) = self.0.get_mut(index) {
                let kept = shelf.kept.wrapping_add(had.size());
                if kept <= KEPT {
                    let block = block.cast::<Block>();
                    // SAFETY: nobody has it, and it is large and aligned enough.
                    unsafe { block.write(Block { next: shelf.first }) };
                    *shelf = Shelf { first: Some(block), kept };
                    return;
                }
            }
        }
        // SAFETY: with this layout it was taken from there.
        unsafe { talc.free(block, had) }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use talc::{ErrOnOom, Span};

    use super::*;

    /// A heap over this memory.
    fn heap(memory: &mut [u64]) -> (Shelves, Talc<ErrOnOom>) {
        let mut talc = Talc::new(ErrOnOom);
        // SAFETY: the test has the memory for longer than the heap.
        unsafe { talc.claim(Span::from(memory)) }.expect("enough memory");
        (Shelves::new(), talc)
    }

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("a layout")
    }

    /// Numbers without a pattern.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, end: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % end
        }
    }

    fn fill(block: NonNull<u8>, size: usize, byte: u8) {
        // SAFETY: the test has the block.
        unsafe { block.write_bytes(byte, size) };
    }

    fn holds(block: NonNull<u8>, size: usize, byte: u8) -> bool {
        // SAFETY: the test has the block and has filled it.
        let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), size) };
        bytes.iter().all(|one| *one == byte)
    }

    #[test]
    fn blocks_are_aligned_keep_their_bytes_and_go_back_whole() {
        let mut memory = std::vec![0_u64; 1 << 16];
        let (mut shelves, mut talc) = heap(&mut memory);
        let mut numbers = Numbers(1);
        let mut all: Vec<(NonNull<u8>, Layout, u8)> = Vec::new();
        for round in 0..100_000_u32 {
            if all.len() < 150 && numbers.below(2) == 0 || all.is_empty() {
                let most = [40, 200, 1100, 3000][numbers.below(4)];
                let wanted = layout(1 + numbers.below(most), 1 << numbers.below(6));
                // SAFETY: the size is not zero.
                let block = unsafe { shelves.malloc(&mut talc, wanted) }.expect("memory for so few");
                assert!(block.addr().get().is_multiple_of(wanted.align()));
                fill(block, wanted.size(), round as u8);
                all.push((block, wanted, round as u8));
            } else {
                let (block, had, byte) = all.swap_remove(numbers.below(all.len()));
                assert!(holds(block, had.size(), byte), "{had:?}");
                // SAFETY: it is from there, and is forgotten here.
                unsafe { shelves.free(&mut talc, block, had) };
            }
        }
        for (block, had, byte) in all {
            assert!(holds(block, had.size(), byte), "{had:?}");
            // SAFETY: as above.
            unsafe { shelves.free(&mut talc, block, had) };
        }
        // All of it in one piece: so nothing is on a shelf any more either.
        let nearly_all = layout((1 << 19) - 4096, 8);
        // SAFETY: the size is not zero.
        assert!(unsafe { shelves.malloc(&mut talc, nearly_all) }.is_some());
    }

    #[test]
    fn the_same_block_serves_all_sizes_that_come_to_the_same() {
        let mut memory = std::vec![0_u64; 1 << 12];
        let (mut shelves, mut talc) = heap(&mut memory);
        // SAFETY: sizes are not zero, and each block goes back once.
        unsafe {
            let first = shelves.malloc(&mut talc, layout(17, 1)).expect("memory");
            shelves.free(&mut talc, first, layout(17, 1));
            let second = shelves.malloc(&mut talc, layout(32, 8)).expect("memory");
            assert_eq!(first, second);
            fill(second, 32, 1);
            let third = shelves.malloc(&mut talc, layout(32, 8)).expect("memory");
            assert_ne!(third, second);
            shelves.free(&mut talc, third, layout(32, 8));
            // One that is to lie at a multiple of 16 is not taken from there.
            let aligned = shelves.malloc(&mut talc, layout(32, 16)).expect("memory");
            assert!(aligned.addr().get().is_multiple_of(16));
            shelves.free(&mut talc, aligned, layout(32, 16));
            assert_eq!(shelves.malloc(&mut talc, layout(20, 4)), Some(third));
        }
    }

    #[test]
    fn no_more_than_that_is_kept_of_one_size() {
        let mut memory = std::vec![0_u64; 1 << 16];
        let (mut shelves, mut talc) = heap(&mut memory);
        let size = layout(500, 8);
        // SAFETY: sizes are not zero, and each block goes back once.
        unsafe {
            let all: Vec<_> = (0..100).map(|_| shelves.malloc(&mut talc, size).expect("memory")).collect();
            all.into_iter().for_each(|block| shelves.free(&mut talc, block, size));
        }
        assert!(shelves.0.iter().all(|shelf| shelf.kept <= KEPT));
        assert_eq!(shelves.0[shelf_of(size).expect("it has one")].kept, 4 * 512);
    }

    #[test]
    fn what_fits_where_it_is() {
        assert!(Shelves::fits(layout(1, 1), 16) && Shelves::fits(layout(1024, 8), 1009));
        assert!(!Shelves::fits(layout(16, 1), 17) && !Shelves::fits(layout(17, 8), 16));
        assert!(!Shelves::fits(layout(2000, 8), 2000), "the heap's own are for the heap to change");
        assert!(!Shelves::fits(layout(32, 16), 32) && !Shelves::fits(layout(32, 8), 0));
    }
}
