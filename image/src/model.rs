//! The model of an environment: its flobs, what their links mean, and what crosses its border.
//!
//! An environment is a contiguous range of its nester's memory; a flob's *place* is its offset in that range: the same
//! for everyone who maps it, and kept by a restore.

use alloc::{string::String, vec::Vec};

use flob_abi::{
    ConditionState, FlobKind, MappingState, MutexState, PortSetState, PortState, ReferenceState, RegionState,
    SpaceState, ThreadState,
};
use serde::{Deserialize, Serialize};

/// Offset of a flob in the memory of its environment, in bytes.
pub type Place = u64;

/// Where a link leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Link {
    /// Nowhere.
    Null,
    /// To a flob of the same environment.
    Flob(Place),
    /// Out of the environment, to something its nester gave it: `stdin`, `clock`, `parent`, `keeper` …
    External(String),
    /// Out of the environment, to something its nester does not know.
    Unknown,
}

/// The exported state of a flob, by kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "one variant a kind, documented in flob-abi")]
#[expect(clippy::large_enum_variant, reason = "threads are few, and boxing them would complicate every user")]
pub enum State {
    Space(SpaceState),
    Thread(ThreadState),
    Region(RegionState),
    Mapping(MappingState),
    Port(PortState),
    PortSet(PortSetState),
    Mutex(MutexState),
    Condition(ConditionState),
    Reference(ReferenceState),
}

impl State {
    /// The kind of flob this is a state of.
    pub const fn kind(&self) -> FlobKind {
        match self {
            Self::Space(_) => FlobKind::Space,
            Self::Thread(_) => FlobKind::Thread,
            Self::Region(_) => FlobKind::Region,
            Self::Mapping(_) => FlobKind::Mapping,
            Self::Port(_) => FlobKind::Port,
            Self::PortSet(_) => FlobKind::PortSet,
            Self::Mutex(_) => FlobKind::Mutex,
            Self::Condition(_) => FlobKind::Condition,
            Self::Reference(_) => FlobKind::Reference,
        }
    }
}

/// One flob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flob {
    /// Its place.
    pub place: Place,
    /// Its state.
    pub state: State,
    /// Its links, as many and in the order of [`FlobKind::links`].
    pub links: Vec<Link>,
}

/// A byte stream across the border.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// `stdin`, `stdout`, `stderr`, or [`Stream::STDIN_GIVEN`].
    pub name: String,
    /// Bytes consumed or produced by the program so far.
    pub position: u64,
    /// Hash of the bytes consumed (input): FNV-1a, 64 bits, of all of them in order; 0 for output.
    pub hash: u64,
}

impl Stream {
    /// Standard input up to the last byte that the program was given. `stdin` itself stands where the last read began:
    /// that one may be put again.
    pub const STDIN_GIVEN: &str = "stdin given";
}

/// A request that a thread has made of a service outside and that is not answered yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Border {
    /// The client: a thread of the environment whose `client_peer` is an external link.
    pub client: Place,
    /// The service it asked.
    pub service: String,
    /// The bytes received from it so far.
    pub request: Vec<u8>,
    /// Whether the request is whole; else its client is still sending.
    pub whole: bool,
    /// The part of the reply that it has taken already; empty unless the reply is on its way.
    pub delivered: u64,
    /// The reply that is on its way; empty if there is none yet.
    pub reply: Vec<u8>,
}

/// Everything about an environment but its memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Name of the program.
    pub program: String,
    /// Its arguments, the name first.
    pub arguments: Vec<String>,
    /// GNU build id of its ELF, or a hash of the file where it has none; hexadecimal.
    pub build_id: String,
    /// Bytes of memory.
    pub size: u64,
    /// All flobs, ascending by place.
    pub flobs: Vec<Flob>,
    /// Streams across the border.
    pub streams: Vec<Stream>,
    /// Requests across the border.
    pub borders: Vec<Border>,
    /// Last clock value the program was given, in nanoseconds.
    pub clock: u64,
    /// Exit code, if the program has ended.
    pub exit: Option<i32>,
}

impl Environment {
    /// The flob at this place.
    pub fn flob(&self, place: Place) -> Option<&Flob> {
        let index = self.flobs.binary_search_by_key(&place, |flob| flob.place).ok()?;
        self.flobs.get(index)
    }

    /// The flob at this place, to change.
    pub fn flob_mut(&mut self, place: Place) -> Option<&mut Flob> {
        let index = self.flobs.binary_search_by_key(&place, |flob| flob.place).ok()?;
        self.flobs.get_mut(index)
    }
}

// A state travels as its kind and the bytes of its `repr(C)` struct; trailing zero bytes are left out.
mod state_bytes {
    use super::*;
    use serde::{Deserializer, Serializer, de::Error};
    use zerocopy::{FromBytes, IntoBytes};

    fn parse<T: FromBytes + IntoBytes + zerocopy::Immutable>(bytes: &[u8]) -> Option<T> {
        let mut value = T::new_zeroed();
        value.as_mut_bytes().get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(value)
    }

    impl State {
        /// The bytes of the state struct.
        pub fn as_bytes(&self) -> &[u8] {
            match self {
                Self::Space(state) => state.as_bytes(),
                Self::Thread(state) => state.as_bytes(),
                Self::Region(state) => state.as_bytes(),
                Self::Mapping(state) => state.as_bytes(),
                Self::Port(state) => state.as_bytes(),
                Self::PortSet(state) => state.as_bytes(),
                Self::Mutex(state) => state.as_bytes(),
                Self::Condition(state) => state.as_bytes(),
                Self::Reference(state) => state.as_bytes(),
            }
        }

        /// The bytes of the state struct, to change.
        pub fn as_mut_bytes(&mut self) -> &mut [u8] {
            match self {
                Self::Space(state) => state.as_mut_bytes(),
                Self::Thread(state) => state.as_mut_bytes(),
                Self::Region(state) => state.as_mut_bytes(),
                Self::Mapping(state) => state.as_mut_bytes(),
                Self::Port(state) => state.as_mut_bytes(),
                Self::PortSet(state) => state.as_mut_bytes(),
                Self::Mutex(state) => state.as_mut_bytes(),
                Self::Condition(state) => state.as_mut_bytes(),
                Self::Reference(state) => state.as_mut_bytes(),
            }
        }

        /// A state of this kind from its bytes; missing ones at the end are zero. `None` if there are too many.
        pub fn from_bytes(kind: FlobKind, bytes: &[u8]) -> Option<Self> {
            Some(match kind {
                FlobKind::Space => Self::Space(parse(bytes)?),
                FlobKind::Thread => Self::Thread(parse(bytes)?),
                FlobKind::Region => Self::Region(parse(bytes)?),
                FlobKind::Mapping => Self::Mapping(parse(bytes)?),
                FlobKind::Port => Self::Port(parse(bytes)?),
                FlobKind::PortSet => Self::PortSet(parse(bytes)?),
                FlobKind::Mutex => Self::Mutex(parse(bytes)?),
                FlobKind::Condition => Self::Condition(parse(bytes)?),
                FlobKind::Reference => Self::Reference(parse(bytes)?),
            })
        }
    }

    impl Serialize for State {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let bytes = self.as_bytes();
            let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            (self.kind() as u32, bytes.get(..used).unwrap_or_default()).serialize(serializer)
        }
    }

    impl<'de> Deserialize<'de> for State {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let (kind, bytes) = <(u32, Vec<u8>)>::deserialize(deserializer)?;
            let kind = FlobKind::from_number(kind).ok_or_else(|| D::Error::custom("unknown kind of flob"))?;
            Self::from_bytes(kind, &bytes).ok_or_else(|| D::Error::custom("state too long"))
        }
    }
}
