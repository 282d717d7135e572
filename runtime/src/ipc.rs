//! Reliable IPC for clients and servers, and the keeper's idempotent replies.
//!
//! A client calls ([`call`]); a server waits ([`wait`]), acts, and answers and waits again in one call ([`Server`]).

use alloc::vec;
use alloc::vec::Vec;

use flob_abi::ipc::{self as steps, Flavour};
use flob_abi::{ExceptionReply, Status};
use zerocopy::IntoBytes;

use crate::call::{self, IpcOutcome, Piece, Transfer};
use crate::flob::{FlobAt, OwnedReference, PortSet, Reference};

/// Most bytes in a request or a reply.
pub const MAX_MESSAGE: usize = 64 * 1024;
/// Room for a message of [`MAX_MESSAGE`] and a little more, so that a full one is told from one too long.
pub const ROOM: usize = MAX_MESSAGE + 256;
/// Most references in a request or a reply.
pub const MAX_REFERENCES: usize = 4;

/// What came back from a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes of the receive buffer that were filled.
    pub bytes: usize,
    /// Reference flobs that were filled.
    pub references: usize,
}

/// The addresses of up to [`MAX_REFERENCES`] reference flobs, as the kernel takes them.
struct Addresses([u64; MAX_REFERENCES], usize);

impl Addresses {
    fn of(references: &[FlobAt<Reference>]) -> Self {
        let mut addresses = [0; MAX_REFERENCES];
        for (address, reference) in addresses.iter_mut().zip(references) {
            *address = reference.address();
        }
        Self(addresses, references.len().min(MAX_REFERENCES))
    }

    fn as_slice(&self) -> &[u64] {
        self.0.get(..self.1).unwrap_or_default()
    }
}

/// The standard client call: sends a request to the port that `port` refers to and receives the reply.
///
/// A server that answers and waits for the next client ends the connection; so a reply that ends in a disconnection is
/// a reply, unless it is empty.
pub fn call(
    port: FlobAt<Reference>,
    request: &[u8],
    references: &[FlobAt<Reference>],
    reply: &mut [u8],
    reply_references: &[FlobAt<Reference>],
) -> Result<Received, Status> {
    let outcome = call::ipc(
        steps::CLIENT_CALL,
        port.address(),
        Transfer {
            send: request,
            send_references: Addresses::of(references).as_slice(),
            receive: reply,
            receive_references: Addresses::of(reply_references).as_slice(),
            ..Transfer::default()
        },
    );
    let received = Received { bytes: outcome.received, references: outcome.received_references };
    match outcome.status {
        Status::Success => Ok(received),
        Status::ReceiveDisconnected if received.bytes > 0 || received.references > 0 => Ok(received),
        other => Err(other),
    }
}

/// As [`call`], with a request that lies in several places, which the server receives as one.
pub fn call_in_pieces(
    port: FlobAt<Reference>,
    request: &[u8],
    pieces: &[Piece<'_>],
    reply: &mut [u8],
) -> Result<Received, Status> {
    let transfer = Transfer { send: request, send_pieces: pieces, receive: reply, ..Transfer::default() };
    let outcome = call::ipc(steps::CLIENT_CALL, port.address(), transfer);
    let received = Received { bytes: outcome.received, references: 0 };
    match outcome.status {
        Status::Success => Ok(received),
        Status::ReceiveDisconnected if received.bytes > 0 => Ok(received),
        other => Err(other),
    }
}

/// Ends the caller's connection as a client.
pub fn disconnect() {
    call::ipc(steps::IPC | steps::DISCONNECT, 0, Transfer::default());
}

/// A request as it arrived at a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Of the port it came through.
    pub alias: u64,
    /// How it came.
    pub flavour: Flavour,
    /// `Success` for a whole request; anything else says why the receive ended early.
    pub status: Status,
    /// Bytes of the buffer that were filled.
    pub bytes: usize,
    /// Reference flobs that were filled.
    pub references: usize,
}

impl Incoming {
    fn from(outcome: IpcOutcome) -> Option<Self> {
        Some(Self {
            alias: outcome.alias,
            flavour: Flavour::from_number(outcome.flavour)?,
            status: outcome.status,
            bytes: outcome.received,
            references: outcome.received_references,
        })
    }
}

/// What a server does about the request at hand before it waits for the next.
#[derive(Clone, Copy, Debug, Default)]
pub enum Answer<'a> {
    /// Nothing: a connection at hand is ended (or was parked before).
    #[default]
    None,
    /// The reply of a reliable call.
    Reply {
        /// Its bytes.
        bytes: &'a [u8],
        /// Its references.
        references: &'a [FlobAt<Reference>],
    },
    /// A keeper's reply to an exception.
    Exception(ExceptionReply),
}

/// Answers and waits at `set` for the next request, in one call. The second value says whether the answer was taken;
/// if the client was gone this goes on to wait all the same.
pub fn answer_and_wait(
    answer: Answer<'_>,
    set: FlobAt<PortSet>,
    receive: &mut [u8],
    references: &[FlobAt<Reference>],
) -> (Incoming, bool) {
    let mut answer = answer;
    let mut taken = true;
    let receive_references = Addresses::of(references);
    loop {
        let exception;
        let (steps, send, send_references): (u64, &[u8], &[FlobAt<Reference>]) = match answer {
            Answer::None => (steps::SERVER_WAIT, &[], &[]),
            Answer::Reply { bytes, references } => (steps::SERVER_ANSWER, bytes, references),
            Answer::Exception(reply) => {
                exception = reply;
                (steps::SERVER_REPLY, exception.as_bytes(), &[])
            }
        };
        let outcome = call::ipc(
            steps,
            set.address(),
            Transfer {
                send,
                send_references: Addresses::of(send_references).as_slice(),
                receive: &mut *receive,
                receive_references: receive_references.as_slice(),
                ..Transfer::default()
            },
        );
        match outcome.status {
            Status::AcknowledgeDisconnected | Status::SendDisconnected | Status::OverDisconnected => {
                taken = false;
                answer = Answer::None;
            }
            _ => match Incoming::from(outcome) {
                Some(incoming) => return (incoming, taken),
                // No flavour: the wait itself did not succeed (a stopped and edited thread, say). Wait again.
                None => answer = Answer::None,
            },
        }
    }
}

/// Waits at `set` for a request.
pub fn wait(set: FlobAt<PortSet>, receive: &mut [u8], references: &[FlobAt<Reference>]) -> Incoming {
    answer_and_wait(Answer::None, set, receive, references).0
}

/// Answers the request at hand and ends the connection, without waiting for another. `Err` if the client was gone.
pub fn answer(bytes: &[u8], references: &[FlobAt<Reference>]) -> Result<(), Status> {
    let outcome = call::ipc(
        steps::IPC | steps::SERVER | steps::ACKNOWLEDGE | steps::SEND | steps::DISCONNECT,
        0,
        Transfer {
            send: bytes,
            send_references: Addresses::of(references).as_slice(),
            ..Transfer::default()
        },
    );
    match outcome.status {
        Status::Success => Ok(()),
        other => Err(other),
    }
}

/// Answers the exception at hand, without waiting for another request. Nothing happens if it is not at hand any more.
pub fn reply(reply: &ExceptionReply) {
    let transfer = Transfer { send: reply.as_bytes(), ..Transfer::default() };
    call::ipc(steps::IPC | steps::SERVER | steps::REPLY, 0, transfer);
}

/// A server's buffers: room for a request and its references. One for each server thread.
pub struct Server {
    set: FlobAt<PortSet>,
    buffer: Vec<u8>,
    references: Vec<OwnedReference>,
}

/// A request and what came with it, borrowed from its [`Server`].
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Alias, flavour, status.
    pub incoming: Incoming,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Its references; they are overwritten by the next request, so copy what is to be kept.
    pub references: &'a [OwnedReference],
}

impl Request<'_> {
    /// Whether it is a whole request of a reliable call, to be answered with [`Answer::Reply`].
    pub fn is_call(&self) -> bool {
        self.incoming.flavour == Flavour::Reliable && self.incoming.status == Status::Success
    }
}

impl Server {
    /// Buffers for a thread that serves `set`.
    pub fn new(set: FlobAt<PortSet>) -> Result<Self, Status> {
        let references = (0..MAX_REFERENCES).map(|_| OwnedReference::new()).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { set, buffer: vec![0; ROOM], references })
    }

    /// Answers, waits for the next request and returns it with whether the answer was taken.
    pub fn next(&mut self, answer: Answer<'_>) -> (Request<'_>, bool) {
        let room: [FlobAt<Reference>; MAX_REFERENCES] = core::array::from_fn(|index| {
            self.references.get(index).map_or(FlobAt::new(0), OwnedReference::at)
        });
        let (incoming, taken) = answer_and_wait(answer, self.set, &mut self.buffer, &room);
        let request = Request {
            incoming,
            bytes: self.buffer.get(..incoming.bytes).unwrap_or_default(),
            references: self.references.get(..incoming.references).unwrap_or_default(),
        };
        (request, taken)
    }
}
