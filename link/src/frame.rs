//! Frames on a byte stream: where a message begins and ends, whose it is, and whether it arrived whole.
//!
//! ```text
//! 0x00  COBS( channel u8 | payload, at most MAX_FRAME bytes | CRC-32 of both, little-endian )  0x00
//! ```
//!
//! A message may bring *bulk* with it: pages of memory. Two bits of the channel say how they travel:
//!
//! ```text
//! 0x80  raw: contents are channel u8 | size u32 | sum u64 (flob_abi::Sum) | message | CRC-32; behind the closing zero come
//!       that many bytes as they are. Only for a line that never loses a byte.
//! 0xc0  framed: contents are channel u8 | size of the message u16 | message | bulk | CRC-32. For any line.
//! ```
//!
//! COBS leaves no zero byte inside a frame, so a reader that has lost the thread finds it again at the next zero byte. The
//! zero in front keeps noise between two frames (or a lost closing zero) from costing the frame that follows.

use alloc::vec::Vec;
use core::ops::Range;

use flob_abi::Sum;

use crate::MAX_FRAME;
use crate::stuffing::{stuff, stuffed_size, unstuff};

const CRC_SIZE: usize = 4;
const MAX_CONTENTS: usize = 1 + MAX_FRAME + CRC_SIZE;
const MAX_STUFFED: usize = stuffed_size(MAX_CONTENTS);
/// Most bytes of an encoded frame, its two delimiters included.
pub const MAX_ENCODED: usize = MAX_STUFFED + 2;

/// Most bytes of bulk that go raw with one message.
pub const MAX_BULK: usize = 1024 * 1024;
/// Bulk goes with the message …
const BULK: u8 = 0x80;
/// … in the frame itself.
const FRAMED: u8 = 0xc0;
/// Size and sum of raw bulk.
const RAW_HEAD: usize = 4 + 8;

/// A payload longer than [`MAX_FRAME`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Appends the frame of this payload to `out`. Channels are below 64.
pub fn encode(channel: u8, payload: &[u8], out: &mut Vec<u8>) -> Result<(), TooLong> {
    encode_parts(channel & !FRAMED, &[payload], out)
}

/// Appends the frame of a message behind which `size` bytes of bulk with this sum follow raw.
pub fn encode_raw_head(
    channel: u8,
    message: &[u8],
    size: usize,
    sum: u64,
    out: &mut Vec<u8>,
) -> Result<(), TooLong> {
    let size = u32::try_from(size).ok().filter(|size| *size as usize <= MAX_BULK).ok_or(TooLong)?;
    encode_parts(channel & !FRAMED | BULK, &[&size.to_le_bytes(), &sum.to_le_bytes(), message], out)
}

/// Appends the frame of a message with its bulk inside.
pub fn encode_with_bulk(channel: u8, message: &[u8], bulk: &[u8], out: &mut Vec<u8>) -> Result<(), TooLong> {
    let size = u16::try_from(message.len()).map_err(|_| TooLong)?;
    encode_parts(channel | FRAMED, &[&size.to_le_bytes(), message, bulk], out)
}

fn encode_parts(channel: u8, parts: &[&[u8]], out: &mut Vec<u8>) -> Result<(), TooLong> {
    let payload: usize = parts.iter().map(|part| part.len()).sum();
    if payload > MAX_FRAME {
        return Err(TooLong);
    }
    let mut contents = Vec::with_capacity(1 + payload + CRC_SIZE);
    contents.push(channel);
    parts.iter().for_each(|part| contents.extend_from_slice(part));
    contents.extend_from_slice(&crc32fast::hash(&contents).to_le_bytes());

    out.push(0);
    stuff(&contents, out);
    out.push(0);
    Ok(())
}

/// One message as it arrived.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Whose it is.
    pub channel: u8,
    /// The message.
    pub payload: &'a [u8],
    /// What it brings with it.
    pub bulk: Vec<u8>,
}

/// A message whose raw bulk is on its way.
#[derive(Debug)]
struct Raw {
    channel: u8,
    message: Vec<u8>,
    sum: u64,
    size: usize,
    bulk: Vec<u8>,
}

/// Finds frames in a stream of bytes, whatever else is in it.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    overlong: bool,
    garbled: u64,
    raw: Option<Raw>,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub const fn new() -> Self {
        Self { buffer: Vec::new(), overlong: false, garbled: 0, raw: None }
    }

    /// How many frames were dropped so far because they were damaged.
    pub const fn garbled(&self) -> u64 {
        self.garbled
    }

    /// Takes bytes; hands each message that they complete to `deliver`.
    pub fn feed(&mut self, bytes: &[u8], mut deliver: impl FnMut(Frame<'_>)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if let Some(raw) = self.raw.take() {
                rest = self.feed_raw(raw, rest, &mut deliver);
                continue;
            }
            let run = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
            let (run, behind) = rest.split_at_checked(run).unwrap_or((rest, &[]));
            self.keep(run);
            rest = behind.get(1..).unwrap_or_default();
            if !behind.is_empty() {
                self.delimiter(&mut deliver);
            }
        }
    }

    /// The bytes that are left behind those that belong to the raw bulk.
    fn feed_raw<'a>(
        &mut self,
        mut raw: Raw,
        bytes: &'a [u8],
        deliver: &mut impl FnMut(Frame<'_>),
    ) -> &'a [u8] {
        let (now, rest) = bytes.split_at_checked(raw.size - raw.bulk.len()).unwrap_or((bytes, &[]));
        raw.bulk.extend_from_slice(now);
        if raw.bulk.len() < raw.size {
            self.raw = Some(raw);
        } else if Sum::of(&raw.bulk) == raw.sum {
            deliver(Frame { channel: raw.channel, payload: &raw.message, bulk: raw.bulk });
        } else {
            self.garbled += 1;
        }
        rest
    }

    /// A zero byte has come.
    fn delimiter(&mut self, deliver: &mut impl FnMut(Frame<'_>)) {
        let Some(contents) = self.close() else { return };
        let opened = contents.and_then(|contents| Opened::of(self.buffer.get(contents)?));
        match opened {
            Some(Opened::Whole(frame)) => deliver(frame),
            Some(Opened::Head(raw)) => self.raw = Some(raw),
            None => self.garbled += 1,
        }
    }

    /// Bytes without a zero have come.
    fn keep(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() && self.buffer_is_closed() {
            self.buffer.clear();
        }
        let room = MAX_STUFFED.saturating_sub(self.buffer.len());
        self.overlong |= bytes.len() > room;
        self.buffer.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// A closed buffer ends with the zero that closed it: no stuffed byte is zero.
    fn buffer_is_closed(&self) -> bool {
        self.buffer.last() == Some(&0)
    }

    /// The frame in the buffer is over: `None` if there was nothing, `Some(None)` if it is damaged, else where channel and
    /// payload are in the buffer.
    fn close(&mut self) -> Option<Option<Range<usize>>> {
        if self.buffer.is_empty() || self.buffer_is_closed() {
            return None;
        }
        let contents = self.open();
        self.overlong = false;
        // The contents stay readable until the next byte; the mark makes that byte start afresh.
        self.buffer.push(0);
        Some(contents)
    }

    fn open(&mut self) -> Option<Range<usize>> {
        if self.overlong {
            return None;
        }
        let all = unstuff(&mut self.buffer)?;
        let (contents, crc) = self.buffer.get(all.clone())?.split_last_chunk::<CRC_SIZE>()?;
        let whole = !contents.is_empty() && contents.len() <= 1 + MAX_FRAME;
        let range = all.start..all.start + contents.len();
        (whole && crc32fast::hash(contents) == u32::from_le_bytes(*crc)).then_some(range)
    }
}

/// What a frame turns out to be.
enum Opened<'a> {
    /// All of a message.
    Whole(Frame<'a>),
    /// The message of bulk that follows.
    Head(Raw),
}

impl<'a> Opened<'a> {
    fn of(contents: &'a [u8]) -> Option<Self> {
        let (channel, rest) = contents.split_first()?;
        let (kind, channel) = (channel & FRAMED, channel & !FRAMED);
        match kind {
            0 => Some(Self::Whole(Frame { channel, payload: rest, bulk: Vec::new() })),
            FRAMED => {
                let (size, rest) = rest.split_first_chunk()?;
                let (payload, bulk) = rest.split_at_checked(u16::from_le_bytes(*size).into())?;
                Some(Self::Whole(Frame { channel, payload, bulk: bulk.to_vec() }))
            }
            BULK => {
                let (head, message) = rest.split_at_checked(RAW_HEAD)?;
                let (size, sum) = head.split_first_chunk()?;
                let size = usize::try_from(u32::from_le_bytes(*size)).ok()?;
                let sum = u64::from_le_bytes(sum.try_into().ok()?);
                let message = message.to_vec();
                let fits = (1..=MAX_BULK).contains(&size);
                fits.then(|| Self::Head(Raw { channel, message, sum, size, bulk: Vec::with_capacity(size) }))
            }
            _ => None,
        }
    }
}
