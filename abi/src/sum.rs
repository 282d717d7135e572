//! A checksum over many bytes that costs next to nothing: two additions a word, in the manner of Fletcher. It finds bytes that
//! were lost, changed or moved by accident; whoever wants to can deceive it.

const WORD: usize = size_of::<u64>();

/// A sum that is being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    words: u64,
    sums: u64,
}

impl Default for Sum {
    fn default() -> Self {
        Self::new()
    }
}

impl Sum {
    /// Of nothing yet.
    pub const fn new() -> Self {
        Self { words: 1, sums: 0 }
    }

    /// Adds the next word.
    #[inline(always)]
    pub const fn add(&mut self, word: u64) {
        self.words = self.words.wrapping_add(word);
        self.sums = self.sums.wrapping_add(self.words);
    }

    /// Adds the next bytes, little-endian; zeroes fill the last word up.
    pub fn add_bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<WORD>();
        words.iter().for_each(|word| self.add(u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            let mut last = [0; WORD];
            last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            self.add(u64::from_le_bytes(last));
        }
    }

    /// The sum.
    pub const fn value(self) -> u64 {
        self.sums ^ self.words.rotate_left(32)
    }

    /// The sum of so many zero words: known without looking at them.
    pub const fn of_zeroes(words: u64) -> u64 {
        Self { words: 1, sums: words }.value()
    }

    /// The sum of these bytes.
    pub fn of(bytes: &[u8]) -> u64 {
        let mut sum = Self::new();
        sum.add_bytes(bytes);
        sum.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_changed_and_moved_bytes_change_the_sum() {
        let bytes: [u8; 64] = core::array::from_fn(|index| (index * 37 + 5) as u8);
        let sum = Sum::of(&bytes);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes;
                flipped[at] ^= 1 << bit;
                assert_ne!(Sum::of(&flipped), sum, "bit {bit} of byte {at}");
            }
        }
        let mut swapped = bytes;
        swapped.rotate_left(WORD);
        assert_ne!(Sum::of(&swapped), sum);
        assert_ne!(Sum::of(&bytes[..56]), sum);
        assert_ne!(Sum::of(&[0; 8]), Sum::of(&[0; 16]), "zeroes count too");
        assert_eq!(Sum::of(&[0; 80]), Sum::of_zeroes(10));
    }

    #[test]
    fn in_pieces_of_whole_words_it_is_the_same() {
        let bytes: [u8; 61] = core::array::from_fn(|index| index as u8);
        let mut sum = Sum::new();
        sum.add_bytes(&bytes[..24]);
        sum.add_bytes(&bytes[24..]);
        assert_eq!(sum.value(), Sum::of(&bytes));
    }
}
