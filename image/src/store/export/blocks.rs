//! Blocks: how an exported file is laid out and checked.
//!
//! ```text
//! 0    magic "FLOBXPRT"
//! 8    u32 format version, u32 0
//! 16   32 bytes: BLAKE3 of the first 16
//! 48   blocks:
//!        4 bytes kind, u32 bytes of data, little-endian
//!        data
//!        32 bytes: BLAKE3 of the checksum before, kind, length and data
//! ```
//!
//! Each checksum has the one before in it, so blocks cannot be left out, doubled or put in another order. The first 48
//! bytes are the same in every version.

use std::io::{self, ErrorKind, Read, Write};

use super::super::manifest::Hash;

const MAGIC: [u8; 8] = *b"FLOBXPRT";
const VERSION: u32 = 1;
/// Most bytes of data in a block: so much memory may a damaged length cost.
pub(super) const MOST: usize = 8 << 20;

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Head,
    Pages,
    Input,
    Program,
    Done,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Head, Self::Pages, Self::Input, Self::Program, Self::Done];

    const fn tag(self) -> [u8; 4] {
        match self {
            Self::Head => *b"HEAD",
            Self::Pages => *b"PAGE",
            Self::Input => *b"INPT",
            Self::Program => *b"PROG",
            Self::Done => *b"DONE",
        }
    }
}

/// What is wrong with a file.
#[derive(Debug)]
pub(super) enum Problem {
    /// It does not begin like one.
    Foreign,
    /// It is of a newer version.
    Newer(u32),
    /// It is not what was written.
    Damaged(String),
    /// It cannot be read.
    Io(io::Error),
}

impl Problem {
    pub fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }
}

/// Writes blocks.
pub(super) struct BlockWriter<W: Write> {
    out: W,
    sum: Hash,
}

impl<W: Write> BlockWriter<W> {
    /// Writes the beginning of the file.
    pub fn new(mut out: W) -> io::Result<Self> {
        let mut header = [0; 16];
        let (magic, version) = header.split_at_mut(8);
        magic.copy_from_slice(&MAGIC);
        version.copy_from_slice(&u64::from(VERSION).to_le_bytes());
        let sum = *blake3::hash(&header).as_bytes();
        out.write_all(&header)?;
        out.write_all(&sum)?;
        Ok(Self { out, sum })
    }

    /// Writes a block.
    pub fn write(&mut self, kind: Kind, data: &[u8]) -> io::Result<()> {
        let length = u32::try_from(data.len()).ok().filter(|length| *length as usize <= MOST);
        let length = length.ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "a block is too long"))?;
        self.sum = checksum(&self.sum, kind.tag(), length, data);
        self.out.write_all(&kind.tag())?;
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(data)?;
        self.out.write_all(&self.sum)
    }

    /// Writes as many blocks as these bytes need; one at least.
    pub fn write_all(&mut self, kind: Kind, data: &[u8]) -> io::Result<()> {
        if data.is_empty() {
            return self.write(kind, data);
        }
        data.chunks(MOST).try_for_each(|part| self.write(kind, part))
    }

    /// Writes the end.
    pub fn finish(mut self) -> io::Result<()> {
        self.write(Kind::Done, &[])?;
        self.out.flush()
    }
}

/// Reads blocks; each one that it returns is sound and in its place.
pub(super) struct BlockReader<R: Read> {
    input: R,
    sum: Hash,
    last: Kind,
}

impl<R: Read> BlockReader<R> {
    /// Reads the beginning of the file.
    pub fn new(mut input: R) -> Result<Self, Problem> {
        let mut header = [0; 16];
        let magic = fill(&mut input, &mut header);
        if header.get(..8) != Some(&MAGIC) {
            return Err(match magic {
                Err(Problem::Io(error)) => Problem::Io(error),
                _ => Problem::Foreign,
            });
        }
        magic?;
        let mut sum = [0; 32];
        fill(&mut input, &mut sum)?;
        if blake3::hash(&header).as_bytes() != &sum {
            return Err(Problem::damaged("the checksum of its beginning does not match"));
        }
        let version = header.get(8..).and_then(|rest| rest.first_chunk::<4>());
        match version.map_or(0, |version| u32::from_le_bytes(*version)) {
            VERSION => Ok(Self { input, sum, last: Kind::Head }),
            newer => Err(Problem::Newer(newer)),
        }
    }

    /// The next block; the last is [`Kind::Done`].
    pub fn next(&mut self) -> Result<(Kind, Vec<u8>), Problem> {
        let mut beginning = [0; 8];
        fill(&mut self.input, &mut beginning)?;
        let (tag, length) = (u64::from_le_bytes(beginning) as u32, u64::from_le_bytes(beginning) >> 32);
        let tag = tag.to_le_bytes();
        let kind = Kind::ALL.into_iter().find(|kind| kind.tag() == tag);
        let length = u32::try_from(length).ok().filter(|length| *length as usize <= MOST);
        let (Some(kind), Some(length)) = (kind, length) else {
            return Err(Problem::damaged("a block has an impossible beginning"));
        };
        let mut data = vec![0; length as usize];
        fill(&mut self.input, &mut data)?;
        let mut sum = [0; 32];
        fill(&mut self.input, &mut sum)?;
        if checksum(&self.sum, tag, length, &data) != sum {
            return Err(Problem::damaged(format!("the checksum of a block ({kind:?}) does not match")));
        }
        if kind < self.last {
            return Err(Problem::damaged("its blocks are not in order"));
        }
        (self.sum, self.last) = (sum, kind);
        if kind == Kind::Done {
            self.expect_end()?;
        }
        Ok((kind, data))
    }

    fn expect_end(&mut self) -> Result<(), Problem> {
        match self.input.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(Problem::damaged("something follows behind its end")),
            Err(error) => Err(Problem::Io(error)),
        }
    }
}

fn checksum(before: &Hash, tag: [u8; 4], length: u32, data: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before).update(&tag).update(&length.to_le_bytes()).update(data);
    *hasher.finalize().as_bytes()
}

fn fill(input: &mut impl Read, bytes: &mut [u8]) -> Result<(), Problem> {
    input.read_exact(bytes).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => Problem::damaged("it ends too early"),
        _ => Problem::Io(error),
    })
}
