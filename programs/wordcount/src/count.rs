//! Counting one chunk, by the rules of `wc` in the C locale (GNU coreutils of Debian 12): words are divided by the bytes
//! that `isspace` names, and something without any printable byte is no word.

use serde::{Deserialize, Serialize};

use crate::cut::{Chunk, Head};
use crate::table::Table;

/// Lines, words and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Newlines.
    pub lines: u64,
    /// Words.
    pub words: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Counts {
    /// The sum.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            lines: self.lines.wrapping_add(other.lines),
            words: self.words.wrapping_add(other.words),
            bytes: self.bytes.wrapping_add(other.bytes),
        }
    }
}

/// `isspace` of the C locale.
pub const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Whether a byte is what makes a word.
pub fn has_printable(bytes: &[u8]) -> bool {
    bytes.iter().any(u8::is_ascii_graphic)
}

/// Counts a chunk and adds its words to `table`; parts of words that were cut are counted, but not listed.
pub fn count(chunk: &Chunk, table: &mut Table) -> Counts {
    let bytes = chunk.bytes.as_slice();
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
    let mut words = 0;
    for (index, piece) in bytes.split(|byte| is_space(*byte)).enumerate() {
        let continues = index == 0 && chunk.head != Head::Fresh;
        let counted_before = index == 0 && chunk.head == Head::Counted;
        if counted_before || !has_printable(piece) {
            continue;
        }
        words += 1;
        if !continues && !chunk.is_cut {
            table.add(piece, 1);
        }
    }
    Counts { lines, words, bytes: bytes.len() as u64 }
}
