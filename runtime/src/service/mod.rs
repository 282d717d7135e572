//! Services: what a program asks of its parent. Message types are in [`messages`], described in `docs/services.md`;
//! the other files are their client stubs.

pub mod clock;
pub mod host;
pub mod log;
pub mod messages;
pub mod parent;
pub mod programs;
pub mod stream;

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use flob_abi::Status;
use serde::{Deserialize, Serialize};

use crate::flob::{FlobAt, Reference};
use crate::ipc;
use crate::start;
use crate::sync::Once;

pub use stream::{Input, Output, STDERR, STDIN, STDOUT, print, stderr_of_panic};

/// Why a service did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceError {
    /// The parent has no service of this name.
    NoService,
    /// The connection failed.
    Ipc(Status),
    /// The request or the reply was not understood, or the reply fits another request.
    Garbled,
    /// The service said no.
    Refused,
}

impl fmt::Display for ServiceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoService => formatter.write_str("there is no such service"),
            Self::Ipc(status) => write!(formatter, "the service did not answer: {}", status.text()),
            Self::Garbled => formatter.write_str("the service was not understood"),
            Self::Refused => formatter.write_str("the service refused"),
        }
    }
}

impl core::error::Error for ServiceError {}

/// How often a request whose connection broke before the reply is put again. Requests can be repeated without harm.
const ATTEMPTS: usize = 4;

/// Puts `request` to the port and reads the reply out of `room`.
pub fn request<'a, R: Deserialize<'a>>(
    port: FlobAt<Reference>,
    request: &impl Serialize,
    room: &'a mut [u8],
    references: &[FlobAt<Reference>],
) -> Result<R, ServiceError> {
    let bytes = postcard::to_allocvec(request).map_err(|_| ServiceError::Garbled)?;
    let mut attempt = 1;
    let received = loop {
        match ipc::call(port, &bytes, &[], room, references) {
            Ok(received) => break received,
            Err(Status::SendDisconnected | Status::OverDisconnected | Status::ReceiveDisconnected)
                if attempt < ATTEMPTS =>
            {
                attempt += 1;
            }
            Err(status) => return Err(ServiceError::Ipc(status)),
        }
    };
    let reply: &'a [u8] = room;
    let reply = reply.get(..received.bytes).unwrap_or_default();
    postcard::from_bytes(reply).map_err(|_| ServiceError::Garbled)
}

/// Puts a request to the port as it is: for those who pass it on for somebody else. `None` if it was not answered.
pub fn pass_on(port: FlobAt<Reference>, request: &[u8]) -> Option<Vec<u8>> {
    let mut room = reply_room();
    (0..ATTEMPTS).find_map(|_| ipc::call(port, request, &[], &mut room, &[]).ok()).map(|received| {
        room.truncate(received.bytes);
        room
    })
}

/// Room for a reply of any size.
pub fn reply_room() -> Vec<u8> {
    vec![0; ipc::ROOM]
}

/// A service of the parent, looked up at its first use.
pub struct Service {
    name: &'static str,
    port: Reference,
    /// Set once it leads there, so that the usual way needs no lock.
    found: Once<()>,
}

impl Service {
    /// The service of this name.
    pub const fn new(name: &'static str) -> Self {
        Self { name, port: Reference::new(), found: Once::new() }
    }

    /// Its name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The reference to its port.
    pub fn port(&self) -> Result<FlobAt<Reference>, ServiceError> {
        self.found.try_set(|| self.find())?;
        Ok(self.port.at())
    }

    fn find(&self) -> Result<(), ServiceError> {
        if start::parent().is_null() {
            return Err(ServiceError::NoService);
        }
        parent::lookup(self.name, &self.port)
    }
}
