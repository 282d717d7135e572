//! A checkpoint as a [`Source`]: read like a live session, never changed.

use flob_image::{
    Environment, Place,
    store::{Checkpoint, Store},
};
use flob_link::{Change, Memory};

use crate::{Error, Source, translate::Translation};

/// A checkpoint to look into.
pub struct Stored {
    checkpoint: Checkpoint,
    translation: Translation,
}

impl Stored {
    /// The checkpoint with this id, name or beginning of an id.
    pub fn open(store: &Store, given: &str) -> Result<Self, Error> {
        let checkpoint = store.load(given)?;
        let translation = Translation::new(checkpoint.environment());
        Ok(Self { checkpoint, translation })
    }

    /// The checkpoint itself.
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    fn fixed(&self) -> Error {
        Error::Refused(format!(
            "checkpoints do not change: 'flob checkpoint edit {}' makes a new one",
            self.checkpoint.id()
        ))
    }
}

impl Source for Stored {
    fn environment(&mut self, _vectors: bool) -> Result<Environment, Error> {
        Ok(self.checkpoint.environment().clone())
    }

    fn read(&mut self, memory: Memory, address: u64, count: u32) -> Result<Vec<u8>, Error> {
        let pieces = match memory {
            Memory::Environment => vec![(address, u64::from(count))],
            Memory::Space(space) => self.translation.pieces(space, address, u64::from(count)),
        };
        let mut bytes = Vec::new();
        for (place, size) in pieces {
            bytes.extend(self.checkpoint.read(place, size as usize)?);
        }
        Ok(bytes)
    }

    fn write(&mut self, _memory: Memory, _address: u64, _bytes: &[u8]) -> Result<(), Error> {
        Err(self.fixed())
    }

    fn set(&mut self, _place: Place, _hash: u64, _change: Change) -> Result<(), Error> {
        Err(self.fixed())
    }

    fn is_live(&self) -> bool {
        false
    }
}
