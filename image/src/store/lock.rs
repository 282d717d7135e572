//! Savers hold the lock shared, so that nothing they build upon is freed; who frees holds it exclusive. A process
//! that dies lets go of it.

use std::fs::{File, OpenOptions, TryLockError};

use super::{Store, StoreError};

/// Holds the lock until dropped.
pub(super) struct Guard {
    _file: Option<File>,
}

/// Whether freeing is safe.
pub(super) enum Freeing {
    /// Nobody is saving.
    Alone(#[expect(dead_code, reason = "held until dropped")] File),
    /// Somebody is.
    Busy,
    /// There is no lock here.
    Unknown,
}

impl Store {
    fn lock_file(&self) -> Result<Option<File>, StoreError> {
        let Some(root) = &self.root else { return Ok(None) };
        let path = root.join("store.lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        file.map(Some).map_err(|source| StoreError::io(format!("opening {}", path.display()), source))
    }

    pub(super) fn lock_for_saving(&self) -> Result<Guard, StoreError> {
        let file = self.lock_file()?;
        if let Some(file) = &file {
            file.lock_shared()
                .map_err(|source| StoreError::io("locking the checkpoint store".to_owned(), source))?;
        }
        Ok(Guard { _file: file })
    }

    pub(super) fn lock_for_freeing(&self) -> Result<Freeing, StoreError> {
        let Some(file) = self.lock_file()? else { return Ok(Freeing::Unknown) };
        match file.try_lock() {
            Ok(()) => Ok(Freeing::Alone(file)),
            Err(TryLockError::WouldBlock) => Ok(Freeing::Busy),
            Err(TryLockError::Error(source)) => {
                Err(StoreError::io("locking the checkpoint store".to_owned(), source))
            }
        }
    }
}
