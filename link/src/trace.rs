//! The trace: what the program asks of its parent and of the kernel, and what comes of it. The guest keeps the last records in
//! a ring; the host reads them by number ([`crate::Request::Trace`]) and is told when there are more
//! ([`crate::Event::Traced`]). A call whose end is not known yet is two records: its beginning, and later its end.

use alloc::{string::String, vec::Vec};

use flob_image::Place;
use serde::{Deserialize, Serialize};

/// What is traced. Nothing, unless somebody asks for it: a request to the parent costs a few calls more, and a kernel call
/// several exceptions, while all other threads stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracing {
    /// Requests to the parent's services.
    pub services: bool,
    /// These kernel calls, by number, of all spaces whose exceptions come to the nester; `flob_abi::ipc::IPC` stands for any set
    /// of IPC steps.
    pub calls: Vec<u64>,
}

impl Tracing {
    /// Whether anything is traced.
    pub fn is_on(&self) -> bool {
        self.services || !self.calls.is_empty()
    }
}

/// A record of the trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traced {
    /// 0, 1, 2 … since the guest's start.
    pub number: u64,
    /// The program's time, in nanoseconds.
    pub at: u64,
    #[allow(missing_docs)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// Something was asked.
    Began {
        /// By whom; `None` if the thread is gone already.
        thread: Option<Place>,
        /// Its space.
        space: Option<Place>,
        #[allow(missing_docs)]
        asked: Asked,
    },
    /// The end of what the record `of` tells the beginning of.
    Ended {
        #[allow(missing_docs)]
        of: u64,
        #[allow(missing_docs)]
        outcome: Outcome,
    },
    /// The environment was replaced by a checkpoint: nothing that began before ends any more.
    Restored,
    /// The same by the program's new beginning.
    Restarted,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Asked {
    /// Of a service of the parent.
    Service {
        /// Its name: `stdin`.
        service: String,
        #[allow(missing_docs)]
        message: Message,
    },
    /// Of the kernel.
    Call {
        /// Its number.
        number: u64,
        /// The registers in the order of [`REGISTERS`].
        registers: Vec<u64>,
        /// What an IPC call in the long form sends.
        sent: Option<Payload>,
    },
}

/// A message of an IPC call in the long form: its bytes lie in memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// Its first bytes ([`MOST_OF_PAYLOAD`]); fewer of them where memory could not be read.
    pub start: Vec<u8>,
    /// Its bytes.
    pub count: u64,
    /// Those are all: a table of buffers that is very long, or cannot be read, is not counted to its end.
    pub is_all: bool,
}

impl Payload {
    /// Whether all that is kept of such a message could be read.
    pub fn is_readable(&self) -> bool {
        self.start.len() as u64 >= self.count.min(MOST_OF_PAYLOAD as u64)
    }
}

/// A request or reply of a service, decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `Read`, `Lookup`; empty if the bytes are no message of the service.
    pub verb: String,
    /// Names and values.
    pub fields: Vec<(String, Value)>,
}

/// A value in a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    #[allow(missing_docs)]
    Number(u64),
    #[allow(missing_docs)]
    Signed(i64),
    #[allow(missing_docs)]
    Text(String),
    /// The first bytes ([`MOST_SHOWN`]) of so many.
    Bytes {
        #[allow(missing_docs)]
        start: Vec<u8>,
        #[allow(missing_docs)]
        count: u32,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The service's reply.
    Reply(Message),
    /// No reply: the request made no sense, and its connection has ended.
    Refused,
    /// The kernel's: the registers in the order of [`REGISTERS`], the status before them.
    Returned {
        #[allow(missing_docs)]
        status: u64,
        #[allow(missing_docs)]
        registers: Vec<u64>,
        /// What an IPC call in the long form has received.
        received: Option<Payload>,
    },
    /// The call is over, but what it returned was not seen: the thread was stopped in it, or had run on.
    Unseen,
}

/// Most bytes of a value that are kept.
pub const MOST_SHOWN: usize = 48;

/// Most bytes of an IPC message that are kept.
pub const MOST_OF_PAYLOAD: usize = 64;

/// The registers that a call's arguments and values are in.
pub const REGISTERS: [&str; 12] =
    ["rdi", "rsi", "rdx", "r10", "r8", "r9", "rbx", "r12", "r13", "r14", "r15", "rbp"];
