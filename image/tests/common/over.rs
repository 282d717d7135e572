//! A store over a backend of which a test changes what it must.

use std::io::Result;
use std::path::PathBuf;

use flob_image::store::backend::{Backend, Entry, LocalBackend, Lock};

/// What is done instead of the inner backend's operation; by default nothing else.
pub trait Over: Send + Sync {
    fn inner(&self) -> &LocalBackend;

    fn put(&self, path: &str, bytes: Vec<u8>, replace: bool) -> Result<bool> {
        self.inner().put(path, bytes, replace)
    }

    fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.inner().get(path)
    }

    fn delete(&self, path: &str) -> Result<()> {
        self.inner().delete(path)
    }

    fn sweep(&self, folder: &str) -> Result<()> {
        self.inner().sweep(folder)
    }
}

/// The backend of which that is said.
pub struct Through<T>(pub T);

impl<T: Over> Backend for Through<T> {
    fn put(&self, path: &str, bytes: Vec<u8>, replace: bool) -> Result<bool> {
        self.0.put(path, bytes, replace)
    }

    fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.0.get(path)
    }

    fn size(&self, path: &str) -> Result<Option<u64>> {
        self.0.inner().size(path)
    }

    fn stamp(&self, path: &str) -> Result<Option<String>> {
        self.0.inner().stamp(path)
    }

    fn list(&self, folder: &str) -> Result<Vec<Entry>> {
        self.0.inner().list(folder)
    }

    fn delete(&self, path: &str) -> Result<()> {
        self.0.delete(path)
    }

    fn sweep(&self, folder: &str) -> Result<()> {
        self.0.sweep(folder)
    }

    fn name(&self, path: &str) -> String {
        self.0.inner().name(path)
    }

    fn local_file(&self, path: &str) -> Option<PathBuf> {
        self.0.inner().local_file(path)
    }

    fn scratch(&self) -> PathBuf {
        self.0.inner().scratch()
    }

    fn lock_shared(&self) -> Result<Box<dyn Lock>> {
        self.0.inner().lock_shared()
    }

    fn try_lock_alone(&self) -> Result<Option<Box<dyn Lock>>> {
        self.0.inner().try_lock_alone()
    }
}
