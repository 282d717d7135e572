//! The kernel's heap: pools are taken from it once, at boot; what is given back is lost unless it was the last.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr::{self, NonNull};

/// Hands out memory upwards.
pub struct Heap {
    next: Cell<usize>,
    end: Cell<usize>,
    /// Up to here memory may have been written to.
    used: Cell<usize>,
}

// SAFETY: one processor, and no interrupt handler allocates.
unsafe impl Sync for Heap {}

#[global_allocator]
static HEAP: Heap = Heap { next: Cell::new(0), end: Cell::new(0), used: Cell::new(0) };

/// Gives the heap its memory.
///
/// # Safety
/// Once; nothing else uses these bytes, and they are zero.
pub unsafe fn start(memory: NonNull<[u8]>) {
    HEAP.next.set(memory.cast::<u8>().as_ptr() as usize);
    HEAP.end.set(memory.cast::<u8>().as_ptr() as usize + memory.len());
}

/// Bytes left.
pub fn left() -> usize {
    HEAP.end.get() - HEAP.next.get()
}

// SAFETY: ranges handed out are disjoint, inside the memory given, and aligned.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = self.next.get().checked_next_multiple_of(layout.align());
        let Some((start, end)) = start.and_then(|start| Some((start, start.checked_add(layout.size())?)))
        else {
            return ptr::null_mut();
        };
        if end > self.end.get() {
            return ptr::null_mut();
        }
        self.next.set(end);
        self.used.set(self.used.get().max(end));
        ptr::with_exposed_provenance_mut(start)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let used = self.used.get();
        // SAFETY: the caller's promise.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() && (block as usize) < used {
            // SAFETY: just handed out, and of this size.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if block as usize + layout.size() == self.next.get() {
            self.next.set(block as usize);
        }
    }
}
