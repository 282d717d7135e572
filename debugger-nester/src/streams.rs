//! The program's standard streams as they cross the border, by position: the same request can be put again.

use alloc::{collections::VecDeque, vec::Vec};

use flob_runtime::nester::Fnv;

/// Most bytes of input that are kept ahead of the program.
const INPUT_LIMIT: usize = 256 * 1024;
/// Most bytes in one answer to a read.
const READ_LIMIT: usize = 32 * 1024;

/// What a read gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadResult {
    /// These bytes; none at the end of the stream.
    Data(Vec<u8>),
    /// Nothing yet.
    Wait,
    /// It asks for what was consumed, or for what can never be there.
    Refused,
}

/// Standard input: what the host has sent and the program has not consumed. Bytes count as consumed when a read asks for
/// those behind them.
#[derive(Debug, Default)]
pub struct Input {
    /// Bytes consumed.
    position: u64,
    /// Of all bytes consumed.
    hash: Fnv,
    ahead: VecDeque<u8>,
    ended: bool,
    /// Where the bytes end that the program has been given, consumed or not.
    given: u64,
    /// The hash of all bytes given when the image was taken, until as many have come again.
    given_before: Fnv,
}

impl Input {
    /// The stream as it was when an image was taken, with what was consumed and what was given: nothing is ahead yet.
    pub fn resumed((position, hash): (u64, u64), (given, given_before): (u64, u64)) -> Self {
        Self { position, hash: Fnv(hash), given, given_before: Fnv(given_before), ..Self::default() }
    }

    /// Bytes that the program was given, and their hash: those consumed and those of its last read, which it may ask for
    /// again.
    pub fn given(&self) -> (u64, u64) {
        let count = self.given.saturating_sub(self.position);
        match usize::try_from(count) {
            Ok(count) if count <= self.ahead.len() => {
                let mut hash = self.hash;
                self.ahead.iter().take(count).for_each(|byte| hash.add(&[*byte]));
                (self.position.max(self.given), hash.0)
            }
            _ => (self.given, self.given_before.0),
        }
    }

    /// Bytes consumed, and their hash.
    pub fn consumed(&self) -> (u64, u64) {
        (self.position, self.hash.0)
    }

    /// The range of positions that can be supplied now; empty when the stream has ended.
    pub fn wanted(&self) -> (u64, u64) {
        let from = self.position + self.ahead.len() as u64;
        (from, if self.ended { from } else { self.position + INPUT_LIMIT as u64 })
    }

    /// Whether the end is known.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Bytes from the host; none means that the stream ends at `position`. What is here already, or does not fit, is left
    /// out. `false` if there is a gap before them.
    pub fn supply(&mut self, position: u64, bytes: &[u8]) -> bool {
        let (from, to) = self.wanted();
        if position > from {
            return false;
        }
        if bytes.is_empty() {
            self.ended |= position == from;
            return true;
        }
        let known = usize::try_from(from - position).unwrap_or(usize::MAX);
        let room = usize::try_from(to - from).unwrap_or(0);
        self.ahead.extend(bytes.iter().skip(known).take(room));
        true
    }

    /// What the program asks for.
    pub fn read(&mut self, position: u64, max: u32) -> ReadResult {
        let skipped = position.checked_sub(self.position).and_then(|count| usize::try_from(count).ok());
        let Some(skipped) = skipped.filter(|count| *count <= INPUT_LIMIT) else { return ReadResult::Refused };
        if skipped > self.ahead.len() {
            // After a restore: the bytes in between were answered already and come again from the host.
            return if self.ended { ReadResult::Refused } else { ReadResult::Wait };
        }
        for byte in self.ahead.drain(..skipped) {
            self.hash.add(&[byte]);
        }
        self.position = position;
        let count = self.ahead.len().min(max as usize).min(READ_LIMIT);
        if count == 0 && !self.ended && max > 0 {
            return ReadResult::Wait;
        }
        self.given = self.given.max(position + count as u64);
        ReadResult::Data(self.ahead.iter().take(count).copied().collect())
    }
}

/// What a write gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteResult {
    /// So many bytes are written now; of those, the ones from `new` on are to be produced.
    Written {
        /// From the write's first byte on.
        count: usize,
        /// How many of them were produced before.
        new: usize,
    },
    /// There is no room yet.
    Wait,
    /// It would leave a gap.
    Refused,
}

/// An output stream: how much was produced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Bytes produced.
    pub position: u64,
}

impl Output {
    /// The program writes `size` bytes at `position`, and there is room for `room` new ones.
    pub fn write(&mut self, position: u64, size: usize, room: usize) -> WriteResult {
        let old =
            self.position.checked_sub(position).map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        let Some(old) = old else { return WriteResult::Refused };
        let new = size.saturating_sub(old).min(room);
        if new == 0 && old < size {
            return if old == 0 { WriteResult::Wait } else { WriteResult::Written { count: old, new: old } };
        }
        self.position += new as u64;
        WriteResult::Written { count: old.min(size) + new, new: old.min(size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_read_in_order_and_repeats_get_the_same_bytes() {
        let mut input = Input::default();
        assert_eq!(input.read(0, 10), ReadResult::Wait);
        assert!(input.supply(0, b"hello"));
        assert!(input.supply(3, b"lo world"));
        assert!(!input.supply(100, b"x"));
        assert_eq!(input.read(0, 5), ReadResult::Data(b"hello".to_vec()));
        assert_eq!(input.read(0, 5), ReadResult::Data(b"hello".to_vec()));
        assert_eq!(input.read(5, 100), ReadResult::Data(b" world".to_vec()));
        assert_eq!(input.read(0, 5), ReadResult::Refused);
        assert_eq!(input.read(12, 5), ReadResult::Wait);
        assert_eq!(input.read(u64::MAX, 5), ReadResult::Refused);
        assert_eq!(input.read(11, 5), ReadResult::Wait);
        assert!(input.supply(11, b""));
        assert_eq!(input.read(11, 5), ReadResult::Data(Vec::new()));
        let mut hash = Fnv::default();
        hash.add(b"hello world");
        assert_eq!(input.consumed(), (11, hash.0));
    }

    #[test]
    fn input_beyond_the_room_is_left_to_be_sent_again() {
        let mut input = Input::default();
        assert!(input.supply(0, &vec![1; INPUT_LIMIT + 7]));
        assert_eq!(input.wanted(), (INPUT_LIMIT as u64, INPUT_LIMIT as u64));
        assert!(matches!(input.read(0, u32::MAX), ReadResult::Data(bytes) if bytes.len() == READ_LIMIT));
        assert!(matches!(input.read(READ_LIMIT as u64, 1), ReadResult::Data(bytes) if bytes.len() == 1));
        assert_eq!(input.wanted().1, (INPUT_LIMIT + READ_LIMIT) as u64);
    }

    #[test]
    fn a_resumed_stream_goes_on_where_it_stood() {
        let mut hash = Fnv::default();
        hash.add(b"abc");
        let mut input = Input::resumed((3, hash.0), (3, hash.0));
        assert_eq!(input.wanted().0, 3);
        assert!(input.supply(0, b"abcdef"));
        assert_eq!(input.read(3, 9), ReadResult::Data(b"def".to_vec()));
    }

    #[test]
    fn what_was_answered_before_an_image_was_taken_is_skipped_when_it_comes_again() {
        let mut input = Input::resumed((3, 0), (5, 0));
        assert_eq!(input.read(5, 9), ReadResult::Wait);
        assert_eq!(input.wanted().0, 3);
        assert!(input.supply(3, b"defg"));
        assert_eq!(input.read(5, 9), ReadResult::Data(b"fg".to_vec()));
    }

    #[test]
    fn what_the_program_was_given_is_known_before_it_counts_as_consumed_and_through_an_image() {
        let hash = |bytes: &[u8]| {
            let mut hash = Fnv::default();
            hash.add(bytes);
            hash.0
        };
        let mut input = Input::default();
        assert_eq!(input.given(), (0, hash(b"")));
        assert!(input.supply(0, b"abcdefgh"));
        assert_eq!(input.read(0, 3), ReadResult::Data(b"abc".to_vec()));
        assert_eq!(input.read(3, 2), ReadResult::Data(b"de".to_vec()));
        assert_eq!((input.consumed(), input.given()), ((3, hash(b"abc")), (5, hash(b"abcde"))));
        let mut resumed = Input::resumed(input.consumed(), input.given());
        assert_eq!(resumed.given(), input.given());
        assert!(resumed.supply(3, b"d"));
        assert_eq!(resumed.given(), input.given());
        assert!(resumed.supply(4, b"efgh"));
        assert_eq!(resumed.given(), input.given());
        assert_eq!(resumed.read(5, 9), ReadResult::Data(b"fgh".to_vec()));
        assert_eq!(resumed.given(), (8, hash(b"abcdefgh")));
    }

    #[test]
    fn output_is_produced_once_whatever_is_repeated() {
        let mut output = Output::default();
        assert_eq!(output.write(0, 5, 100), WriteResult::Written { count: 5, new: 0 });
        assert_eq!(output.write(0, 5, 100), WriteResult::Written { count: 5, new: 5 });
        assert_eq!(output.write(3, 5, 100), WriteResult::Written { count: 5, new: 2 });
        assert_eq!(output.position, 8);
        assert_eq!(output.write(9, 1, 100), WriteResult::Refused);
        assert_eq!(output.write(8, 4, 0), WriteResult::Wait);
        assert_eq!(output.write(7, 4, 0), WriteResult::Written { count: 1, new: 1 });
        assert_eq!(output.write(8, 4, 3), WriteResult::Written { count: 3, new: 0 });
    }
}
