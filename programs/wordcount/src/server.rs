//! The tally server: a thread in the second space, with a port of its own.

use alloc::vec::Vec;

use flob_runtime::abi::Status;
use flob_runtime::flob::{Port, PortSet, Reference, Thread};
use flob_runtime::ipc::{Answer, Server};
use flob_runtime::service::{ServiceError, request};
use flob_runtime::thread::Builder;
use wordcount_core::Tally;
use wordcount_core::message::{Reply, Request};

use crate::second_space;

static TALLY_PORT: Port = Port::new();
static TALLY_PORT_SET: PortSet = PortSet::new();
static TALLY_THREAD: Thread = Thread::new();
/// What the workers ask: a reference to [`TALLY_PORT`].
static TALLY_SERVICE: Reference = Reference::new();

/// Stack of the server.
const STACK: usize = 64 * 1024;
/// The alias of the server's only port.
const ALIAS: u64 = 1;

/// Makes port and port set and starts the server in the second space.
pub fn start() -> Result<(), Status> {
    TALLY_PORT_SET.at().create()?;
    TALLY_PORT.at().open_in(TALLY_PORT_SET.at(), ALIAS)?;
    TALLY_SERVICE.at().create()?;
    TALLY_PORT.at().reference(TALLY_SERVICE.at())?;
    let server = Server::new(TALLY_PORT_SET.at())?;
    // It serves as long as the program lives; nobody joins it.
    Builder::new()
        .flob(&TALLY_THREAD)
        .stack(STACK)
        .space(second_space::reference())
        .spawn(move || tally_server(server))?
        .detach();
    Ok(())
}

/// Puts a request to the tally server.
pub fn ask<'a>(wanted: &Request<'_>, room: &'a mut [u8]) -> Result<Reply<'a>, ServiceError> {
    request(TALLY_SERVICE.at(), wanted, room, &[])
}

/// Answers requests for good.
#[inline(never)]
fn tally_server(mut server: Server) {
    let mut tally = Tally::new();
    let mut reply = Vec::new();
    loop {
        let answer =
            if reply.is_empty() { Answer::None } else { Answer::Reply { bytes: &reply, references: &[] } };
        let (request, _) = server.next(answer);
        let answer = match postcard::from_bytes(request.bytes) {
            Ok(wanted) if request.is_call() => tally.serve(&wanted),
            _ => Reply::Garbled,
        };
        let answer = postcard::to_allocvec(&answer).unwrap_or_default();
        reply = if request.is_call() { answer } else { Vec::new() };
    }
}
