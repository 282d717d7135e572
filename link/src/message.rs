//! What host and debugger nester say to each other. A frame has at most [`MAX_FRAME`] bytes of postcard. From the host it
//! is one message; from the guest one or several, one behind the other: what happens at once travels at once.
//!
//! - The host asks ([`ToGuest`]), the guest answers with the same number ([`FromGuest::Reply`]). Only the host has
//!   time-outs: it repeats a request with the same number, and the guest answers a repeat from its cache of the last
//!   answers, so nothing is done twice (see [`crate::answers`], which the guest judges requests with).
//! - A long answer is kept by the guest under an *answer number* and fetched in numbered chunks
//!   ([`Request::Chunk`]), a window of them at a time, so that a small request gets in between.
//! - What happens in the guest is an [`Event`], numbered in order. A gap makes the host ask again from the gap
//!   on ([`Request::Sync`]); so does every quiet second, so a lost last event comes too. Output is part of the events.

mod effect;
mod event;
mod reply;
mod request;

use alloc::vec::Vec;

use flob_image::{Link, Place};
use serde::{Deserialize, Serialize};

pub use effect::Effect;
pub use event::{Event, Hit, StopReason};
pub use reply::{Failure, FailureKind, Progress, Reply};
pub use request::Request;

/// Version of the protocol; both sides must have the same.
pub const VERSION: u32 = 14;
/// Most bytes of a message.
pub const MAX_FRAME: usize = 8192;
/// Bytes of a chunk of a long answer; the last may be shorter.
pub const CHUNK: usize = 4096;
/// Most pages of one [`Request::SavePages`] or [`Request::RestorePages`], whatever the line.
pub const MAX_BULK_PAGES: u32 = (crate::frame::MAX_BULK / flob_abi::PAGE_SIZE as usize) as u32;
/// Most pages of one [`Request::SupplyZero`].
pub const MAX_ZERO_PAGES: u32 = 1024;
/// Most pages of one [`Request::SaveHashes`].
pub const MAX_HASHED_PAGES: u32 = 128;
/// Most conditions of a breakpoint.
pub const MAX_CONDITIONS: usize = 32;
/// Bytes of a page's hash.
pub const HASH: usize = 32;
/// Channel of the debugger nester in a frame.
pub const CHANNEL_DEBUGGER: u8 = 0;

/// From the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToGuest {
    /// Chosen by the host at its start, and when it has given an order up; behind the first message of a new one nothing of the old is carried out.
    pub epoch: u32,
    /// Counts up with each new request of the epoch.
    pub number: u32,
    /// What is asked.
    pub request: Request,
}

/// From the guest. Whoever sends an event and keeps it lends it for that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromGuest<E = Event> {
    /// Answer to the request of this epoch and number.
    Reply {
        #[allow(missing_docs)]
        epoch: u32,
        #[allow(missing_docs)]
        number: u32,
        /// The answer.
        result: Result<Reply, Failure>,
    },
    /// Something happened.
    Event {
        /// 0, 1, 2 … since the guest's start.
        number: u64,
        /// What.
        event: E,
    },
}

/// Which memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Memory {
    /// The environment's own: addresses are offsets.
    Environment,
    /// As the space at this place sees it.
    Space(Place),
}

/// Pages that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The first, as its number in the environment.
    pub first: u64,
    /// How many.
    pub count: u32,
}

/// A moment in the life of an environment's memory, since which changes can be told. Meaningful to the guest that gave it,
/// and only until the environment is replaced: to anybody else everything has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The guest's start ([`Reply::Hello`]).
    pub boot: u64,
    /// Environments that were replaced before this one.
    pub environment: u32,
    /// The kernel's number.
    pub epoch: u64,
}

/// What a line carries with one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// It never loses a byte, so bulk goes raw.
    pub is_lossless: bool,
    /// Most pages to the host at once.
    pub to_host: u32,
    /// Most pages to the guest at once.
    pub to_guest: u32,
}

/// Which threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// All of the environment.
    Environment,
    /// Those of the space at this place.
    Space(Place),
    /// The one at this place.
    Thread(Place),
}

/// For what a thread waits, as in `checkpoint save --when`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum WaitKind {
    Mutex,
    Condition,
    Send,
    Receive,
    Input,
}

/// What is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Access {
    /// The instruction there is about to be executed: a hardware breakpoint.
    Execute,
    /// It is written.
    Write,
    /// It is read or written.
    ReadWrite,
    /// It is read, and not written by the same access.
    Read,
}

/// Memory of a space that is watched, for all its threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Watch {
    pub space: Place,
    pub address: u64,
    pub bytes: u32,
    pub access: Access,
}

impl Watch {
    /// Whether this was meant, in the space of the watch.
    pub fn is_hit(&self, hit: Hit) -> bool {
        let range = self.address..self.address.saturating_add(self.bytes.into());
        self.access == hit.access && range.contains(&hit.address)
    }
}

/// A change of one flob; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Field groups to write ([`flob_abi::group`]).
    pub mask: u64,
    /// The state struct's bytes (see `flob_image::State::as_bytes`).
    pub state: Option<Vec<u8>>,
    /// A new target for each link that changes.
    pub links: Vec<Option<Link>>,
}
