//! IPC beyond the standard call.

use flob_program_shared::{Desk, expect};
use flob_runtime::abi::ipc::Flavour;
use flob_runtime::call::{Piece, Room, Transfer};
use flob_runtime::flob::{FlobAt, OwnedReference, PortSet, park_client_end, take_client_end};
use flob_runtime::{named, thread};

use crate::Outcome;

fn send(bytes: &[u8]) -> Transfer<'_> {
    Transfer { send: bytes, ..Transfer::default() }
}

fn exchange<'a>(bytes: &'a [u8], room: &'a mut [u8]) -> Transfer<'a> {
    Transfer { send: bytes, receive: room, ..Transfer::default() }
}

pub fn one_way() -> Outcome {
    let Desk { set, port } = Desk::new(5)?;
    let server = thread::spawn(move || {
        let mut room = [0; 16];
        let heard = named::wait_receive(set, exchange(&[], &mut room));
        (heard.alias, heard.flavour, heard.received, room)
    })?;
    let sent = named::send(port, send(b"hello"));
    expect("status", sent.status as u64, 0)?;
    let (alias, flavour, received, room) = server.join()?;
    expect("alias", alias, 5)?;
    expect("flavour", flavour, Flavour::OneWay as u64)?;
    expect("message", u64::from(received == 5 && room.starts_with(b"hello")), 1)
}

pub fn idempotent() -> Outcome {
    let Desk { set, port } = Desk::new(5)?;
    let server = thread::spawn(move || {
        let (mut room, mut next) = ([0; 8], [0; 8]);
        let mut heard = named::wait_receive(set, exchange(&[], &mut room));
        // The call may come again: its answer may be lost. The end comes one way.
        while heard.flavour == Flavour::Idempotent as u64 {
            room.reverse();
            heard = named::reply_wait_receive(set, exchange(&room, &mut next));
            room = next;
        }
        heard.flavour
    })?;
    let mut answer = [0; 8];
    let called = named::call(port, exchange(b"12345678", &mut answer));
    expect("status", called.status as u64, 0)?;
    expect("answer", u64::from(&answer == b"87654321" && called.received == 8), 1)?;
    named::send(port, send(b"end"));
    expect("last flavour", server.join()?, Flavour::OneWay as u64)
}

pub fn words() -> Outcome {
    const ROUNDS: u64 = 100;
    let Desk { set, port } = Desk::new(5)?;
    let server = thread::spawn(move || {
        let mut heard = named::wait_receive_words(set, [0; 8]);
        for _ in 1..ROUNDS {
            let answer = heard.words.map(|word| word + 1);
            heard = named::server_ack_send_wait_receive_words(set, answer);
        }
        named::server_ack_send_words(heard.words.map(|word| word + 1));
        named::server_disconnect(Transfer::default());
        heard.received
    })?;
    for round in 0..ROUNDS {
        let sent = core::array::from_fn(|index| round * 10 + index as u64);
        let answer = named::client_connect_send_over_receive_words(port, sent);
        let right = answer.words == sent.map(|word| word + 1) && answer.received == 64;
        expect("words", u64::from(right), 1)?;
        named::client_disconnect(Transfer::default());
    }
    expect("received", server.join()? as u64, 64)
}

pub fn scattered() -> Outcome {
    let Desk { set, port } = Desk::new(5)?;
    let server = thread::spawn(move || {
        let (mut first, mut second, mut third) = ([0; 3], [0; 4000], [0; 4000]);
        let mut rooms = [Room::new(&mut second), Room::new(&mut third)];
        let transfer = Transfer { receive: &mut first, receive_rooms: &mut rooms, ..Transfer::default() };
        let heard = named::wait_receive(set, transfer);
        (heard.received, u64::from(first[2]) + u64::from(second[3999]) + u64::from(third[1996]))
    })?;
    let (one, two) = ([1_u8; 2000], [2_u8; 3000]);
    let pieces = [Piece::new(&one), Piece::new(&[]), Piece::new(&two)];
    let sent = named::client_connect_send(
        port,
        Transfer { send: &[9; 1000], send_pieces: &pieces, ..Transfer::default() },
    );
    expect("status", sent.status as u64, 0)?;
    expect("unsent", sent.unsent as u64, 0)?;
    expect("disconnect", named::client_disconnect(Transfer::default()).status as u64, 0)?;
    let (received, sum) = server.join()?;
    expect("received", received as u64, 6000)?;
    expect("bytes", sum, 9 + 2 + 2)
}

pub fn parked() -> Outcome {
    let (one, other) = (Desk::new(1)?, Desk::new(2)?);
    let serve = |set: FlobAt<PortSet>| {
        thread::spawn(move || {
            let heard = named::wait_receive_words(set, [0; 8]);
            named::server_ack_send_words(heard.words.map(|word| word * 2));
            named::server_disconnect(Transfer::default());
        })
    };
    let servers = [serve(one.set)?, serve(other.set)?];
    let parked = OwnedReference::new()?;
    let connect = flob_runtime::abi::ipc::IPC | flob_runtime::abi::ipc::CONNECT;
    flob_runtime::call::ipc(connect, one.port.address(), Transfer::default());
    let sends = park_client_end(parked.at())?;
    let between = named::client_connect_send_over_receive_words(other.port, [3; 8]);
    expect("between", between.words[0], 6)?;
    take_client_end(parked.at(), sends)?;
    let after = named::client_send_over_receive_words([4; 8]);
    expect("after", after.words[7], 8)?;
    named::client_disconnect(Transfer::default());
    servers.into_iter().try_for_each(|server| server.join().map_err(Into::into))
}
