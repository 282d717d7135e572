//! The manifest of a checkpoint: what it is, and where its pages are.
//!
//! ```text
//! 0    magic "FLOBCKPT"
//! 8    u32 format version, little-endian
//! 12   u32 0
//! 16   u64 bytes of the head
//! 24   u64 bytes of the page list
//! 32   u64 bytes of the places
//! 40   head: postcard of Head
//!      page list: postcard of (number, hash) of each page
//!      places: postcard of the packs, and of (pack, slot) of each page
//! end  32 bytes: BLAKE3 of all before
//! ```
//!
//! The full id of a checkpoint, and the name of its file, is the BLAKE3 hash of head and page list. So it says what the
//! checkpoint *is*, not where its pages happen to be: it is the same in every store that the checkpoint is imported into.

mod first;

use postcard::{from_bytes, to_stdvec};
use serde::{Deserialize, Serialize};

use super::{StoreError, pack, program, spool};
use crate::{Environment, encode};

const MAGIC: [u8; 8] = *b"FLOBCKPT";
const VERSION: u32 = 2;
const HEADER: usize = 40;
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

/// Everything about a checkpoint but its pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// Version of the flob that wrote it.
    pub writer: String,
    /// Identification of the kernel it was saved under.
    pub kernel: String,
    pub name: Option<String>,
    /// Full id of the parent, in hexadecimal.
    pub parent: Option<String>,
    pub origin: Origin,
    /// Nanoseconds since 1970.
    pub saved: u64,
    /// The encoded environment: it has a version of its own.
    pub environment: Vec<u8>,
    pub input: Vec<Chunk>,
    /// Whether the end of the input is behind the last chunk.
    pub input_ended: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    pub head: Head,
    pub packs: Vec<PackReference>,
    /// Ascending by number; what is not here is zero.
    pub pages: Vec<PageEntry>,
}

impl Head {
    pub fn input_length(&self) -> u64 {
        self.input.iter().fold(0, |sum, chunk| sum.saturating_add(chunk.bytes))
    }

    pub fn to_bytes(&self) -> Result<Vec<u8>, StoreError> {
        to_stdvec(self).map_err(unwritable)
    }
}

impl Manifest {
    /// Everything that it needs: paths of packs and input, and its program by build id.
    pub fn needed(&self, build_id: &str) -> impl Iterator<Item = String> {
        let packs = self.packs.iter().map(|pack| pack::path(&pack.name));
        let input = self.head.input.iter().map(|chunk| spool::path(&chunk.name));
        packs.chain(input).chain([program::key(build_id)])
    }

    /// The file's bytes and the checkpoint's full id.
    pub fn seal(&self) -> Result<(Vec<u8>, Hash), StoreError> {
        let list: Vec<(u64, Hash)> = self.pages.iter().map(|page| (page.number, page.hash)).collect();
        let spots: Vec<(u32, u32)> = self.pages.iter().map(|page| (page.pack, page.slot)).collect();
        let (head, list) = (self.head.to_bytes()?, to_stdvec(&list).map_err(unwritable)?);
        let places = to_stdvec(&(&self.packs, spots)).map_err(unwritable)?;
        let mut bytes = Vec::with_capacity(HEADER + head.len() + list.len() + places.len() + HASH);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        for section in [&head, &list, &places] {
            bytes.extend_from_slice(&(section.len() as u64).to_le_bytes());
        }
        let id = identity(&head, &list);
        for section in [head, list, places] {
            bytes.extend_from_slice(&section);
        }
        let sum = *blake3::hash(&bytes).as_bytes();
        bytes.extend_from_slice(&sum);
        Ok((bytes, id))
    }

    /// The manifest and the environment in these bytes of the file with this name.
    pub fn open(bytes: &[u8], name: &str, file: &str) -> Result<(Self, Environment), StoreError> {
        let damaged = |what: &str| StoreError::damaged(file.to_owned(), what, &short(name));
        if bytes.get(..8).is_some_and(|magic| magic != MAGIC) {
            return Err(damaged("it does not begin like a checkpoint"));
        }
        let (sealed, sum) = bytes.split_last_chunk::<HASH>().ok_or_else(|| damaged("it ends too early"))?;
        if blake3::hash(sealed).as_bytes() != sum {
            return Err(damaged("its checksum does not match, or it ends too early"));
        }
        let parsed = match number(sealed, 8) & u64::from(u32::MAX) {
            0 => None,
            1 => first::parse(sealed).map(|manifest| (manifest, *sum)),
            2 => parse(sealed),
            newer => {
                let version = u32::try_from(newer).unwrap_or(u32::MAX);
                return Err(StoreError::Newer { file: file.to_owned(), version });
            }
        };
        let (manifest, id) = parsed.ok_or_else(|| damaged("its contents make no sense"))?;
        if hex(&id) != name {
            return Err(damaged("it is another checkpoint's file under a wrong name"));
        }
        let environment = encode::decode(&manifest.head.environment).map_err(|error| match error {
            encode::DecodeError::Newer(version) => StoreError::Newer { file: file.to_owned(), version },
            other => damaged(&other.to_string()),
        })?;
        if manifest.is_consistent(&environment) {
            Ok((manifest, environment))
        } else {
            Err(damaged("its page list makes no sense"))
        }
    }

    fn is_consistent(&self, environment: &Environment) -> bool {
        let pack = |page: &PageEntry| usize::try_from(page.pack).ok().and_then(|index| self.packs.get(index));
        self.pages.is_sorted_by(|one, next| one.number < next.number)
            && self.pages.last().is_none_or(|last| last.number < environment.size.div_ceil(4096))
            && self.pages.iter().all(|page| pack(page).is_some_and(|pack| page.slot < pack.pages))
    }
}

/// Version 2: the manifest and the id that its contents have.
fn parse(sealed: &[u8]) -> Option<(Manifest, Hash)> {
    let mut rest = sealed.get(HEADER..)?;
    let mut section = |at| {
        let (section, behind) = rest.split_at_checked(usize::try_from(number(sealed, at)).ok()?)?;
        rest = behind;
        Some(section)
    };
    let (head, list, places) = (section(16)?, section(24)?, section(32)?);
    if !rest.is_empty() {
        return None;
    }
    let pages: Vec<(u64, Hash)> = from_bytes(list).ok()?;
    let (packs, spots): (Vec<PackReference>, Vec<(u32, u32)>) = from_bytes(places).ok()?;
    if pages.len() != spots.len() {
        return None;
    }
    let entry = |((number, hash), (pack, slot))| PageEntry { number, hash, pack, slot };
    let pages = pages.into_iter().zip(spots).map(entry).collect();
    Some((Manifest { head: from_bytes(head).ok()?, packs, pages }, identity(head, list)))
}

/// The id of the checkpoint with this head and page list.
fn identity(head: &[u8], list: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    // With its length in front, no other pair of the two gives the same bytes.
    hasher.update(&(head.len() as u64).to_le_bytes()).update(head).update(list);
    *hasher.finalize().as_bytes()
}

/// The little-endian number at an offset; 0 beyond the end.
fn number(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>());
    bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn unwritable(error: postcard::Error) -> StoreError {
    StoreError::Invalid(format!("this checkpoint cannot be written: {error}"))
}

/// A hash as file names have it.
pub(super) fn hex(hash: &Hash) -> String {
    blake3::Hash::from_bytes(*hash).to_hex().to_string()
}

/// The id of the checkpoint whose manifest has this name.
pub(super) fn short(name: &str) -> String {
    name.chars().take(8).collect()
}
