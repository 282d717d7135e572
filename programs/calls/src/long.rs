//! Requests that are longer than a service's usual room, and in pieces: as pages go to the host.

use alloc::vec;
use alloc::vec::Vec;

use flob_program_shared::{expect, leak};
use flob_runtime::abi::{Status, Sum};
use flob_runtime::call::{Piece, Transfer};
use flob_runtime::flob::{FlobAt, Reference};
use flob_runtime::ipc::{self, MAX_MESSAGE};
use flob_runtime::nester::Desk;
use flob_runtime::{named, thread};

use crate::Outcome;

const NAME: &str = "long";
/// Of the server, longer than any other service's; a request that fills it may have been longer.
const ROOM: usize = MAX_MESSAGE + 9000;
/// Bytes of a sum, which is the reply.
const SUM: usize = 8;

/// Asks for the sum of a request whose pieces begin and end in the middle of words and pages.
fn ask(port: FlobAt<Reference>, bytes: &[u8], reply: &mut [u8]) -> Result<usize, Status> {
    let (head, rest) = bytes.split_at(bytes.len().min(13));
    let pieces: Vec<Piece<'_>> = rest.chunks(20_001).map(Piece::new).collect();
    ipc::call_in_pieces(port, head, &pieces, reply).map(|received| received.bytes)
}

/// A request of so many bytes is summed up right.
fn is_answered(port: FlobAt<Reference>, memory: &[u8], count: usize) -> Outcome {
    // From an odd address on.
    let bytes = memory.get(1..=count).unwrap_or_default();
    let mut reply = [0; SUM];
    let received = ask(port, bytes, &mut reply)?;
    expect("bytes of the reply", received as u64, SUM as u64)?;
    expect("the sum", u64::from_le_bytes(reply), Sum::of(bytes))
}

/// Each that is refused, cut or left ends its own connection only: the next one is served.
pub fn requests() -> Outcome {
    let desk: &'static Desk = leak(Desk::new(&[NAME])?);
    let Some(port) = desk.reference(NAME) else { return expect("a port", 0, 1) };
    let sum = |request: &[u8]| (!request.is_empty()).then(|| Sum::of(request).to_le_bytes().to_vec());
    thread::spawn(move || desk.serve_long(vec![0; ROOM], sum))?.detach();
    let memory: Vec<u8> = (0..ROOM + 4096).map(|index| (index % 253) as u8).collect();
    for count in [1, 7, 4095, 4097, MAX_MESSAGE, MAX_MESSAGE + 1, ROOM - 1] {
        is_answered(port, &memory, count)?;
    }
    for count in [0, ROOM + 1, ROOM + 4096] {
        let refused = ask(port, memory.get(..count).unwrap_or_default(), &mut [0; SUM]);
        expect("refused", u64::from(refused.is_err()), 1)?;
        is_answered(port, &memory, 4097)?;
    }
    // Less room than the reply needs.
    let mut short = [0; SUM / 2];
    let _ = ask(port, b"short", &mut short);
    expect("the reply's beginning", u64::from(Sum::of(b"short").to_le_bytes().starts_with(&short)), 1)?;
    is_answered(port, &memory, 4097)?;
    // Half of a request, and its client is gone.
    let half = Transfer { send: memory.get(..MAX_MESSAGE).unwrap_or_default(), ..Transfer::default() };
    expect("half of it", named::client_connect_send(port, half).status as u64, Status::Success as u64)?;
    ipc::disconnect();
    is_answered(port, &memory, 4097)
}
