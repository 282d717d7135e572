//! What both kinds of store share: the calls of `object_store`, waited for.

use std::io::{Error, Result};

use object_store::path::Path;
use object_store::{
    Error as ObjectError, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
};
use tokio::runtime::{Handle, Runtime};

use super::Entry;

/// Says in one line what `object_store` says in many words and levels.
type Explain = Box<dyn Fn(&ObjectError) -> Error + Send + Sync>;

/// Files of an `object_store`.
pub(super) struct Objects {
    store: Box<dyn ObjectStore>,
    explain: Explain,
    // Always there until dropped.
    runtime: Option<Runtime>,
}

impl Objects {
    pub fn new(store: Box<dyn ObjectStore>, explain: Explain, runtime: Runtime) -> Self {
        Self { store, explain, runtime: Some(runtime) }
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

    /// A missing file is an answer, not an error.
    fn found<T>(&self, result: object_store::Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(ObjectError::NotFound { .. }) => Ok(None),
            Err(error) => Err((self.explain)(&error)),
        }
    }

    pub fn put(&self, path: &str, bytes: Vec<u8>, replace: bool) -> Result<bool> {
        let mode = if replace { PutMode::Overwrite } else { PutMode::Create };
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.wait(self.store.put_opts(&Path::from(path), PutPayload::from(bytes), options))? {
            Ok(_) => Ok(true),
            Err(ObjectError::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err((self.explain)(&error)),
        }
    }

    pub fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let path = Path::from(path);
        let bytes = self.wait(async { self.store.get(&path).await?.bytes().await })?;
        Ok(self.found(bytes)?.map(|bytes| bytes.to_vec()))
    }

    pub fn size(&self, path: &str) -> Result<Option<u64>> {
        let path = Path::from(path);
        Ok(self.found(self.wait(async { self.store.head(&path).await })?)?.map(|meta| meta.size))
    }

    /// Of a local file: its number, size and the time it was written; of an object the service's own tag.
    pub fn stamp(&self, path: &str) -> Result<Option<String>> {
        let path = Path::from(path);
        let found = self.found(self.wait(async { self.store.head(&path).await })?)?;
        Ok(found.and_then(|meta| meta.e_tag))
    }

    /// The files of a folder; `None` if there is no such folder, or no place for one.
    pub fn list(&self, folder: &str) -> Result<Option<Vec<Entry>>> {
        let folder = Path::from(folder);
        let listing = self.found(self.wait(self.store.list_with_delimiter(Some(&folder)))?)?;
        let entry = |meta: ObjectMeta| {
            let name = meta.location.filename()?.to_owned();
            Some(Entry { name, size: meta.size, modified: meta.last_modified.into() })
        };
        Ok(listing.map(|listing| listing.objects.into_iter().filter_map(entry).collect()))
    }

    pub fn delete(&self, path: &str) -> Result<()> {
        let path = Path::from(path);
        self.found(self.wait(async { self.store.delete(&path).await })?).map(|_| ())
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        // A plain drop would panic within somebody else's runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
