//! Packs on their way into the store: some at once, each in a thread of its own, while the next is filled. A store takes its time: a
//! disk that is waited for, a service far away.

use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::thread::{Builder as Thread, JoinHandle};

use super::manifest::PackReference;
use super::{Store, StoreError, pack};

/// Packs that are written at once.
const AT_ONCE: usize = 4;

/// Writes packs. Dropped without [`Writer::finish`] it waits for what is being written: nothing is written behind the back of who has
/// let go of the store's lock.
pub(super) struct Writer {
    store: Store,
    /// In the order of what they write.
    under_way: VecDeque<JoinHandle<Result<PackReference, StoreError>>>,
    written: Vec<PackReference>,
}

impl Writer {
    pub const fn new(store: Store) -> Self {
        Self { store, under_way: VecDeque::new(), written: Vec::new() }
    }

    /// Begins to write a pack; where many are under way, when the first of them is there.
    ///
    /// # Errors
    /// If that could not be written.
    pub fn write(&mut self, bytes: Vec<u8>) -> Result<(), StoreError> {
        if self.under_way.len() >= AT_ONCE {
            self.wait_for_first()?;
        }
        let store = self.store.clone();
        let thread = Thread::new().name("store writer".to_owned()).spawn(move || pack::write(&store, bytes));
        let thread = thread.map_err(|source| StoreError::io("starting a thread".to_owned(), source))?;
        self.under_way.push_back(thread);
        Ok(())
    }

    /// All packs, in their order, when all are there.
    ///
    /// # Errors
    /// If one could not be written.
    pub fn finish(&mut self) -> Result<Vec<PackReference>, StoreError> {
        while !self.under_way.is_empty() {
            self.wait_for_first()?;
        }
        Ok(std::mem::take(&mut self.written))
    }

    fn wait_for_first(&mut self) -> Result<(), StoreError> {
        let Some(thread) = self.under_way.pop_front() else { return Ok(()) };
        self.written.push(thread.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // What has become of them: nobody asks any more.
        self.under_way.drain(..).for_each(|thread| drop(thread.join()));
    }
}
