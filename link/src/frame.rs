//! Frames on a byte stream: where a message begins and ends, whose it is, and whether it arrived whole.
//!
//! ```text
//! 0x00  COBS( channel u8 | payload, at most MAX_FRAME bytes | CRC-32 of both, little-endian )  0x00
//! ```
//!
//! COBS leaves no zero byte inside a frame, so a reader that has lost the thread finds it again at the next zero byte. The
//! zero in front keeps noise between two frames (or a lost closing zero) from costing the frame that follows.

use alloc::vec::Vec;

use crate::MAX_FRAME;

const CRC_SIZE: usize = 4;
const MAX_CONTENTS: usize = 1 + MAX_FRAME + CRC_SIZE;
/// COBS adds a byte for every 254, and one.
const MAX_STUFFED: usize = MAX_CONTENTS + MAX_CONTENTS / 254 + 1;
/// Most bytes of an encoded frame, its two delimiters included.
pub const MAX_ENCODED: usize = MAX_STUFFED + 2;

/// A payload longer than [`MAX_FRAME`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Appends the frame of this payload to `out`.
pub fn encode(channel: u8, payload: &[u8], out: &mut Vec<u8>) -> Result<(), TooLong> {
    if payload.len() > MAX_FRAME {
        return Err(TooLong);
    }
    let mut contents = Vec::with_capacity(1 + payload.len() + CRC_SIZE);
    contents.push(channel);
    contents.extend_from_slice(payload);
    contents.extend_from_slice(&crc32fast::hash(&contents).to_le_bytes());

    out.push(0);
    let start = out.len();
    out.resize(start + contents.len() + contents.len() / 254 + 1, 0);
    let stuffed = out.get_mut(start..).map_or(0, |room| cobs::encode(&contents, room));
    out.truncate(start + stuffed);
    out.push(0);
    Ok(())
}

/// One frame as it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Whose it is.
    pub channel: u8,
    /// The message.
    pub payload: &'a [u8],
}

/// Finds frames in a stream of bytes, whatever else is in it.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    overlong: bool,
    garbled: u64,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub const fn new() -> Self {
        Self { buffer: Vec::new(), overlong: false, garbled: 0 }
    }

    /// How many frames were dropped so far because they were damaged.
    pub const fn garbled(&self) -> u64 {
        self.garbled
    }

    /// Takes the next byte; hands out the frame that it completes.
    pub fn push(&mut self, byte: u8) -> Option<Frame<'_>> {
        if byte != 0 {
            self.keep(byte);
            return None;
        }
        match self.close()? {
            Some(length) => {
                let (channel, rest) = self.buffer.get(..length)?.split_first()?;
                Some(Frame { channel: *channel, payload: rest })
            }
            None => {
                self.garbled += 1;
                None
            }
        }
    }

    /// Takes many bytes; hands each frame that they complete to `deliver`.
    pub fn feed(&mut self, bytes: &[u8], mut deliver: impl FnMut(Frame<'_>)) {
        for byte in bytes {
            if let Some(frame) = self.push(*byte) {
                deliver(frame);
            }
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.buffer_is_closed() {
            self.buffer.clear();
        }
        if self.buffer.len() < MAX_STUFFED {
            self.buffer.push(byte);
        } else {
            self.overlong = true;
        }
    }

    /// A closed buffer ends with the zero that closed it: no stuffed byte is zero.
    fn buffer_is_closed(&self) -> bool {
        self.buffer.last() == Some(&0)
    }

    /// The frame in the buffer is over: `None` if there was nothing, `Some(None)` if it is damaged, else the length of
    /// channel and payload at the buffer's start.
    fn close(&mut self) -> Option<Option<usize>> {
        if self.buffer.is_empty() || self.buffer_is_closed() {
            return None;
        }
        let length = self.unstuff();
        self.overlong = false;
        // The contents stay readable until the next byte; the mark makes that byte start afresh.
        self.buffer.push(0);
        Some(length)
    }

    fn unstuff(&mut self) -> Option<usize> {
        if self.overlong {
            return None;
        }
        let length = cobs::decode_in_place(&mut self.buffer).ok()?;
        let (contents, crc) = self.buffer.get(..length)?.split_last_chunk::<CRC_SIZE>()?;
        let whole = !contents.is_empty() && contents.len() <= 1 + MAX_FRAME;
        (whole && crc32fast::hash(contents) == u32::from_le_bytes(*crc)).then_some(contents.len())
    }
}
