//! The link's two threads: one takes datagrams from the host, handles them, and takes what is to be sent along when it asks for
//! the next; one sends what comes up while the other waits for the host, and what has bulk.

use alloc::vec::Vec;
use core::time::Duration;

use flob_abi::{PAGE_SIZE, Sum};
use flob_checkpointer::pace::rest;
use flob_link::{Event, FromGuest, MAX_FRAME};
use flob_runtime::service::{ServiceError, clock};

use super::copying;
use super::requests::{self, Then};
use super::sending;
use super::state::{Bulk, Nester, Outgoing, State};

/// Up to this size a reply goes before larger ones.
const SMALL: usize = 512;
/// How long to wait where the channel fails.
const PAUSE: Duration = Duration::from_millis(100);

/// The receiver's thread.
pub fn receive(nester: &Nester) {
    let mut receiver = nester.around.receiver();
    let (mut along, mut is_soon) = (Vec::new(), false);
    loop {
        match receiver.exchange(&along, is_soon) {
            Ok((message, bulk)) => (along, is_soon) = handle(nester, message, bulk),
            // No channel, no host: the child runs on all the same.
            Err(_) => {
                along.clear();
                let _ = clock::sleep(PAUSE);
            }
        }
    }
}

/// Does what a datagram asks; what is to be sent now, and whether the host may be expected to ask for more soon. A step's end comes at once, a breakpoint may: what lets the child go is answered
/// with that, in one frame and one change to the parent and back. If nothing comes of it, the answer goes when the child has had its turn.
fn handle(nester: &Nester, message: &[u8], bulk: &[u8]) -> (Vec<u8>, bool) {
    let mut state = nester.lock();
    if requests::handle(nester, &mut state, message, bulk) == Then::ChildRuns {
        state.own.courier.start();
        state.is_receiver_here = true;
        state = nester.came.wait(state);
        state.is_receiver_here = false;
        state.own.courier.rest();
        state.is_host_near = state.events.is_any_unsent();
    }
    let along = if state.ending { None } else { next(&mut state) };
    let along = match along {
        Some(outgoing) if outgoing.bulk == Bulk::None => outgoing.message,
        Some(outgoing) => {
            state.outbox.push_front(outgoing);
            Vec::new()
        }
        None => Vec::new(),
    };
    if state.ending || !state.outbox.is_empty() || state.events.is_any_unsent() {
        nester.outgoing.signal();
    }
    (along, state.is_host_near)
}

/// The sender's thread.
pub fn send(nester: &Nester) {
    let mut blank = Vec::new();
    let mut state = nester.lock();
    loop {
        match next(&mut state) {
            Some(outgoing) => {
                let pages = match &outgoing.bulk {
                    Bulk::Pages(runs) => sending::sendable(&mut state, runs),
                    Bulk::None | Bulk::Blank(_) => None,
                };
                drop(state);
                let message = &outgoing.message;
                let sent = match (&outgoing.bulk, &pages) {
                    (Bulk::None, _) => nester.around.send(message),
                    (Bulk::Pages(_), Some(pages)) => {
                        nester.around.send_bulk(message, pages.sum, &pages.places)
                    }
                    (Bulk::Pages(_), None) => nester.around.send(&save_is_over(message)),
                    (Bulk::Blank(pages), _) => send_blank(nester, message, *pages, &mut blank),
                };
                if sent.is_err() {
                    let _ = clock::sleep(PAUSE);
                }
                state = nester.lock();
                let is_to_rest = matches!(outgoing.bulk, Bulk::Pages(_)) && copying::is_to_rest(&mut state);
                // Before the child has its turn: what it writes then has been sent.
                if let (Bulk::Pages(runs), Some(pages)) = (&outgoing.bulk, &pages)
                    && sending::has_changed(&state, runs, pages)
                {
                    state.outbox.push_front(outgoing);
                }
                if is_to_rest {
                    drop(state);
                    rest();
                    state = nester.lock();
                }
            }
            None => {
                if state.ending {
                    nester.around.end(state.exit.unwrap_or(0));
                }
                state = nester.outgoing.wait(state);
            }
        }
    }
}

/// Pages were asked for and the save ended before they were sent: an answer is owed all the same, or the host would take
/// the guest for dead.
fn save_is_over(message: &[u8]) -> Vec<u8> {
    let Ok(FromGuest::Reply { epoch, number, .. }) = postcard::from_bytes::<FromGuest>(message) else {
        return Vec::new();
    };
    let result = Err(copying::no_save_is_on());
    postcard::to_allocvec(&FromGuest::<Event>::Reply { epoch, number, result }).unwrap_or_default()
}

/// Zeroes out of a buffer that is made once.
fn send_blank(nester: &Nester, message: &[u8], pages: u32, blank: &mut Vec<u8>) -> Result<(), ServiceError> {
    let bytes = u64::from(pages) * PAGE_SIZE;
    blank.resize(blank.len().max(usize::try_from(bytes).unwrap_or(0)), 0);
    let place = (blank.as_ptr().expose_provenance() as u64, bytes);
    nester.around.send_bulk(message, Sum::of_zeroes(bytes / size_of::<u64>() as u64), &[place])
}

/// What is to be sent next: one message, or small ones that wait together.
fn next(state: &mut State) -> Option<Outgoing> {
    let mut first = next_message(state)?;
    while first.bulk == Bulk::None && first.message.len() <= SMALL {
        match next_message(state) {
            Some(next)
                if next.bulk == Bulk::None && first.message.len() + next.message.len() <= MAX_FRAME =>
            {
                first.message.extend_from_slice(&next.message);
            }
            // Its turn has come, but not in this frame.
            Some(next) => {
                state.outbox.push_front(next);
                break;
            }
            None => break,
        }
    }
    Some(first)
}

/// Small replies, replies, events.
fn next_message(state: &mut State) -> Option<Outgoing> {
    let is_small = |reply: &Outgoing| reply.bulk == Bulk::None && reply.message.len() <= SMALL;
    let small = state.outbox.iter().position(is_small);
    if let Some(reply) = state.outbox.remove(small.unwrap_or(0)) {
        return Some(reply);
    }
    let (number, event) = state.events.take_next()?;
    // A stop brings a thread's state: there is room for one from the start.
    let message = postcard::to_extend(&FromGuest::Event { number, event }, Vec::with_capacity(SMALL)).ok()?;
    Some(Outgoing { message, bulk: Bulk::None })
}
