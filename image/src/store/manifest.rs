//! The manifest of a checkpoint.
//!
//! ```text
//! 0    magic "FLOBCKPT"
//! 8    u32 format version, little-endian
//! 12   u32 0
//! 16   u64 bytes of the body
//! 24   body: postcard of Manifest
//! end  32 bytes: BLAKE3 of all before; also the file's name
//! ```

use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::{Environment, encode};

const MAGIC: [u8; 8] = *b"FLOBCKPT";
const VERSION: u32 = 1;
const HEADER: usize = 24;
const HASH: usize = 32;

/// A BLAKE3 hash.
pub(super) type Hash = [u8; HASH];

/// Where a checkpoint comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// Saved from a run that began from the start. Its parent, if any, is the checkpoint the same run saved before.
    #[default]
    Saved,
    /// Edited: its parent with changes.
    Edited,
    /// Saved from a run that was restored from its parent.
    Restored,
}

/// A pack and the number of pages in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PackReference {
    pub name: Hash,
    pub pages: u32,
}

/// A page of memory and where it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PageEntry {
    pub number: u64,
    pub hash: Hash,
    /// Index in the manifest's packs.
    pub pack: u32,
    /// Index in the pack.
    pub slot: u32,
}

/// A chunk of spooled input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Chunk {
    pub name: Hash,
    pub bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// Version of the flob that wrote it.
    pub writer: String,
    /// Identification of the kernel it was saved under.
    pub kernel: String,
    pub name: Option<String>,
    /// Full hash of the parent, in hexadecimal.
    pub parent: Option<String>,
    pub origin: Origin,
    /// Nanoseconds since 1970.
    pub saved: u64,
    /// The encoded environment: it has a version of its own.
    pub environment: Vec<u8>,
    pub packs: Vec<PackReference>,
    /// Ascending by number; what is not here is zero.
    pub pages: Vec<PageEntry>,
    pub input: Vec<Chunk>,
    /// Whether the end of the input is behind the last chunk.
    pub input_ended: bool,
}

impl Manifest {
    pub fn input_length(&self) -> u64 {
        self.input.iter().fold(0, |sum, chunk| sum.saturating_add(chunk.bytes))
    }

    /// The file's bytes and its hash.
    pub fn seal(&self) -> Result<(Vec<u8>, Hash), StoreError> {
        let body = postcard::to_stdvec(self)
            .map_err(|error| StoreError::Invalid(format!("this checkpoint cannot be written: {error}")))?;
        let mut bytes = Vec::with_capacity(HEADER + body.len() + HASH);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&body);
        let hash = *blake3::hash(&bytes).as_bytes();
        bytes.extend_from_slice(&hash);
        Ok((bytes, hash))
    }

    /// The manifest and the environment in these bytes of the file with this name.
    pub fn open(bytes: &[u8], name: &str, file: &str) -> Result<(Self, Environment), StoreError> {
        let damaged = |what: &str| StoreError::damaged(file.to_owned(), what, &short(name));
        if bytes.get(..8).is_some_and(|magic| magic != MAGIC) {
            return Err(damaged("it does not begin like a checkpoint"));
        }
        let size = bytes.get(16..24).and_then(|size| size.try_into().ok()).map(u64::from_le_bytes);
        let size =
            size.and_then(|size| usize::try_from(size).ok()).and_then(|size| size.checked_add(HEADER + HASH));
        if size.is_none_or(|size| size > bytes.len()) {
            return Err(damaged("it ends too early"));
        }
        let (sealed, hash) = bytes.split_last_chunk::<HASH>().ok_or_else(|| damaged("it ends too early"))?;
        if size != Some(bytes.len()) || blake3::hash(sealed).as_bytes() != hash {
            return Err(damaged("its checksum does not match"));
        }
        if hex(hash) != name {
            return Err(damaged("it is another checkpoint's file under a wrong name"));
        }
        let version =
            bytes.get(8..12).and_then(|version| version.try_into().ok()).map_or(0, u32::from_le_bytes);
        if version > VERSION {
            return Err(StoreError::Newer { file: file.to_owned(), version });
        }
        let body = sealed.get(HEADER..).unwrap_or_default();
        let manifest: Self = postcard::from_bytes(body).map_err(|_| damaged("its contents make no sense"))?;
        let environment = encode::decode(&manifest.environment).map_err(|error| match error {
            encode::DecodeError::Newer(version) => StoreError::Newer { file: file.to_owned(), version },
            other => damaged(&other.to_string()),
        })?;
        if manifest.is_consistent() {
            Ok((manifest, environment))
        } else {
            Err(damaged("its page list makes no sense"))
        }
    }

    fn is_consistent(&self) -> bool {
        let pack = |page: &PageEntry| usize::try_from(page.pack).ok().and_then(|index| self.packs.get(index));
        self.pages.is_sorted_by(|one, next| one.number < next.number)
            && self.pages.iter().all(|page| pack(page).is_some_and(|pack| page.slot < pack.pages))
    }
}

/// A hash as file names have it.
pub(super) fn hex(hash: &Hash) -> String {
    blake3::Hash::from_bytes(*hash).to_hex().to_string()
}

/// The id of the checkpoint whose manifest has this name.
pub(super) fn short(name: &str) -> String {
    name.chars().take(8).collect()
}
