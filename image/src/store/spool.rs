//! Standard input as it was read from the host: what the program has consumed and what it has not. A restored run
//! takes the rest from here.

use std::fs::File;
use std::ops::Deref;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::manifest::{Chunk, Hash, hex};
use super::{Checkpoint, Store, StoreError};
use crate::hash::{FNV_START, fnv1a};

/// Bytes of a chunk in the store.
const CHUNK: u64 = 256 * 1024;

/// The input of one session, in a file without a name: it is gone with the process, unless a checkpoint keeps it.
pub struct Spool {
    /// Read and written at places that are named: a position would be shared.
    file: Arc<File>,
    /// What is before this was read before anybody kept it.
    known_from: u64,
    length: u64,
    ended: bool,
}

/// What was in a spool at a moment: it is only added to, so this can be read for as long as it takes.
pub struct SoFar(Spool);

impl Deref for SoFar {
    type Target = Spool;

    fn deref(&self) -> &Spool {
        &self.0
    }
}

impl Store {
    /// An empty spool.
    ///
    /// # Errors
    /// If no file can be made for it.
    pub fn spool(&self) -> Result<Spool, StoreError> {
        let folder = self.backend.scratch();
        let failed = |source| StoreError::io(format!("making a file in {}", folder.display()), source);
        Ok(Spool {
            file: Arc::new(tempfile::tempfile_in(&folder).map_err(failed)?),
            known_from: 0,
            length: 0,
            ended: false,
        })
    }
}

impl Checkpoint {
    /// Bytes of input kept with it.
    pub fn input_length(&self) -> u64 {
        self.manifest.head.input_length()
    }

    /// Whether the end of the input is known to be behind them.
    pub fn input_ended(&self) -> bool {
        self.manifest.head.input_ended
    }

    /// A spool with the input kept with it, to go on from.
    ///
    /// # Errors
    /// If that is damaged.
    pub fn spool(&self) -> Result<Spool, StoreError> {
        let mut spool = self.store.spool()?;
        for chunk in &self.manifest.head.input {
            spool.append(&self.input_chunk(chunk)?)?;
        }
        spool.ended = self.manifest.head.input_ended;
        Ok(spool)
    }
}

impl Spool {
    /// Bytes so far.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Whether nothing was read before anybody kept it.
    pub const fn has_beginning(&self) -> bool {
        self.known_from == 0
    }

    /// Whether the end of the input has been seen.
    pub const fn has_ended(&self) -> bool {
        self.ended
    }

    /// What there is, for who takes his time with it.
    pub fn so_far(&self) -> SoFar {
        let Self { file, known_from, length, ended } = self;
        SoFar(Self { file: Arc::clone(file), known_from: *known_from, length: *length, ended: *ended })
    }

    /// Appends what was read.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all_at(bytes, self.length).map_err(failed)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Of an empty spool: the first bytes were read before anybody kept them. They are not to be had, and zero in a checkpoint, which goes
    /// on behind them.
    ///
    /// # Errors
    /// If the file cannot be so long.
    pub fn begin_at(&mut self, position: u64) -> Result<(), StoreError> {
        self.file.set_len(position).map_err(failed)?;
        (self.known_from, self.length) = (position, position);
        Ok(())
    }

    /// The input has ended.
    pub const fn end(&mut self) {
        self.ended = true;
    }

    /// At most `count` bytes from a position on; none where there are none yet, or are not to be had.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn read(&self, position: u64, count: usize) -> Result<Vec<u8>, StoreError> {
        let known = position >= self.known_from;
        let count = if known { self.length.saturating_sub(position).min(count as u64) } else { 0 };
        self.read_raw(position, count)
    }

    fn read_raw(&self, position: u64, count: u64) -> Result<Vec<u8>, StoreError> {
        let mut bytes = vec![0; usize::try_from(count).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut bytes, position).map_err(failed)?;
        Ok(bytes)
    }

    /// Hash of the first `count` bytes, as in [`crate::Stream::hash`]; `None` if there are not so many.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn hash(&self, count: u64) -> Result<Option<u64>, StoreError> {
        if count > self.length {
            return Ok(None);
        }
        let mut hash = FNV_START;
        let mut position = 0;
        while position < count {
            let bytes = self.read(position, CHUNK.min(count - position) as usize)?;
            if bytes.is_empty() {
                return Ok(None);
            }
            hash = fnv1a(hash, &bytes);
            position += bytes.len() as u64;
        }
        Ok(Some(hash))
    }

    /// Writes all of it into the store, but what is there already.
    pub(super) fn store_chunks(&self, store: &Store) -> Result<Vec<Chunk>, StoreError> {
        let mut chunks = Vec::new();
        for position in (0..self.length).step_by(CHUNK as usize) {
            let bytes = self.read_raw(position, CHUNK.min(self.length - position))?;
            let chunk = Chunk { name: *blake3::hash(&bytes).as_bytes(), bytes: bytes.len() as u64 };
            store.put_named(&path(&chunk.name), bytes)?;
            chunks.push(chunk);
        }
        Ok(chunks)
    }
}

fn failed(source: std::io::Error) -> StoreError {
    StoreError::io("spooling standard input".to_owned(), source)
}

/// The file of a chunk.
pub(super) fn path(name: &Hash) -> String {
    format!("input/{}.chunk", hex(name))
}
