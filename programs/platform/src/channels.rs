//! The named channels to the host: datagrams that came and wait to be received. On the line a channel is a number:
//! its place in [`CHANNELS`].

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use flob_runtime::ipc;
use flob_runtime::service::messages::{HostReply, MAX_DATAGRAM};
use flob_runtime::sync::{Condition, Lock};

use crate::line;

/// Most datagrams that wait in a channel; further ones are dropped, and the host puts them again.
const CAPACITY: usize = 64;

/// A channel of one nester.
pub struct Channel {
    name: &'static str,
    waiting: Lock<VecDeque<Vec<u8>>>,
    arrived: Condition,
}

/// All channels, by their number on the line.
static CHANNELS: [Channel; 2] = [Channel::new("debugger"), Channel::new("checkpointer")];

/// The channel of this name.
pub fn find(name: &str) -> Option<&'static Channel> {
    CHANNELS.iter().find(|channel| channel.name == name)
}

/// Sends a datagram, as soon as the line has room.
pub fn send(name: &str, datagram: &[u8]) -> Result<(), HostReply<'static>> {
    let number = CHANNELS.iter().position(|channel| channel.name == name).ok_or(HostReply::NoChannel)?;
    if datagram.len() > MAX_DATAGRAM {
        return Err(HostReply::TooLong);
    }
    let number = u8::try_from(number).map_err(|_| HostReply::NoChannel)?;
    line::send(number, datagram).map_err(|_| HostReply::TooLong)
}

/// A datagram has come from the host. `false` if nobody has this channel or it is full.
pub fn deliver(number: u8, datagram: &[u8]) -> bool {
    let Some(channel) = CHANNELS.get(usize::from(number)) else { return false };
    let mut waiting = channel.waiting.lock();
    let has_room = waiting.len() < CAPACITY;
    if has_room {
        waiting.push_back(datagram.to_vec());
        channel.arrived.signal();
    }
    has_room
}

impl Channel {
    const fn new(name: &'static str) -> Self {
        Self { name, waiting: Lock::new(VecDeque::new()), arrived: Condition::new() }
    }

    /// Waits for a datagram and answers the calling thread's client with it. One that the client does not take (because
    /// it is gone) stays the next.
    pub fn answer_with_next(&self) {
        let mut waiting = self.arrived.wait_until(self.waiting.lock(), |waiting| !waiting.is_empty());
        let Some(datagram) = waiting.pop_front() else { return };
        drop(waiting);
        let reply = postcard::to_allocvec(&HostReply::Frame { bytes: &datagram }).unwrap_or_default();
        if ipc::answer(&reply, &[]).is_err() {
            self.waiting.lock().push_front(datagram);
            self.arrived.signal();
        }
    }
}
