//! The named channels to the host: datagrams that came and wait to be received. On the line a channel is a number:
//! its place in [`CHANNELS`].

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use flob_runtime::ipc;
use flob_runtime::service::messages::{BulkRequest, HostReply, MAX_DATAGRAM};
use flob_runtime::sync::{Condition, Lock};

use crate::lent::Lent;
use crate::line;

/// Most datagrams that wait in a channel; further ones are dropped, and the host puts them again.
const CAPACITY: usize = 64;

/// One that came.
#[derive(Default)]
pub struct Datagram {
    /// What it says.
    pub message: Vec<u8>,
    /// What came with it.
    pub bulk: Vec<u8>,
}

/// A channel of one nester.
pub struct Channel {
    name: &'static str,
    waiting: Lock<VecDeque<Datagram>>,
    arrived: Condition,
}

/// All channels, by their number on the line.
static CHANNELS: [Channel; 2] = [Channel::new("debugger"), Channel::new("checkpointer")];

/// Its number on the line.
fn number(name: &str) -> Result<u8, HostReply<'static>> {
    let number = CHANNELS.iter().position(|channel| channel.name == name);
    number.and_then(|number| u8::try_from(number).ok()).ok_or(HostReply::NoChannel)
}

/// Sends a datagram, as soon as the line has room.
pub fn send(name: &str, datagram: &[u8]) -> Result<(), HostReply<'static>> {
    let number = number(name)?;
    if datagram.len() > MAX_DATAGRAM {
        return Err(HostReply::TooLong);
    }
    line::send(number, datagram).map_err(|_| HostReply::TooLong)
}

/// Sends a datagram, unless it is empty: the channel, to wait for the next one.
pub fn send_along(name: &str, datagram: &[u8]) -> Result<&'static Channel, HostReply<'static>> {
    let channel = CHANNELS.iter().find(|channel| channel.name == name).ok_or(HostReply::NoChannel)?;
    if !datagram.is_empty() {
        send(name, datagram)?;
    }
    Ok(channel)
}

/// Sends a datagram with its bulk, as soon as the line has room. `lent` finds a piece by address and bytes.
pub fn send_bulk(
    request: &BulkRequest<'_>,
    lent: impl Fn(u64, u64) -> Option<Lent>,
) -> Result<(), HostReply<'static>> {
    let number = number(request.channel)?;
    let bulk: Option<Vec<Lent>> =
        request.pieces.iter().map(|(address, bytes)| lent(*address, *bytes)).collect();
    let bulk = bulk.ok_or(HostReply::Elsewhere)?;
    line::send_bulk(number, request.message, &bulk, request.sum).map_err(|_| HostReply::TooLong)
}

/// A datagram has come from the host. `false` if nobody has this channel, it is full, or the bulk is more than is taken.
pub fn deliver(number: u8, message: &[u8], bulk: Vec<u8>) -> bool {
    let Some(channel) = CHANNELS.get(usize::from(number)) else { return false };
    let mut waiting = channel.waiting.lock();
    let has_room = waiting.len() < CAPACITY && bulk.len() <= line::capacity().to_guest;
    if has_room {
        waiting.push_back(Datagram { message: message.to_vec(), bulk });
        channel.arrived.signal();
    }
    has_room
}

impl Channel {
    const fn new(name: &'static str) -> Self {
        Self { name, waiting: Lock::new(VecDeque::new()), arrived: Condition::new() }
    }

    /// Waits for a datagram.
    pub fn next(&self) -> Datagram {
        let mut waiting = self.arrived.wait_until(self.waiting.lock(), |waiting| !waiting.is_empty());
        waiting.pop_front().unwrap_or_default()
    }

    /// Waits for a datagram and answers the calling thread's client with it. One that the client does not take (because
    /// it is gone) stays the next.
    pub fn answer_with_next(&self) {
        let datagram = self.next();
        let reply = match datagram.bulk.as_slice() {
            [] => HostReply::Frame { bytes: &datagram.message },
            bulk => HostReply::Bulk { message: &datagram.message, bulk },
        };
        let reply = postcard::to_allocvec(&reply).unwrap_or_default();
        if ipc::answer(&reply, &[]).is_err() {
            self.waiting.lock().push_front(datagram);
            self.arrived.signal();
        }
    }
}
