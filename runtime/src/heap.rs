//! The program's heap: `talc` over the memory of the start page, under a latch, and before it the [`shelves`]. It grows in steps, so that memory that was
//! never needed stays untouched (an image of the program stays small, and the rest can be given away with
//! [`take_untouched`]).

mod shelves;

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ops::Range;
use core::ptr::{NonNull, null_mut};

use flob_abi::PAGE_SIZE;
use talc::{OomHandler, Span, Talc};

use crate::latch::Latch;
use shelves::Shelves;

/// How much more memory the heap takes when it is full, at least.
const STEP: usize = 1 << 20;

/// Held while the heap is looked at, and while a lock is made.
static HEAP_LOCK: Latch = Latch::new();
static STATE: State = State(UnsafeCell::new((
    Shelves::new(),
    Talc::new(Untouched { claimed: Span::empty(), start: 0, end: 0 }),
)));

/// The allocator's state; [`locked`] is the only way to it.
struct State(UnsafeCell<(Shelves, Talc<Untouched>)>);

// SAFETY: every access goes through `locked`.
unsafe impl Sync for State {}

/// Memory that the heap has not taken yet, page-aligned at both ends.
struct Untouched {
    claimed: Span,
    start: usize,
    end: usize,
}

impl OomHandler for Untouched {
    fn handle_oom(talc: &mut Talc<Self>, layout: Layout) -> Result<(), ()> {
        let left = talc.oom_handler.end.saturating_sub(talc.oom_handler.start);
        // Twice the alignment: the block may begin anywhere in the new memory.
        let wanted = layout.size().checked_add(layout.align().saturating_mul(2)).ok_or(())?.max(STEP);
        let wanted = wanted.checked_next_multiple_of(PAGE_SIZE as usize).ok_or(())?.min(left);
        if wanted == 0 {
            return Err(());
        }
        let start = talc.oom_handler.start;
        let claimed = talc.oom_handler.claimed;
        talc.oom_handler.start = start + wanted;
        // SAFETY: the memory behind the claimed part is the program's and nobody has it yet.
        let claimed = unsafe {
            if claimed.is_empty() {
                talc.claim(Span::new(
                    core::ptr::with_exposed_provenance_mut(start),
                    core::ptr::with_exposed_provenance_mut(start + wanted),
                ))?
            } else {
                talc.extend(claimed, claimed.extend(0, wanted))
            }
        };
        talc.oom_handler.claimed = claimed;
        Ok(())
    }
}

/// Gives the heap its memory. Called once, before there is a second thread.
pub(crate) fn start(memory: Range<usize>) {
    HEAP_LOCK.start();
    locked(|_, talc| {
        let page = PAGE_SIZE as usize;
        talc.oom_handler.start = memory.start.next_multiple_of(page);
        talc.oom_handler.end = memory.end / page * page;
    });
}

fn locked<R>(act: impl FnOnce(&mut Shelves, &mut Talc<Untouched>) -> R) -> R {
    alone(|| {
        // SAFETY: the latch keeps all others out, and nothing in here allocates.
        let (shelves, talc) = unsafe { &mut *STATE.0.get() };
        act(shelves, talc)
    })
}

/// Runs `act` under the latch, which is there before any lock is: so a lock's flob can be made under it. `act` does not
/// allocate.
pub(crate) fn alone<R>(act: impl FnOnce() -> R) -> R {
    HEAP_LOCK.lock();
    let result = act();
    HEAP_LOCK.unlock();
    result
}

/// Takes `size` bytes (whole pages) of memory that has never been used, from the end of what the heap has not taken
/// yet. It is zero as long as whoever started the program gave zeroed memory. Nothing ever gives it back.
pub fn take_untouched(size: usize) -> Option<Range<usize>> {
    let size = size.checked_next_multiple_of(PAGE_SIZE as usize)?;
    locked(|_, talc| {
        let start = talc.oom_handler.end.checked_sub(size)?;
        if start < talc.oom_handler.start {
            return None;
        }
        let end = core::mem::replace(&mut talc.oom_handler.end, start);
        Some(start..end)
    })
}

/// How many bytes [`take_untouched`] could take.
pub fn untouched() -> usize {
    locked(|_, talc| talc.oom_handler.end.saturating_sub(talc.oom_handler.start))
}

/// The global allocator of guest programs; [`crate::program!`] installs it.
pub struct Heap;

// SAFETY: talc and the shelves keep the contract; the lock makes it one caller at a time.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: a layout of size zero never reaches a global allocator.
        locked(|shelves, talc| unsafe { shelves.malloc(talc, layout) }).map_or(null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if let Some(pointer) = NonNull::new(pointer) {
            // SAFETY: the caller vouches that the block came from here with this layout.
            locked(|shelves, talc| unsafe { shelves.free(talc, pointer, layout) });
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if Shelves::fits(layout, size) {
            return pointer;
        }
        // SAFETY: the caller vouches for size and alignment, and for the block; the new one is another.
        unsafe {
            let to = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !to.is_null() {
                to.copy_from_nonoverlapping(pointer, layout.size().min(size));
                self.dealloc(pointer, layout);
            }
            to
        }
    }
}
