//! Savers hold the lock shared, so that nothing they build upon is freed; who frees holds it alone. How, is the
//! backend's.

use super::backend::Lock;
use super::{Store, StoreError};

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
