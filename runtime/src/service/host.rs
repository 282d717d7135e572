//! Datagrams to and from the host.

use alloc::vec::Vec;

use super::messages::{BulkRequest, HostReply, HostRequest};
use super::{Service, ServiceError, reply_room, request};

static HOST: Service = Service::new("host");
static BULK: Service = Service::new("bulk");

/// Room for a short reply.
const SHORT: usize = 16;

/// What the line carries with a datagram.
#[derive(Clone, Copy, Debug, Default)]
pub struct Capacity {
    /// It never loses a byte.
    pub is_lossless: bool,
    /// Bytes of bulk to the host.
    pub to_host: u32,
    /// Bytes of bulk to the guest.
    pub to_guest: u32,
}

/// What the line carries.
pub fn capacity() -> Result<Capacity, ServiceError> {
    let mut room = [0; SHORT];
    match request(HOST.port()?, &HostRequest::Capacity, &mut room, &[])? {
        HostReply::Capacity { is_lossless, to_host, to_guest } => {
            Ok(Capacity { is_lossless, to_host, to_guest })
        }
        _ => Err(ServiceError::Garbled),
    }
}

/// What a reply to a datagram means for who has sent it.
pub fn sent(reply: &HostReply<'_>) -> Result<(), ServiceError> {
    match reply {
        HostReply::Sent => Ok(()),
        HostReply::NoChannel => Err(ServiceError::NoService),
        HostReply::TooLong | HostReply::Elsewhere => Err(ServiceError::Refused),
        _ => Err(ServiceError::Garbled),
    }
}

/// Sends a datagram of at most [`super::messages::MAX_DATAGRAM`] bytes.
pub fn send(channel: &str, frame: &[u8]) -> Result<(), ServiceError> {
    let mut room = [0; SHORT];
    sent(&request(HOST.port()?, &HostRequest::Send { channel, frame }, &mut room, &[])?)
}

/// Sends a datagram with bulk that lies in these places (address and bytes of each) and has this sum. Nothing of it is copied: it
/// is read where it lies until this returns.
pub fn send_bulk(channel: &str, message: &[u8], sum: u64, bulk: &[(u64, u64)]) -> Result<(), ServiceError> {
    let mut room = [0; SHORT];
    let asked = BulkRequest { channel, message, sum, pieces: bulk.to_vec() };
    sent(&request(BULK.port()?, &asked, &mut room, &[])?)
}

/// Waits for datagrams of one channel; keeps its buffer between them. One for each receiving thread.
pub struct Receiver<'a> {
    channel: &'a str,
    room: Vec<u8>,
}

impl<'a> Receiver<'a> {
    /// For this channel.
    pub fn new(channel: &'a str) -> Self {
        Self { channel, room: reply_room() }
    }

    /// Sends a datagram, if there is one, and waits for the next; it, and its bulk. After an error what was to be sent may have been.
    pub fn receive(&mut self, frame: &[u8]) -> Result<(&[u8], &[u8]), ServiceError> {
        let wanted = HostRequest::Receive { channel: self.channel, frame };
        match request(HOST.port()?, &wanted, &mut self.room, &[])? {
            HostReply::Frame { bytes } => Ok((bytes, &[])),
            HostReply::Bulk { message, bulk } => Ok((message, bulk)),
            other => Err(sent(&other).err().unwrap_or(ServiceError::Garbled)),
        }
    }
}
