//! A lock that enters the kernel only where two threads want it at once: a word in the program's memory, with flobs behind it
//! for those who wait. For what is held for a few instructions and very often, as the heap; [`crate::sync::Lock`] is for all
//! else: its flob tells a debugger who holds it.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::flob::{Condition, Mutex};

/// Nobody holds it.
const FREE: u32 = 0;
/// Somebody does, and nobody waits.
const HELD: u32 = 1;
/// Somebody does, and others may wait: who lets it go looks for them.
const WANTED: u32 = 2;

/// The lock. Its condition variable is there only while somebody waits, so that a program has the same flobs before and after.
/// The mutex comes first, so that a debugger names it by the symbol of the latch.
#[repr(C)]
pub(crate) struct Latch {
    /// Guards what is below it but the word, and keeps who waits from missing the word's change.
    mutex: Mutex,
    condition: Condition,
    waiting: AtomicUsize,
    word: AtomicU32,
}

impl Latch {
    /// Free. [`Latch::start`] comes before its second thread.
    pub(crate) const fn new() -> Self {
        Self {
            mutex: Mutex::new(),
            condition: Condition::new(),
            waiting: AtomicUsize::new(0),
            word: AtomicU32::new(FREE),
        }
    }

    /// Creates its mutex.
    pub(crate) fn start(&self) {
        // A latch without one still serves the first thread; `wait` fails where it matters.
        let _ = self.mutex.at().create();
    }

    /// Waits until nobody else holds it. A thread that has it already waits for ever.
    #[inline]
    pub(crate) fn lock(&self) {
        if self.word.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.wait();
        }
    }

    /// Lets it go.
    #[inline]
    pub(crate) fn unlock(&self) {
        if self.word.swap(FREE, Ordering::Release) == WANTED {
            self.wake();
        }
    }

    /// Whoever comes this way leaves the word as [`WANTED`]: it cannot know whether it was the last.
    #[cold]
    fn wait(&self) {
        while self.mutex.at().lock().is_err() {}
        if self.waiting.fetch_add(1, Ordering::Relaxed) == 0 {
            let created = self.condition.at().create();
            assert!(created.is_ok(), "the kernel has no memory for a thread to wait for the heap");
        }
        while self.word.swap(WANTED, Ordering::Acquire) != FREE {
            let _ = self.condition.at().wait(self.mutex.at());
        }
        if self.waiting.fetch_sub(1, Ordering::Relaxed) == 1 {
            let _ = self.condition.at().destroy();
        }
        let _ = self.mutex.at().unlock();
    }

    #[cold]
    fn wake(&self) {
        while self.mutex.at().lock().is_err() {}
        if self.waiting.load(Ordering::Relaxed) > 0 {
            let _ = self.condition.at().signal();
        }
        let _ = self.mutex.at().unlock();
    }
}
