//! Savers hold the lock shared, so that nothing they build upon is freed; who frees holds it alone. How, is the
//! backend's.

use super::backend::Lock;
use super::{Checkpoint, Store, StoreError};

fn failed(source: std::io::Error) -> StoreError {
    StoreError::io("locking the checkpoint store".to_owned(), source)
}

impl Store {
    pub(super) fn lock_for_saving(&self) -> Result<Box<dyn Lock>, StoreError> {
        self.backend.lock_shared().map_err(failed)
    }

    /// `None` while anybody saves.
    pub(super) fn lock_for_freeing(&self) -> Result<Option<Box<dyn Lock>>, StoreError> {
        self.backend.try_lock_alone().map_err(failed)
    }
}

/// As long as this lives nothing of the store is freed.
pub struct Kept(#[expect(dead_code, reason = "held until dropped")] std::sync::Mutex<Box<dyn Lock>>);

impl Checkpoint {
    /// Keeps what it needs from being freed, whether it is removed or not.
    ///
    /// # Errors
    /// If the store cannot be locked.
    pub fn keep(&self) -> Result<Kept, StoreError> {
        self.store.lock_for_saving().map(|lock| Kept(std::sync::Mutex::new(lock)))
    }
}
