//! What the TUI needs of the checkpoint store.

use flob_image::{Environment, Place};
use flob_link::Memory;
use flob_session::{Error, Source};

/// A saved checkpoint, for the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// Its id.
    pub id: String,
    /// The name somebody gave it.
    pub name: Option<String>,
    /// The checkpoint it was made from.
    pub parent: Option<String>,
    /// Program.
    pub program: String,
    /// Bytes of memory in it that are not zero.
    pub bytes: u64,
    /// Number of flobs.
    pub flobs: usize,
    /// Seconds since 1970.
    pub time: u64,
    /// It was edited, not taken.
    pub edited: bool,
}

/// Bytes to be written into a checkpoint's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poke {
    /// Which memory.
    pub memory: Memory,
    /// Where.
    pub address: u64,
    /// What.
    pub bytes: Vec<u8>,
}

/// The checkpoints of this user. Called from workers only.
pub trait Store: Send + Sync {
    /// All of them.
    fn list(&self) -> Result<Vec<Saved>, Error>;

    /// What is saved under this id, name or unique prefix, and its id.
    fn open(&self, id: &str) -> Result<(String, Box<dyn Source>), Error>;

    /// Bytes of its memory.
    fn read(&self, id: &str, memory: Memory, address: u64, count: u32) -> Result<Vec<u8>, Error>;

    /// Saves an edited environment as a new checkpoint whose parent is `parent`; its id.
    fn save_edited(&self, parent: &str, environment: &Environment, pokes: &[Poke]) -> Result<String, Error>;

    /// Removes a checkpoint.
    fn remove(&self, id: &str) -> Result<(), Error>;

    /// In what the second checkpoint differs from the first, in lines.
    fn compare(&self, before: &str, after: &str) -> Result<Vec<String>, Error>;

    /// The text form of these flobs of a checkpoint; of all if none are named.
    fn text(&self, id: &str, places: &[Place]) -> Result<String, Error>;

    /// The environment of a checkpoint with what this text says about its flobs.
    fn with_text(&self, id: &str, text: &str) -> Result<Environment, Error>;
}
