//! A checkpoint that was loaded: its manifest is sound; packs are checked as they are read, or all at once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::manifest::{Chunk, Hash, Manifest, PageEntry, short};
use super::pack::{self, PAGE};
use super::{Inspection, Origin, Store, StoreError, Summary};
use crate::Environment;

/// Packs that are kept once read: pages that follow each other may lie in those of several saves.
const KEPT: usize = 8;

/// A pack's name and bytes.
type ReadPack = (Hash, Arc<Vec<u8>>);

/// A checkpoint of the store.
#[derive(Clone)]
pub struct Checkpoint {
    pub(super) store: Store,
    /// Full id, in hexadecimal.
    pub(super) full: String,
    pub(super) manifest: Arc<Manifest>,
    environment: Arc<Environment>,
    /// The packs that were read last, the latest at the end.
    read: Arc<Mutex<Vec<ReadPack>>>,
}

impl Store {
    /// The checkpoint with this id, unique beginning of an id, or name. Its manifest has been verified and its packs
    /// are there; see [`Checkpoint::check`] for the rest.
    ///
    /// # Errors
    /// If there is none or several, or it is damaged.
    pub fn load(&self, given: &str) -> Result<Checkpoint, StoreError> {
        let checkpoint = self.load_full(&self.resolve_full(given)?)?;
        for pack in &checkpoint.manifest.packs {
            let path = pack::path(&pack.name);
            let size = self.backend.size(&path);
            let size =
                size.map_err(|source| StoreError::io(format!("reading {}", checkpoint.file(&path)), source))?;
            let what = match size {
                Some(size) if size == pack::size(pack.pages) => continue,
                Some(_) => "its size is wrong",
                None => "it is missing",
            };
            return Err(checkpoint.damaged(&path, what));
        }
        Ok(checkpoint)
    }

    pub(super) fn load_full(&self, full: &str) -> Result<Checkpoint, StoreError> {
        let path = format!("checkpoints/{full}.flob");
        let file = self.backend.name(&path);
        let bytes =
            self.backend.get(&path).map_err(|source| StoreError::io(format!("reading {file}"), source))?;
        let bytes = bytes.ok_or_else(|| StoreError::NotFound(short(full)))?;
        let (manifest, environment) = Manifest::open(&bytes, full, &file)?;
        let (manifest, environment) = (Arc::new(manifest), Arc::new(environment));
        Ok(Checkpoint {
            store: self.clone(),
            full: full.to_owned(),
            manifest,
            environment,
            read: Arc::default(),
        })
    }
}

impl Checkpoint {
    /// Its id: 8 hexadecimal digits.
    pub fn id(&self) -> String {
        short(&self.full)
    }

    /// Everything but its memory.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// What a list shows of it.
    pub fn summary(&self) -> Summary {
        Summary::new(self)
    }

    /// Its name, if it was given one.
    pub fn name(&self) -> Option<&str> {
        self.manifest.head.name.as_deref()
    }

    /// Id of its parent; that may be gone.
    pub fn parent(&self) -> Option<String> {
        self.manifest.head.parent.as_deref().map(short)
    }

    /// Where it comes from.
    pub fn origin(&self) -> Origin {
        self.manifest.head.origin
    }

    /// When it was saved.
    pub fn saved(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.manifest.head.saved)
    }

    /// Identification of the kernel it was saved under.
    pub fn kernel(&self) -> &str {
        &self.manifest.head.kernel
    }

    /// Numbers of the pages that are not all zero, ascending, each with the hash of its contents.
    pub fn pages(&self) -> impl ExactSizeIterator<Item = (u64, [u8; 32])> + '_ {
        self.manifest.pages.iter().map(|page| (page.number, page.hash))
    }

    /// A page; zeros if it was not stored.
    ///
    /// # Errors
    /// If the file that holds it is damaged.
    pub fn page(&self, number: u64) -> Result<Box<[u8; 4096]>, StoreError> {
        let index = self.manifest.pages.binary_search_by_key(&number, |page| page.number);
        match index.ok().and_then(|index| self.manifest.pages.get(index)) {
            None => Ok(Box::new([0; PAGE])),
            Some(entry) => self.stored_page(entry),
        }
    }

    pub(super) fn stored_page(&self, entry: &PageEntry) -> Result<Box<[u8; PAGE]>, StoreError> {
        let pack = usize::try_from(entry.pack).ok().and_then(|index| self.manifest.packs.get(index));
        let name: Hash = pack.map(|pack| pack.name).unwrap_or_default();
        let bytes = self.pack(&name)?;
        let what = || format!("page {:#x} of checkpoint {}", entry.number, self.id());
        let page = bytes.get(pack::range(entry.slot)).and_then(|page| <&[u8; PAGE]>::try_from(page).ok());
        let page = page.ok_or_else(|| self.damaged(&pack::path(&name), format!("{} is missing", what())))?;
        if *blake3::hash(page).as_bytes() == entry.hash {
            Ok(Box::new(*page))
        } else {
            Err(self.damaged(&pack::path(&name), format!("the checksum of {} does not match", what())))
        }
    }

    /// The bytes of a pack as they are; each page has a checksum of its own.
    fn pack(&self, name: &Hash) -> Result<Arc<Vec<u8>>, StoreError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = read.iter().position(|(known, _)| known == name) {
            let found = read.remove(at);
            let bytes = found.1.clone();
            read.push(found);
            return Ok(bytes);
        }
        let path = pack::path(name);
        let bytes = self.store.backend.get(&path);
        let bytes =
            bytes.map_err(|source| StoreError::io(format!("reading {}", self.file(&path)), source))?;
        let bytes = Arc::new(bytes.ok_or_else(|| self.damaged(&path, "it is missing"))?);
        if read.len() >= KEPT {
            read.remove(0);
        }
        read.push((*name, bytes.clone()));
        Ok(bytes)
    }

    /// `count` bytes of memory from an offset on; shorter where the memory ends.
    ///
    /// # Errors
    /// If a file that holds them is damaged.
    pub fn read(&self, offset: u64, count: usize) -> Result<Vec<u8>, StoreError> {
        let end = self.environment.size.min(offset.saturating_add(count as u64));
        let mut bytes = Vec::new();
        let mut at = offset;
        while at < end {
            let page = self.page(at / PAGE as u64)?;
            let start = (at % PAGE as u64) as usize;
            let wanted = usize::try_from(end - at).unwrap_or(PAGE).min(PAGE - start);
            bytes.extend_from_slice(page.get(start..start + wanted).unwrap_or_default());
            at += wanted as u64;
        }
        Ok(bytes)
    }

    /// Reads everything it needs (memory, input, program) and reports all that is damaged. Empty: it is whole. Of several see
    /// [`Store::inspection`].
    pub fn check(&self) -> Vec<StoreError> {
        Inspection::default().check(self, &mut |_, _, _| ())
    }

    pub(super) fn input_chunk(&self, chunk: &Chunk) -> Result<Vec<u8>, StoreError> {
        let path = super::spool::path(&chunk.name);
        self.store.get_named(&path, &chunk.name).map_err(|what| self.damaged(&path, what))
    }

    fn file(&self, path: &str) -> String {
        self.store.backend.name(path)
    }

    pub(super) fn damaged(&self, path: &str, what: impl Into<String>) -> StoreError {
        StoreError::damaged(self.file(path), what, &self.id())
    }
}
