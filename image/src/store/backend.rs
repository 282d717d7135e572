//! Where the store's files are: the few operations that it needs, blocking, over `object_store`.
//!
//! Two kinds: a local folder, and a bucket of an S3-compatible service.

mod lease;
mod local;
mod objects;
mod owner;
mod s3;
mod trouble;

use std::io::Result;
use std::path::PathBuf;
use std::time::SystemTime;

pub use local::LocalBackend;
pub use s3::{S3Backend, S3Settings};

/// A file in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name in its folder.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// When it was written.
    pub modified: SystemTime,
}

/// What keeps the files. Paths are `folder/name`.
pub trait Backend: Send + Sync {
    /// Writes a file whole or not at all; `false` if there is one already and `replace` is not set.
    ///
    /// # Errors
    /// If it cannot be written.
    fn put(&self, path: &str, bytes: Vec<u8>, replace: bool) -> Result<bool>;

    /// A file, or `None` if there is none.
    ///
    /// # Errors
    /// If it is there but cannot be read.
    fn get(&self, path: &str) -> Result<Option<Vec<u8>>>;

    /// Bytes of a file, or `None` if there is none.
    ///
    /// # Errors
    /// If that cannot be found out.
    fn size(&self, path: &str) -> Result<Option<u64>>;

    /// What is another one whenever the file was written again, or `None` if there is no file.
    ///
    /// # Errors
    /// If that cannot be found out.
    fn stamp(&self, path: &str) -> Result<Option<String>>;

    /// The files of a folder.
    ///
    /// # Errors
    /// If it cannot be read.
    fn list(&self, folder: &str) -> Result<Vec<Entry>>;

    /// The names of a folder's files: where that costs less than to look at each.
    ///
    /// # Errors
    /// If it cannot be read.
    fn names(&self, folder: &str) -> Result<Vec<String>> {
        Ok(self.list(folder)?.into_iter().map(|entry| entry.name).collect())
    }

    /// Removes a file; fine if there is none.
    ///
    /// # Errors
    /// If it is there and cannot be removed.
    fn delete(&self, path: &str) -> Result<()>;

    /// Removes what interrupted writes have left. Nobody may be writing.
    ///
    /// # Errors
    /// If something is there and cannot be removed.
    fn sweep(&self, folder: &str) -> Result<()>;

    /// The file's name for people.
    fn name(&self, path: &str) -> String;

    /// The file itself, where other programs can open it.
    fn local_file(&self, path: &str) -> Option<PathBuf>;

    /// A folder for temporary files.
    fn scratch(&self) -> PathBuf;

    /// The lock of who saves or exports; many may have it at once. Waits while somebody frees.
    ///
    /// # Errors
    /// If it cannot be taken.
    fn lock_shared(&self) -> Result<Box<dyn Lock>>;

    /// The lock of who frees, or `None` while anybody else has one.
    ///
    /// # Errors
    /// If it cannot be taken.
    fn try_lock_alone(&self) -> Result<Option<Box<dyn Lock>>>;
}

/// A lock, held until dropped; also let go of when its process dies.
pub trait Lock: Send {
    /// From now on nothing of what this manifest needs is freed, even if this process stands still for a long time before it
    /// writes the manifest. To be called once, right before.
    ///
    /// # Errors
    /// If this process has stood still so long that its lock was taken away: then something may have been freed.
    fn commit(&self, _manifest: &str, _needed: &[String]) -> Result<()> {
        Ok(())
    }

    /// The manifest of [`Lock::commit`] is written.
    fn written(&self) {}

    /// What processes that stand still between commit and manifest will need.
    fn spoken_for(&self) -> &[String] {
        &[]
    }

    /// Whether the lock is still held. To be called before each file that is freed.
    ///
    /// # Errors
    /// If it may have been taken away.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}
