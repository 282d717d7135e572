//! The store of checkpoints.
//!
//! ```text
//! checkpoints/ID.flob      one manifest a checkpoint: everything but memory, and where its pages are
//! packs/HASH.pack          pages, up to 1024 in a file, each stored once however many checkpoints have it
//! input/HASH.chunk         standard input, in chunks
//! programs/ID-HASH.elf     programs by build id, for symbols
//! store.lock, locks/       who saves and who frees keep out of each other's way
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
mod inspection;
mod list;
mod location;
mod lock;
mod manifest;
mod pack;
mod places;
mod program;
mod progress;
mod sound;
mod spool;
mod whole_file;
mod writer;

use std::path::Path;
use std::sync::Arc;

use backend::{Backend, LocalBackend, S3Backend, S3Settings};

pub use build::{Builder, Details, Input};
pub use checkpoint::Checkpoint;
pub use error::StoreError;
pub use export::{ExportOptions, Imported};
pub use gc::Freed;
pub use inspection::Inspection;
pub use list::{Listed, Summary};
pub use location::Location;
pub use lock::Kept;
pub use manifest::Origin;
pub use progress::{Progress, Step};
pub use spool::{SoFar, Spool};
pub use whole_file::write_whole;

/// A store. Cheap to clone; may be used from several threads and processes at once.
#[derive(Clone)]
pub struct Store {
    backend: Arc<dyn Backend>,
    sound: Arc<sound::Sound>,
    places: Arc<places::Places>,
    kept: Arc<program::Kept>,
}

impl Store {
    /// The store in this folder, which is made if it is not there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_at(&Location::Folder(folder.to_owned()))
    }

    /// The store at this place.
    ///
    /// # Errors
    /// If a folder cannot be made, or a service not be reached.
    pub fn open_at(location: &Location) -> Result<Self, StoreError> {
        let failed = |source| StoreError::io(format!("opening the checkpoint store {location}"), source);
        let backend: Arc<dyn Backend> = match location {
            Location::Folder(folder) => Arc::new(LocalBackend::new(folder).map_err(failed)?),
            Location::Bucket { bucket, prefix } => {
                let settings = S3Settings::from_environment();
                Arc::new(S3Backend::open(bucket, prefix, &settings).map_err(failed)?)
            }
        };
        Ok(Self::with_backend(backend))
    }

    /// The store at [`Location::from_environment`].
    ///
    /// # Errors
    /// If it says no place, or that cannot be opened.
    pub fn open_default() -> Result<Self, StoreError> {
        Self::open_at(&Location::from_environment()?)
    }

    /// A store on anything that keeps files.
    pub fn with_backend(backend: Arc<dyn Backend>) -> Self {
        Self { backend, sound: Arc::default(), places: Arc::default(), kept: Arc::default() }
    }
}
