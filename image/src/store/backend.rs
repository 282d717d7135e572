//! Where the store's files are: the few operations that it needs, blocking, over `object_store`.

use std::io::{Error, Result};
use std::path::{Path as FilePath, PathBuf};
use std::time::SystemTime;

use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error as ObjectError, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use tokio::runtime::{Builder, Handle, Runtime};

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

    /// The files of a folder.
    ///
    /// # Errors
    /// If it cannot be read.
    fn list(&self, folder: &str) -> Result<Vec<Entry>>;

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

    /// The file's name for people, and for programs that open files themselves.
    fn file(&self, path: &str) -> PathBuf;
}

/// A local folder.
pub struct LocalBackend {
    store: LocalFileSystem,
    folder: PathBuf,
    // Always there until dropped.
    runtime: Option<Runtime>,
}

impl LocalBackend {
    /// In this folder, which is made if it is not there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(folder: &FilePath) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(Error::other)?.with_fsync(true);
        let runtime = Some(Builder::new_current_thread().build()?);
        Ok(Self { store, folder: folder.to_owned(), runtime })
    }

    /// Waits for a future, also when called from within somebody else's runtime.
    fn wait<T: Send>(&self, future: impl Future<Output = T> + Send) -> Result<T> {
        let runtime = self.runtime.as_ref().ok_or_else(|| Error::other("the store is closed"))?;
        if Handle::try_current().is_err() {
            return Ok(runtime.block_on(future));
        }
        let joined = std::thread::scope(|scope| scope.spawn(|| runtime.block_on(future)).join());
        joined.map_err(|_| Error::other("the store's thread has died"))
    }
}

impl Drop for LocalBackend {
    fn drop(&mut self) {
        // A plain drop would panic within somebody else's runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What `object_store` says in many words and levels, in one line.
fn plain(error: &ObjectError) -> Error {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    match cause.downcast_ref::<Error>() {
        Some(system) => Error::new(system.kind(), system.to_string()),
        None => Error::other(error.to_string()),
    }
}

/// A missing file is an answer, not an error.
fn found<T>(result: object_store::Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(ObjectError::NotFound { .. }) => Ok(None),
        Err(error) => Err(plain(&error)),
    }
}

impl Backend for LocalBackend {
    fn put(&self, path: &str, bytes: Vec<u8>, replace: bool) -> Result<bool> {
        let mode = if replace { PutMode::Overwrite } else { PutMode::Create };
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.wait(self.store.put_opts(&Path::from(path), PutPayload::from(bytes), options))? {
            Ok(_) => Ok(true),
            Err(ObjectError::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(plain(&error)),
        }
    }

    fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let path = Path::from(path);
        let bytes = self.wait(async { self.store.get(&path).await?.bytes().await })?;
        Ok(found(bytes)?.map(|bytes| bytes.to_vec()))
    }

    fn size(&self, path: &str) -> Result<Option<u64>> {
        let path = Path::from(path);
        Ok(found(self.wait(async { self.store.head(&path).await })?)?.map(|meta| meta.size))
    }

    fn list(&self, folder: &str) -> Result<Vec<Entry>> {
        let folder = Path::from(folder);
        let listing = found(self.wait(self.store.list_with_delimiter(Some(&folder)))?)?;
        let entry = |meta: object_store::ObjectMeta| {
            let name = meta.location.filename()?.to_owned();
            Some(Entry { name, size: meta.size, modified: meta.last_modified.into() })
        };
        Ok(listing.into_iter().flat_map(|listing| listing.objects).filter_map(entry).collect())
    }

    fn delete(&self, path: &str) -> Result<()> {
        let path = Path::from(path);
        found(self.wait(async { self.store.delete(&path).await })?).map(|_| ())
    }

    fn sweep(&self, folder: &str) -> Result<()> {
        let entries = match std::fs::read_dir(self.folder.join(folder)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        for entry in entries {
            let path = entry?.path();
            // `object_store` stages a file under its name and `#1`, `#2` …, and hides those from listings.
            if path.file_name().is_some_and(|name| name.to_string_lossy().contains('#')) {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn file(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }
}
