//! A checksum over many bytes that costs next to nothing: two additions a word, in the manner of Fletcher, of words whose higher half is
//! seen in the lower one too. It finds bytes that were lost, changed or moved by accident; whoever wants to can deceive it.

const WORD: usize = size_of::<u64>();
/// So that what has changed in both sums does not cancel out where they become one: odd, and no multiple of anything likely.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

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
        // Sums lose what exceeds 64 bits: two highest bits that have changed would be no change an even number of words apart.
        self.words = self.words.wrapping_add(word ^ word >> 32);
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
        self.sums.wrapping_add(self.words.wrapping_mul(SPREAD))
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

    /// Wherever the one is, and whatever is there.
    #[test]
    fn two_bits_that_have_changed_change_the_sum() {
        for fill in [0, 0x5a, 0xff] {
            let bytes = [fill; 40 * WORD];
            let sum = Sum::of(&bytes);
            for first in 0..8 * WORD {
                for second in first + 1..8 * bytes.len() {
                    let mut flipped = bytes;
                    for bit in [first, second] {
                        flipped[bit / 8] ^= 1 << (bit % 8);
                    }
                    assert_ne!(Sum::of(&flipped), sum, "bits {first} and {second} of {fill:#x}");
                }
            }
        }
    }

    /// Those that lie apart by what an addition forgets: the highest bits of two words of a page, one set and one cleared.
    #[test]
    fn the_highest_bits_of_two_words_count_however_far_they_are_apart() {
        let mut bytes = [0; 512 * WORD];
        for distance in 1..512 {
            for bit in 0..64_u32 {
                bytes.fill(0);
                bytes[..WORD].copy_from_slice(&(1_u64 << bit).to_le_bytes());
                let before = Sum::of(&bytes);
                bytes[..WORD].fill(0);
                bytes[distance * WORD..][..WORD].copy_from_slice(&(1_u64 << bit).to_le_bytes());
                assert_ne!(Sum::of(&bytes), before, "bit {bit}, {distance} words apart");
            }
        }
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
