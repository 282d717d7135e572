//! A store in a local folder, locked by a lock of the operating system: a process that dies lets go of it.

use std::fs::{DirEntry, File, OpenOptions, TryLockError};
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

use object_store::Error as ObjectError;
use object_store::local::LocalFileSystem;
use tokio::runtime::Builder;

use super::objects::Objects;
use super::{Backend, Entry, Lock};

/// A local folder.
pub struct LocalBackend {
    objects: Objects,
    folder: PathBuf,
}

impl LocalBackend {
    /// In this folder, which is made if it is not there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(Error::other)?.with_fsync(true);
        let runtime = Builder::new_current_thread().build()?;
        let objects = Objects::new(Box::new(store), Box::new(explain), runtime);
        Ok(Self { objects, folder: folder.to_owned() })
    }

    fn lock_file(&self) -> Result<File> {
        OpenOptions::new().create(true).truncate(false).write(true).open(self.folder.join("store.lock"))
    }
}

/// What the system said.
fn explain(error: &ObjectError) -> Error {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    match cause.downcast_ref::<Error>() {
        Some(system) => Error::new(system.kind(), system.to_string()),
        None => Error::other(error.to_string()),
    }
}

/// What is in a folder; nothing if there is no such folder.
fn read_folder(folder: &Path) -> Result<impl Iterator<Item = Result<DirEntry>>> {
    match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None.into_iter().flatten()),
        other => Ok(Some(other?).into_iter().flatten()),
    }
}

/// `object_store` stages a file under its name and `#1`, `#2` …, and hides those from listings.
fn is_staged(name: &str) -> bool {
    name.contains('#')
}

struct FileLock {
    _file: File,
}

impl Lock for FileLock {}

impl Backend for LocalBackend {
    fn put(&self, path: &str, bytes: Vec<u8>, replace: bool) -> Result<bool> {
        self.objects.put(path, bytes, replace)
    }

    fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.objects.get(path)
    }

    fn size(&self, path: &str) -> Result<Option<u64>> {
        self.objects.size(path)
    }

    fn stamp(&self, path: &str) -> Result<Option<String>> {
        self.objects.stamp(path)
    }

    fn list(&self, folder: &str) -> Result<Vec<Entry>> {
        self.objects.list(folder).map(Option::unwrap_or_default)
    }

    fn names(&self, folder: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in read_folder(&self.folder.join(folder))? {
            // All names here are plain ones.
            names.extend(entry?.file_name().into_string().ok().filter(|name| !is_staged(name)));
        }
        Ok(names)
    }

    fn delete(&self, path: &str) -> Result<()> {
        self.objects.delete(path)
    }

    fn sweep(&self, folder: &str) -> Result<()> {
        for entry in read_folder(&self.folder.join(folder))? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| is_staged(&name.to_string_lossy())) {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn name(&self, path: &str) -> String {
        self.folder.join(path).display().to_string()
    }

    fn local_file(&self, path: &str) -> Option<PathBuf> {
        Some(self.folder.join(path))
    }

    fn scratch(&self) -> PathBuf {
        self.folder.clone()
    }

    fn lock_shared(&self) -> Result<Box<dyn Lock>> {
        let file = self.lock_file()?;
        file.lock_shared()?;
        Ok(Box::new(FileLock { _file: file }))
    }

    fn try_lock_alone(&self) -> Result<Option<Box<dyn Lock>>> {
        let file = self.lock_file()?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(FileLock { _file: file }))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}
