//! Datagrams to and from the host.

use alloc::vec::Vec;

use super::messages::{HostReply, HostRequest};
use super::{Service, ServiceError, reply_room, request};

static HOST: Service = Service::new("host");

/// Sends a datagram of at most [`super::messages::MAX_DATAGRAM`] bytes.
pub fn send(channel: &str, frame: &[u8]) -> Result<(), ServiceError> {
    let mut room = [0; 16];
    match request(HOST.port()?, &HostRequest::Send { channel, frame }, &mut room, &[])? {
        HostReply::Sent => Ok(()),
        HostReply::NoChannel => Err(ServiceError::NoService),
        HostReply::TooLong => Err(ServiceError::Refused),
        HostReply::Frame { .. } => Err(ServiceError::Garbled),
    }
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

    /// Waits for the next datagram.
    pub fn receive(&mut self) -> Result<&[u8], ServiceError> {
        let wanted = HostRequest::Receive { channel: self.channel };
        match request(HOST.port()?, &wanted, &mut self.room, &[])? {
            HostReply::Frame { bytes } => Ok(bytes),
            HostReply::NoChannel => Err(ServiceError::NoService),
            _ => Err(ServiceError::Garbled),
        }
    }
}
