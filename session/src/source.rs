//! One trait, two sources: a live session or a checkpoint. Panes, verbs and the gdb server read from it.

use flob_image::{Environment, Place};
use flob_link::{Change, Memory};

use crate::Error;

/// Where the state of an environment comes from.
pub trait Source {
    /// The environment as it is now.
    fn environment(&mut self, vectors: bool) -> Result<Environment, Error>;

    /// `count` bytes of memory. Short only where the memory ends.
    fn read(&mut self, memory: Memory, address: u64, count: u32) -> Result<Vec<u8>, Error>;

    /// Writes memory; an error for a checkpoint (those are edited by `checkpoint edit`).
    fn write(&mut self, memory: Memory, address: u64, bytes: &[u8]) -> Result<(), Error>;

    /// Changes a flob; an error for a checkpoint.
    fn set(&mut self, place: Place, hash: u64, change: Change) -> Result<(), Error>;

    /// Whether it lives.
    fn is_live(&self) -> bool;
}
