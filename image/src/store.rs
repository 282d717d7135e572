//! The store of checkpoints.
//!
//! ```text
//! checkpoints/ID.flob      one manifest a checkpoint: everything but memory, and where its pages are
//! packs/HASH.pack          pages, up to 1024 in a file, each stored once however many checkpoints have it
//! input/HASH.chunk         standard input, in chunks
//! programs/ID-HASH.elf     programs by build id, for symbols
//! store.lock               held shared while saving, exclusive while freeing
//! ```
//!
//! Packs, chunks and programs are named by the BLAKE3 hash of their contents, a manifest by its checkpoint's full id and
//! with a checksum at its end, so no byte can change unnoticed. Nothing is ever overwritten but by the same contents. Packs
//! and chunks are written first, the manifest last, each under a temporary name: whatever happens in between, the
//! checkpoints that were there are whole, and what was left over is freed by [`Store::gc`].

pub mod backend;
mod build;
mod checkpoint;
mod error;
mod export;
mod gc;
mod list;
mod lock;
mod manifest;
mod pack;
mod program;
mod spool;
mod whole_file;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use backend::{Backend, LocalBackend};

pub use build::{Builder, Details, Input};
pub use checkpoint::Checkpoint;
pub use error::StoreError;
pub use export::{ExportOptions, Imported, Progress};
pub use gc::Freed;
pub use list::{Listed, Summary};
pub use manifest::Origin;
pub use spool::Spool;
pub use whole_file::write_whole;

/// A store. Cheap to clone; may be used from several threads and processes at once.
#[derive(Clone)]
pub struct Store {
    backend: Arc<dyn Backend>,
    root: Option<PathBuf>,
}

impl Store {
    /// The store in this folder, which is made if it is not there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let backend = LocalBackend::new(folder).map_err(|source| {
            StoreError::io(format!("opening the checkpoint store {}", folder.display()), source)
        })?;
        Ok(Self { backend: Arc::new(backend), root: Some(folder.to_owned()) })
    }

    /// The store in [`Store::default_folder`].
    ///
    /// # Errors
    /// If there is no such folder and none can be made.
    pub fn open_default() -> Result<Self, StoreError> {
        let folder = Self::default_folder().ok_or_else(|| {
            StoreError::Invalid("no place for checkpoints: set FLOB_STORE to a folder, or HOME".to_owned())
        })?;
        Self::open(&folder)
    }

    /// `$FLOB_STORE`, else `$XDG_DATA_HOME/flob`, else `~/.local/share/flob`.
    pub fn default_folder() -> Option<PathBuf> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let data = || variable("XDG_DATA_HOME").filter(|path| path.is_absolute());
        let home = || variable("HOME").map(|home| home.join(".local/share"));
        variable("FLOB_STORE").or_else(|| data().or_else(home).map(|folder| folder.join("flob")))
    }

    /// A store on anything that keeps files. Without `root` (the folder for the lock) there is no locking between
    /// processes, and [`Store::gc`] frees only what is old.
    pub fn with_backend(backend: Arc<dyn Backend>, root: Option<PathBuf>) -> Self {
        Self { backend, root }
    }
}
