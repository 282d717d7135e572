//! What clients (TUI, gdb server, other `flob` commands) and the hub say to each other over the session's Unix socket:
//! length-prefixed (u32, little-endian) postcard of [`ToHub`] and [`FromHub`]. Several requests may be under way at once.

mod info;
mod reply;
mod request;

use flob_abi::FlobKind;
use flob_image::State;
use flob_link::{Event, Failure};
use serde::{Deserialize, Serialize};

pub use info::{Fetching, LinkState, SessionInfo};
pub use reply::{HubReply, LineFigures, Migrated, TracePart};
pub use request::{HubRequest, LongRequest};

/// From a client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ToHub {
    /// Chosen by the client; the answer carries the same.
    pub number: u32,
    /// What is asked.
    pub request: HubRequest,
}

/// From the hub.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum FromHub {
    /// The answer to the request with this number.
    Reply {
        #[allow(missing_docs)]
        number: u32,
        /// The answer.
        result: Result<HubReply, Failure>,
    },
    /// How far a long request is.
    Progress {
        /// The request.
        number: u32,
        /// What is done now, for people: `pages`, `waiting for the moment` …
        phase: String,
        #[allow(missing_docs)]
        done: u64,
        /// 0 if not known.
        total: u64,
    },
    /// Something happened, to every client that has subscribed.
    Event(HubEvent),
    /// The last word to a client that does not read what happens: a sentence that says so.
    CutOff(String),
}

/// Who holds threads back. A thread runs if and only if nobody holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Owner {
    /// TUI and command line: lasts until resumed.
    User,
    /// A client of its own (a gdb connection): its holds and breakpoints end with its connection to the hub.
    Client(String),
}

/// What the hub tells its subscribers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum HubEvent {
    /// From the guest.
    Guest(Event),
    /// The connection to the guest changed.
    Link(LinkState),
    /// Somebody changed flobs, memory or holds: what is cached is old.
    Changed,
    /// A checkpoint was saved.
    Saved(String),
    /// All that the trace holds when the session comes to its end: nobody can ask for it any more.
    Trace(TracePart),
    /// The guest has restored after all what it did not answer to: this checkpoint, or one that is not known here. It is held.
    Arrived(Option<String>),
    /// A page of the checkpoint that was restored lazily cannot be had: the program is held. A sentence that says why.
    PagesLost(String),
    /// The guest has ended by itself: a sentence, and below it what it said last, a kernel's panic record above all.
    GuestEnded(String),
    /// Where the guest was that runs elsewhere there is one that was started since: nothing of what was known or asked for is true.
    AnotherGuest,
    /// The program has moved into the session of this name; this one ends.
    Moved(String),
    /// The guest has ended, and the session ends as soon as what clients have asked for is done: a save that the store is taking,
    /// above all.
    Finishing,
}

/// The next instruction of a thread that was stopped, by the state that [`Event::Stopped`] brings.
pub fn instruction(state: &[u8]) -> Option<u64> {
    match State::from_bytes(FlobKind::Thread, state)? {
        State::Thread(thread) => Some(thread.registers.rip),
        _ => None,
    }
}

/// Owners, for people: `the user, gdb-1`.
pub fn owner_names(owners: &[Owner]) -> String {
    let name = |owner: &Owner| match owner {
        Owner::User => "the user".to_owned(),
        Owner::Client(name) => name.clone(),
    };
    owners.iter().map(name).collect::<Vec<_>>().join(", ")
}
