//! Messages on the session's Unix socket: a length (u32, little-endian), then postcard. And writing to a socket without waiting.

use std::{
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
};

use flob_link::host::{Inlet, Outlet};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use serde::{Serialize, de::DeserializeOwned};

/// No message is longer: a length beyond it means that the other side does not speak this protocol.
const MAX_MESSAGE: u32 = 256 << 20;

/// Writes one message, whole.
pub fn write<T: Serialize>(stream: &mut impl Write, message: &T) -> io::Result<()> {
    let mut bytes = vec![0; 4];
    bytes = postcard::to_extend(message, bytes).map_err(io::Error::other)?;
    let length = u32::try_from(bytes.len() - 4).ok().filter(|length| *length <= MAX_MESSAGE);
    let length = length.ok_or_else(|| io::Error::other("message too long"))?;
    if let Some(head) = bytes.first_chunk_mut::<4>() {
        *head = length.to_le_bytes();
    }
    stream.write_all(&bytes)
}

/// Reads one message; blocks until it is whole.
pub fn read<T: DeserializeOwned>(stream: &mut impl Read) -> io::Result<T> {
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    let length = u32::from_le_bytes(head);
    if length > MAX_MESSAGE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the other side is no flob session"));
    }
    // Grows with what really arrives, whatever the length claims.
    let mut bytes = Vec::new();
    stream.take(u64::from(length)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != u64::from(length) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    postcard::from_bytes(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Writes as much as the other end has room for: how many bytes. None on an error, which the next write finds.
pub fn write_at_once(stream: &UnixStream, bytes: &[u8]) -> usize {
    send(stream, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL).unwrap_or(0)
}

/// The line to a guest, over a socket.
#[derive(Debug)]
pub struct Line(pub UnixStream);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (_, count) = recv(&self.0, buffer, RecvFlags::DONTWAIT)?;
        Ok(count)
    }
}

impl Inlet for Line {
    fn awaitable(&self) -> io::Result<Option<OwnedFd>> {
        Ok(Some(self.0.try_clone()?.into()))
    }
}

impl Outlet for Line {
    fn write_at_once(&mut self, bytes: &[u8]) -> usize {
        write_at_once(&self.0, bytes)
    }
}
