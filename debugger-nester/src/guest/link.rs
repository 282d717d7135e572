//! The link's two threads: one takes datagrams from the host and handles them, one sends what is to be sent.

use alloc::vec::Vec;
use core::time::Duration;

use flob_link::FromGuest;
use flob_runtime::{
    service::{clock, host},
    start,
};

use super::requests;
use super::state::{Nester, State};

/// Name of the channel.
const CHANNEL: &str = "debugger";
/// Up to this size a reply goes before larger ones.
const SMALL: usize = 512;
/// How long to wait where the channel fails.
const PAUSE: Duration = Duration::from_millis(100);

/// The receiver's thread.
pub fn receive(nester: &Nester) {
    let mut receiver = host::Receiver::new(CHANNEL);
    loop {
        match receiver.receive() {
            Ok(frame) => requests::handle(nester, frame),
            // No channel, no host: the child runs on all the same.
            Err(_) => drop(clock::sleep(PAUSE)),
        }
    }
}

/// The sender's thread.
pub fn send(nester: &Nester) {
    let mut state = nester.lock();
    loop {
        match next(&mut state) {
            Some(message) => {
                drop(state);
                if host::send(CHANNEL, &message).is_err() {
                    let _ = clock::sleep(PAUSE);
                }
                state = nester.lock();
            }
            None => {
                if state.ending {
                    start::exit(state.exit.unwrap_or(0));
                }
                state = nester.outgoing.wait(state);
            }
        }
    }
}

/// What is to be sent next: small replies, replies, events.
fn next(state: &mut State) -> Option<Vec<u8>> {
    let small = state.outbox.iter().position(|reply| reply.len() <= SMALL);
    if let Some(reply) = state.outbox.remove(small.unwrap_or(0)) {
        return Some(reply);
    }
    let (number, event) = state.events.take_next()?;
    postcard::to_allocvec(&FromGuest::Event { number, event: event.clone() }).ok()
}
