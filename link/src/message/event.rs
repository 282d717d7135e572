//! What happens in the guest.

use alloc::vec::Vec;

use flob_image::Place;
use serde::{Deserialize, Serialize};

use super::{Access, Mark};

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The program wrote.
    Output {
        /// 1 for stdout, 2 for stderr.
        stream: u8,
        /// Where in the stream.
        position: u64,
        #[allow(missing_docs)]
        #[serde(with = "crate::bytes")]
        bytes: Vec<u8>,
    },
    /// A thread was stopped by a debug exception or at the end of a step. It is stopped by the debugger now.
    Stopped {
        #[allow(missing_docs)]
        thread: Place,
        #[allow(missing_docs)]
        space: Place,
        #[allow(missing_docs)]
        reason: StopReason,
        /// Its state, without vectors (`flob_abi::ThreadState`).
        #[serde(with = "crate::bytes")]
        state: Vec<u8>,
        /// So are all threads of its space, because that was let go by `Continue`.
        whole: bool,
    },
    /// A thread died of an exception that nobody handled; the environment is stopped, to be looked at.
    Died {
        #[allow(missing_docs)]
        thread: Place,
        /// A `flob_abi::ExceptionCode`.
        code: u32,
        /// As in the exception message.
        detail: u32,
        #[allow(missing_docs)]
        address: u64,
    },
    /// The program has ended.
    Exited {
        #[allow(missing_docs)]
        code: i32,
    },
    /// The moment that `SaveBegin { when }` waited for has come: the environment is stopped; ask `SaveBegin` again
    /// (with `when: None`) for the record.
    SaveReady,
    /// The program waits for input from this position on.
    InputWanted {
        #[allow(missing_docs)]
        from: u64,
        #[allow(missing_docs)]
        to: u64,
    },
    /// A restore has replaced the environment: what the answer to [`super::Request::RestoreCommit`] says, for whoever has not got that.
    Restored(Mark),
    /// The program was begun anew, in the place of what it was ([`super::Request::Restart`]). The mark as above.
    Restarted(Mark),
    /// Nothing of the program can run, and it waits for nothing outside: it stands still for good, unless somebody changes
    /// it. Told once a standstill.
    StandsStill,
    /// There are records in the trace up to this number. Told again only once somebody has read so far.
    Traced {
        #[allow(missing_docs)]
        next: u64,
    },
    /// The program waits for a missing page.
    PageWanted {
        /// [`Mark::environment`].
        environment: u32,
        #[allow(missing_docs)]
        page: u64,
    },
}

/// Most that is told of one stop: the event must fit into a message.
const MOST_HITS: usize = 64;

/// Why a thread was stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopReason {
    /// At one of our breakpoints.
    Breakpoint,
    /// At one that has conditions: those that hold, and those that came to no value, a bit each. Clients of the hub are told
    /// `Breakpoint`.
    Condition {
        #[allow(missing_docs)]
        met: u32,
        #[allow(missing_docs)]
        failed: u32,
    },
    /// A step is done.
    Step,
    /// Another debug exception: DR6.
    Debug(u32),
    /// It has touched memory that is watched (and stands behind that instruction), or come to a hardware breakpoint (and
    /// stands before it). One instruction or message may touch several: never none.
    Watched(Vec<Hit>),
    /// Before this kernel call, which is caught: it stands at the instruction.
    Call(u64),
}

impl StopReason {
    /// Whoever touched these, if they are any.
    pub fn watched(hits: Vec<Hit>) -> Option<Self> {
        let mut distinct = Vec::new();
        for hit in hits {
            if distinct.len() < MOST_HITS && !distinct.contains(&hit) {
                distinct.push(hit);
            }
        }
        (!distinct.is_empty()).then_some(Self::Watched(distinct))
    }
}

/// Something watched was touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// The first of the bytes that were meant, or where the debug register points.
    pub address: u64,
    /// As what it was watched.
    pub access: Access,
}
