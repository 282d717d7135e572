//! The kernel's heap: pools are taken from it once, at boot; what is given back is lost unless it was the last.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

use spin::Mutex;

/// Hands out memory upwards.
struct Heap(Mutex<Range>);

struct Range {
    next: usize,
    end: usize,
    /// Up to here memory may have been written to.
    used: usize,
}

#[global_allocator]
static HEAP: Heap = Heap(Mutex::new(Range { next: 0, end: 0, used: 0 }));

/// Gives the heap its memory.
///
/// # Safety
/// Once; nothing else uses these bytes, and they are zero.
pub unsafe fn start(memory: NonNull<[u8]>) {
    let start = memory.cast::<u8>().as_ptr() as usize;
    *HEAP.0.lock() = Range { next: start, end: start + memory.len(), used: start };
}

/// Bytes left.
pub fn left() -> usize {
    let range = HEAP.0.lock();
    range.end - range.next
}

impl Range {
    /// The address of a new block, and whether it may have been written to.
    fn take(&mut self, layout: Layout) -> Option<(usize, bool)> {
        let start = self.next.checked_next_multiple_of(layout.align())?;
        let end = start.checked_add(layout.size()).filter(|end| *end <= self.end)?;
        let written = start < self.used;
        self.next = end;
        self.used = self.used.max(end);
        Some((start, written))
    }
}

// SAFETY: ranges handed out are disjoint, inside the memory given, and aligned.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let taken = self.0.lock().take(layout);
        taken.map_or(ptr::null_mut(), |(start, _)| ptr::with_exposed_provenance_mut(start))
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some((start, written)) = self.0.lock().take(layout) else { return ptr::null_mut() };
        let block: *mut u8 = ptr::with_exposed_provenance_mut(start);
        if written {
            // SAFETY: just handed out, and of this size.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let mut range = self.0.lock();
        if block as usize + layout.size() == range.next {
            range.next = block as usize;
        }
    }
}
