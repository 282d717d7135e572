//! Packs: pages in one file, named by the hash of the whole file.
//!
//! ```text
//! 0   magic "FLOBPACK"
//! 8   u32 format version, u32 number of pages, little-endian
//! 16  pages of 4096 bytes
//! ```

use std::ops::Range;

use super::manifest::{Hash, PackReference, hex};
use super::{Store, StoreError};

const MAGIC: [u8; 8] = *b"FLOBPACK";
const VERSION: u32 = 1;
const HEADER: u64 = 16;
/// Bytes of a page.
pub(super) const PAGE: usize = 4096;
/// Most pages of a pack.
const MOST: usize = 1024;

/// A pack that is being filled.
#[derive(Default)]
pub(super) struct OpenPack {
    /// The file, with room for its header; nothing as long as there are no pages.
    bytes: Vec<u8>,
}

impl OpenPack {
    pub fn pages(&self) -> u32 {
        pages_of(&self.bytes)
    }

    pub fn is_full(&self) -> bool {
        self.pages() as usize >= MOST
    }

    pub fn push(&mut self, page: &[u8; PAGE]) {
        if self.bytes.is_empty() {
            self.bytes.reserve_exact(size(MOST as u32) as usize);
            self.bytes.resize(HEADER as usize, 0);
        }
        self.bytes.extend_from_slice(page);
    }

    /// The file; a new one is begun.
    pub fn take(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        let (version, pages) = (VERSION.to_le_bytes(), pages_of(&bytes).to_le_bytes());
        let header = MAGIC.iter().chain(&version).chain(&pages);
        bytes.iter_mut().zip(header).for_each(|(to, from)| *to = *from);
        bytes
    }
}

/// Pages in a file: at most [`MOST`].
fn pages_of(bytes: &[u8]) -> u32 {
    (bytes.len().saturating_sub(HEADER as usize) / PAGE) as u32
}

/// Writes the file of a pack.
pub(super) fn write(store: &Store, bytes: Vec<u8>) -> Result<PackReference, StoreError> {
    let (pages, name) = (pages_of(&bytes), *blake3::hash(&bytes).as_bytes());
    store.put_named(&path(&name), bytes)?;
    store.note_sound(&path(&name));
    Ok(PackReference { name, pages })
}

pub(super) fn path(name: &Hash) -> String {
    format!("packs/{}.pack", hex(name))
}

/// Bytes of a pack with so many pages.
pub(super) fn size(pages: u32) -> u64 {
    HEADER + u64::from(pages) * PAGE as u64
}

/// Where a page is in its pack.
pub(super) fn range(slot: u32) -> Range<usize> {
    let start = size(slot) as usize;
    start..start + PAGE
}

impl Store {
    /// Writes a file that is named by its contents. One that is there already is kept if it is sound, else mended.
    pub(super) fn put_named(&self, path: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let failed = |source| StoreError::io(format!("writing {}", self.backend.name(path)), source);
        let kept = match self.backend.size(path).map_err(failed)? {
            Some(size) if size == bytes.len() as u64 => {
                self.backend.get(path).is_ok_and(|there| there.is_some_and(|there| there == bytes))
            }
            _ => false,
        };
        if !kept {
            self.backend.put(path, bytes, true).map_err(failed)?;
        }
        Ok(())
    }

    /// A file that is named by its contents, if it is there and sound.
    pub(super) fn get_named(&self, path: &str, name: &Hash) -> Result<Vec<u8>, String> {
        match self.backend.get(path) {
            Err(error) => Err(format!("it cannot be read ({error})")),
            Ok(None) => Err("it is missing".to_owned()),
            Ok(Some(bytes)) if blake3::hash(&bytes).as_bytes() == name => Ok(bytes),
            Ok(Some(_)) => Err("its checksum does not match".to_owned()),
        }
    }

    /// Whether a pack is there and sound.
    pub(super) fn check_pack(&self, name: &Hash) -> Result<(), String> {
        self.get_named(&path(name), name).map(|_| ())
    }
}
