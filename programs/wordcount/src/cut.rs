//! Cuts a stream of bytes into chunks between words, so that chunks can be counted independently. Only a word that is
//! longer than a chunk is cut; the chunk behind it knows so.

use alloc::vec::Vec;

use crate::count::{has_printable, is_space};

/// Bytes in a chunk, at most.
pub const CHUNK: usize = 16 * 1024;

/// What the first bytes of a chunk, up to the first space, are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Head {
    /// A word of their own.
    #[default]
    Fresh,
    /// The rest of a word that an earlier chunk has counted.
    Counted,
    /// The rest of something that is no word so far: it had nothing printable.
    Uncounted,
}

/// A piece of the input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// 0 for the first.
    pub number: u64,
    /// How it begins.
    pub head: Head,
    /// Whether it ends inside a word; then it holds nothing but a part of that word.
    pub is_cut: bool,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Collects bytes and hands chunks out.
#[derive(Debug, Default)]
pub struct Cutter {
    pending: Vec<u8>,
    head: Head,
    next_number: u64,
}

impl Cutter {
    /// At the start of the input.
    pub const fn new() -> Self {
        Self { pending: Vec::new(), head: Head::Fresh, next_number: 0 }
    }

    /// How many more bytes it can take at once.
    pub const fn room(&self) -> usize {
        CHUNK - self.pending.len()
    }

    /// Takes at most [`Self::room`] bytes; hands out what lies before the last space.
    pub fn push(&mut self, bytes: &[u8]) -> Option<Chunk> {
        self.pending.extend_from_slice(bytes);
        if let Some(last) = self.pending.iter().rposition(|byte| is_space(*byte)) {
            let rest = self.pending.split_off(last + 1);
            let whole = core::mem::replace(&mut self.pending, rest);
            return Some(self.chunk(whole, false));
        }
        if self.pending.len() < CHUNK {
            return None;
        }
        let part = core::mem::take(&mut self.pending);
        let is_word = self.head == Head::Counted || has_printable(&part);
        let chunk = self.chunk(part, true);
        self.head = if is_word { Head::Counted } else { Head::Uncounted };
        Some(chunk)
    }

    /// The end of the input: hands out what is left.
    pub fn finish(&mut self) -> Option<Chunk> {
        let rest = core::mem::take(&mut self.pending);
        (!rest.is_empty()).then(|| self.chunk(rest, false))
    }

    fn chunk(&mut self, bytes: Vec<u8>, is_cut: bool) -> Chunk {
        let number = self.next_number;
        self.next_number += 1;
        Chunk { number, head: core::mem::take(&mut self.head), is_cut, bytes }
    }
}
