//! Connections: requests and replies of any length in any number of pieces, with references, turned by either side, so
//! that saves find transfers half done.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use flob_runtime::abi::Status;
use flob_runtime::call::{IpcOutcome, Piece, Transfer};
use flob_runtime::flob::{FlobAt, OwnedReference, PortSet};
use flob_runtime::{named, thread};

use crate::Round;
use crate::options::Options;
use flob_program_shared::{Desk, Failure, expect, mix, mix_bytes};
use flob_runtime::random::Random;

/// Longest message.
const LONGEST: u64 = 24 * 1024;
/// Servers at one port.
const SERVERS: usize = 2;

pub fn prepare(_: &Options) -> Result<Round, Failure> {
    let desk = Desk::new(1)?;
    for _ in 0..SERVERS {
        let room = OwnedReference::new()?;
        thread::spawn(move || serve(desk.set, &room))?.detach();
    }
    Ok(Box::new(move |random| {
        let clients: Vec<_> = (0..1 + random.below(3))
            .map(|_| {
                let random = Random::new(random.word());
                thread::spawn(move || client(desk, random))
            })
            .collect::<Result<_, Status>>()?;
        let mut sum = 0_u64;
        for client in clients {
            sum = sum.wrapping_add(client.join()??);
        }
        Ok(sum)
    }))
}

/// Some requests; what their replies come to.
fn client(desk: Desk, mut random: Random) -> Result<u64, Failure> {
    let mut sum = 0;
    for _ in 0..4 {
        let message = bytes(&mut random);
        let reply = ask(desk, &mut random, &message)?;
        expect("reply", mix_bytes(&reply), mix_bytes(&answer_to(&message)))?;
        sum = mix(sum, mix_bytes(&reply));
    }
    Ok(sum)
}

fn bytes(random: &mut Random) -> Vec<u8> {
    let (length, mut word) = (1 + random.below(LONGEST), random.word());
    let next = |index| {
        word = mix(word, index);
        word as u8
    };
    (0..length).map(next).collect()
}

/// What the server says to this: its parts the other way round, and some more.
fn answer_to(message: &[u8]) -> Vec<u8> {
    let mut answer: Vec<u8> = message.iter().rev().map(|byte| byte.wrapping_mul(7)).collect();
    answer.extend_from_slice(&mix_bytes(message).to_le_bytes());
    answer
}

/// One exchange; the request goes in several sends, the last of which has two pieces and a reference.
fn ask(desk: Desk, random: &mut Random, message: &[u8]) -> Result<Vec<u8>, Failure> {
    let cut = random.below(message.len() as u64) as usize;
    let (first, rest) = message.split_at(cut);
    let (second, third) = rest.split_at(random.below(rest.len() as u64 + 1) as usize);
    let begun = named::client_connect_send(desk.port, Transfer { send: first, ..Transfer::default() });
    expect("connect", begun.status as u64, 0)?;
    let mut reply = vec![0; 1 + random.below(4096) as usize];
    let pieces = [Piece::new(third)];
    let references = [desk.port.address()];
    let transfer = Transfer {
        send: second,
        send_pieces: &pieces,
        send_references: &references,
        receive: &mut reply,
        ..Transfer::default()
    };
    let outcome = named::client_send_over_receive(transfer);
    let reply = all_of(reply, outcome, named::client_receive)?;
    // The server may have ended the connection first.
    named::client_disconnect(Transfer::default());
    Ok(reply)
}

/// A message whose beginning has been received, and the rest of it.
fn all_of(
    mut message: Vec<u8>,
    mut outcome: IpcOutcome,
    mut more: impl FnMut(Transfer<'_>) -> IpcOutcome,
) -> Result<Vec<u8>, Failure> {
    let mut received = outcome.received;
    while outcome.status == Status::ReceiveMoreData {
        message.resize(received + 3000, 0);
        let room = message.get_mut(received..).unwrap_or_default();
        outcome = more(Transfer { receive: room, ..Transfer::default() });
        received += outcome.received;
    }
    message.truncate(received);
    match outcome.status {
        Status::Success => Ok(message),
        Status::ReceiveDisconnected if received > 0 => Ok(message),
        other => Err(Failure::Wrong("receive", other as u64)),
    }
}

/// Receives each request in small pieces, with its reference, and answers it in two sends.
fn serve(set: FlobAt<PortSet>, room: &OwnedReference) {
    loop {
        let mut message = vec![0; 1000];
        let references = [room.at().address()];
        let transfer =
            Transfer { receive: &mut message, receive_references: &references, ..Transfer::default() };
        let outcome = named::wait_receive(set, transfer);
        // Only the last send carries the reference: it may come with any of the pieces.
        let references = [room.at().address()];
        let more = |Transfer { receive, .. }: Transfer<'_>| {
            let transfer = Transfer { receive, receive_references: &references, ..Transfer::default() };
            named::server_receive(transfer)
        };
        let Ok(message) = all_of(message, outcome, more) else { continue };
        let answer = answer_to(&message);
        let (first, rest) = answer.split_at(answer.len() / 3);
        named::server_ack_send(Transfer { send: first, ..Transfer::default() });
        named::server_send(Transfer { send: rest, ..Transfer::default() });
        named::server_disconnect(Transfer::default());
    }
}
