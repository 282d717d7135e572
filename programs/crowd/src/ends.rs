//! Connections of which one end is parked while its owner waits for something else.

use flob_program_shared::{Desk, Failure, expect};
use flob_runtime::abi::ipc;
use flob_runtime::call::{self, Transfer};
use flob_runtime::flob::{
    OwnedReference, park_client_end, park_connection, take_client_end, take_connection,
};
use flob_runtime::named;
use flob_runtime::thread::Builder;

use crate::GATE;
use crate::threads::STACK;

/// Connects, parks its end until the gate is open, and then sends its number and hears it doubled.
pub fn client(number: u64) -> Result<u64, Failure> {
    let desk = Desk::new(1)?;
    let server = Builder::new().stack(STACK).spawn(move || {
        let heard = named::wait_receive_words(desk.set, [0; 8]);
        answer(heard.words);
    })?;
    let parked = OwnedReference::new()?;
    call::ipc(ipc::IPC | ipc::CONNECT, desk.port.address(), Transfer::default());
    let sends = park_client_end(parked.at())?;
    drop(GATE.lock());
    take_client_end(parked.at(), sends)?;
    let heard = named::client_send_over_receive_words([number; 8]);
    named::client_disconnect(Transfer::default());
    server.join()?;
    doubled(heard.words, number)
}

/// Sends its number to somebody who parks the connection until the gate is open, and hears it doubled.
pub fn server(number: u64) -> Result<u64, Failure> {
    let desk = Desk::new(1)?;
    let server = Builder::new().stack(STACK).spawn(move || -> Result<(), Failure> {
        let heard = named::wait_receive_words(desk.set, [0; 8]);
        let parked = OwnedReference::new()?;
        park_connection(parked.at())?;
        drop(GATE.lock());
        take_connection(parked.at())?;
        answer(heard.words);
        Ok(())
    })?;
    let heard = named::client_connect_send_over_receive_words(desk.port, [number; 8]);
    named::client_disconnect(Transfer::default());
    server.join()??;
    doubled(heard.words, number)
}

fn answer(words: [u64; 8]) {
    named::server_ack_send_words(words.map(|word| word * 2));
    named::server_disconnect(Transfer::default());
}

fn doubled(heard: [u64; 8], number: u64) -> Result<u64, Failure> {
    expect("words", u64::from(heard == [number * 2; 8]), 1)?;
    Ok(number)
}
