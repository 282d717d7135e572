//! The messages of `docs/services.md`: one request and one reply enum a service, as postcard bytes. Bytes are
//! borrowed, so that a message is not copied once more on its way.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize, Serializer};

/// Writes bytes at once instead of one by one; the encoding is the same.
fn as_bytes<S: Serializer>(bytes: &&[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// Asked of the parent's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParentRequest<'a> {
    /// Which port serves this?
    Lookup {
        /// `stdin`, `stdout`, `stderr`, `clock`, `programs`, `host`.
        name: &'a str,
    },
    /// The program has ended.
    Exit {
        /// Its exit code.
        code: i32,
    },
}

/// The parent's reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParentReply {
    /// With one reference, to the service's port.
    Found,
    /// Nothing of that name is served.
    NoService,
    /// The end is noted. A program need not wait for it.
    Ended,
}

/// Asked of `stdin`, `stdout`, `stderr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamRequest<'a> {
    /// Waits until there is a byte at `position`, or the end.
    Read {
        /// From the start of the stream.
        position: u64,
        /// Most bytes wanted.
        max: u32,
    },
    /// Puts bytes at `position`.
    Write {
        /// From the start of the stream.
        position: u64,
        /// What is to stand there.
        #[serde(serialize_with = "as_bytes")]
        bytes: &'a [u8],
    },
}

/// The stream's reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamReply<'a> {
    /// No bytes: the end.
    Data {
        /// The bytes from the position asked for on.
        #[serde(borrow, serialize_with = "as_bytes")]
        bytes: &'a [u8],
    },
    /// So many bytes, from the position on, are written now.
    Written {
        /// May be less than was given.
        count: u32,
    },
    /// Not on this stream, or not at this position.
    Refused,
}

/// Asked of `clock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClockRequest {
    /// What time is it?
    Now,
    /// Answer when it is time.
    Sleep {
        /// In nanoseconds, as `Now` tells them.
        until: u64,
    },
}

/// The clock's reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClockReply {
    /// The time now.
    Time {
        /// Since some moment in the past; never runs back.
        nanoseconds: u64,
    },
}

/// Asked of `programs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProgramsRequest<'a> {
    /// How large is this file?
    Size {
        /// Its name.
        name: &'a str,
    },
    /// Some of its bytes.
    Read {
        /// Its name.
        name: &'a str,
        /// From its start.
        offset: u64,
        /// Most bytes wanted.
        max: u32,
    },
}

/// The reply of `programs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProgramsReply<'a> {
    /// The file's size.
    Size {
        /// In bytes.
        bytes: u64,
    },
    /// Some of it; nothing at or behind its end.
    Data {
        /// The bytes from the offset on.
        #[serde(borrow, serialize_with = "as_bytes")]
        bytes: &'a [u8],
    },
    /// There is no such file.
    NoProgram,
}

/// Asked of `host`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostRequest<'a> {
    /// Sends a datagram.
    Send {
        /// The channel's name.
        channel: &'a str,
        /// At most [`MAX_DATAGRAM`] bytes.
        #[serde(serialize_with = "as_bytes")]
        frame: &'a [u8],
    },
    /// Waits for a datagram, once one of its own is sent: who answers and waits for more asks once.
    Receive {
        /// The channel's name.
        channel: &'a str,
        /// What is sent before; nothing if it is empty.
        #[serde(serialize_with = "as_bytes")]
        frame: &'a [u8],
    },
    /// How much bulk does the line carry with a datagram?
    Capacity,
}

/// What the service `bulk` is asked: to send a datagram with its bulk, which stays where it lies in the memory of who asks. Its
/// nester provides that memory, and so can read it; whoever passes this on says where the pieces are in its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkRequest<'a> {
    /// The channel's name.
    pub channel: &'a str,
    /// The datagram.
    #[serde(serialize_with = "as_bytes")]
    pub message: &'a [u8],
    /// Of the bulk (`flob_abi::Sum`), as it is to arrive: what has changed before it left does not.
    pub sum: u64,
    /// Address and bytes of each piece of the bulk.
    pub pieces: Vec<(u64, u64)>,
}

/// The reply of `host`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostReply<'a> {
    /// On its way.
    Sent,
    /// A datagram from the host.
    Frame {
        /// At most [`MAX_DATAGRAM`] bytes.
        #[serde(borrow, serialize_with = "as_bytes")]
        bytes: &'a [u8],
    },
    /// A datagram from the host with its bulk.
    Bulk {
        /// The datagram.
        #[serde(borrow, serialize_with = "as_bytes")]
        message: &'a [u8],
        /// At most as much as the line carries to the guest.
        #[serde(borrow, serialize_with = "as_bytes")]
        bulk: &'a [u8],
    },
    /// Of the line: it loses nothing, and bytes of bulk to the host and to the guest.
    #[expect(missing_docs, reason = "see above")]
    Capacity { is_lossless: bool, to_host: u32, to_guest: u32 },
    /// There is no such channel.
    NoChannel,
    /// The datagram is too long.
    TooLong,
    /// The bulk is not in the memory that the program was started with.
    Elsewhere,
}

/// Most bytes in a datagram to or from the host.
pub const MAX_DATAGRAM: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[derive(Deserialize)]
    enum PlainStreamRequest {
        #[expect(dead_code, reason = "only its number matters")]
        Read {
            position: u64,
            max: u32,
        },
        Write {
            position: u64,
            bytes: Vec<u8>,
        },
    }

    #[test]
    fn bytes_are_encoded_as_a_sequence_of_bytes() {
        let written = StreamRequest::Write { position: 300, bytes: &[0, 1, 255, 128] };
        let encoded = postcard::to_allocvec(&written).unwrap();
        assert_eq!(postcard::from_bytes::<StreamRequest<'_>>(&encoded).unwrap(), written);
        let PlainStreamRequest::Write { position, bytes } = postcard::from_bytes(&encoded).unwrap() else {
            panic!("another request");
        };
        assert_eq!((position, bytes.as_slice()), (300, [0, 1, 255, 128].as_slice()));
    }

    #[test]
    fn a_cut_request_is_refused_and_not_guessed() {
        let encoded = postcard::to_allocvec(&ParentRequest::Lookup { name: "clock" }).unwrap();
        for end in 0..encoded.len() {
            assert!(postcard::from_bytes::<ParentRequest<'_>>(&encoded[..end]).is_err(), "{end}");
        }
    }
}
