//! COBS: bytes written without a zero among them. Each zero becomes a *count*: how far it is to the next one; a count in front leads
//! to the first, the last to one behind the end. A count of 255 stands for no zero: so many bytes had none.
//!
//! Frames are made in the guest, mostly of states, and those are mostly zeroes: so all is copied as it is, and then looked
//! through eight bytes at a time.

use alloc::vec::Vec;
use core::ops::Range;

/// Most bytes that are not zero behind one count.
const RUN: usize = 254;
/// The count of so many.
const FULL: u8 = 255;
const WORD: usize = size_of::<u64>();

/// Most bytes that so many come to.
pub const fn stuffed_size(contents: usize) -> usize {
    contents + contents / RUN + 1
}

/// Appends the contents to `out`, stuffed.
pub fn stuff(contents: &[u8], out: &mut Vec<u8>) {
    out.reserve(stuffed_size(contents.len()) + WORD);
    out.push(0);
    let (mut run, mut rest) = (0, contents);
    while !rest.is_empty() {
        if run == RUN {
            set_count(out, run);
            out.push(0);
            run = 0;
        }
        // Whatever it is, it is not more than the count can be.
        let (piece, behind) = rest.split_at_checked(RUN - run).unwrap_or((rest, &[]));
        run = stuff_piece(piece, run, out);
        rest = behind;
    }
    set_count(out, run);
}

/// Sets the count that has this run behind it, at the end.
fn set_count(out: &mut [u8], run: usize) {
    if let Some(count) = out.iter_mut().nth_back(run) {
        *count = run as u8 + 1;
    }
}

/// Goes on behind a count that has this run behind it already; returns the run at the end.
fn stuff_piece(piece: &[u8], mut run: usize, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    let padding = piece.len().next_multiple_of(WORD) - piece.len();
    out.extend_from_slice(piece);
    out.extend_from_slice([FULL; WORD].get(..padding).unwrap_or_default());

    let (before, words) = out.split_at_mut(start);
    let Some(mut count) = before.iter_mut().nth_back(run) else { return 0 };
    for bytes in words.as_chunks_mut::<WORD>().0 {
        let word = u64::from_le_bytes(*bytes);
        let zeroes = zeroes(word);
        if zeroes == 0 {
            run += WORD;
            continue;
        }
        *bytes = with_counts(word, zeroes).to_le_bytes();
        *count = (run as u8).wrapping_add(zeroes.trailing_zeros() as u8 / 8 + 1);
        run = zeroes.leading_zeros() as usize / 8;
        let Some(last) = bytes.get_mut(WORD - 1 - run % WORD) else { return 0 };
        count = last;
    }
    out.truncate(start + piece.len());
    run - padding
}

/// The lowest bit of each byte that is zero.
const fn zeroes(word: u64) -> u64 {
    const LOW: u64 = u64::from_ne_bytes([0x7f; WORD]);
    // Without the highest bits nothing carries from one byte into the next.
    let not_zero = (word & LOW).wrapping_add(LOW) | word;
    !(not_zero | LOW) >> 7
}

/// The word with the counts of its zeroes, but for the last: that is for what follows to say.
fn with_counts(word: u64, zeroes: u64) -> u64 {
    // One that is followed by another at once is most of them.
    let mut counted = word | (zeroes & (zeroes >> 8));
    let last = (1 << 63) >> zeroes.leading_zeros();
    let mut others = zeroes & !(zeroes >> 8) & !last;
    while others != 0 {
        let zero = others.trailing_zeros();
        let bits = ((zeroes >> zero) & !1).trailing_zeros();
        counted |= u64::from(bits / 8) << zero;
        others &= others - 1;
    }
    counted
}

/// Undoes [`stuff`] in place, and returns where the contents are now; `None` if this was nothing stuffed.
pub fn unstuff(stuffed: &mut [u8]) -> Option<Range<usize>> {
    // The first count stands for nothing; so what is behind it stays where it is, until there is another one of the kind.
    let (mut at, mut end) = (0, 1);
    let mut count = *stuffed.first()?;
    loop {
        let next = at + usize::from(count);
        if count == 0 || next > stuffed.len() {
            return None;
        }
        if end <= at {
            stuffed.copy_within(at + 1..next, end);
        }
        end += usize::from(count) - 1;
        let Some(following) = stuffed.get(next).copied() else { return Some(1..end) };
        if count != FULL {
            *stuffed.get_mut(end)? = 0;
            end += 1;
        }
        (at, count) = (next, following);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;

    /// Runs of any length, of zeroes and of others: around a word, around a full run.
    fn contents() -> impl Strategy<Value = Vec<u8>> {
        let size = prop_oneof![8 => 1_usize..20, 1 => 240_usize..270, 1 => 500_usize..520];
        let byte = prop_oneof![Just(0_u8), any::<u8>()];
        prop::collection::vec((byte, size), 1..30)
            .prop_map(|runs| runs.iter().flat_map(|(byte, size)| vec![*byte; *size]).collect())
    }

    /// As `cobs` has it, but that nothing is counted behind a full run at the end.
    fn reference(contents: &[u8]) -> Vec<u8> {
        let mut stuffed = vec![0; cobs::max_encoding_length(contents.len()) + 1];
        let size = cobs::encode(contents, &mut stuffed);
        stuffed.truncate(size);
        let tail = contents.len() - contents.iter().rposition(|byte| *byte == 0).map_or(0, |zero| zero + 1);
        if tail > 0 && tail.is_multiple_of(RUN) && stuffed.last() == Some(&1) {
            stuffed.pop();
        }
        stuffed
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn stuffed_as_others_do_behind_what_was_there(contents in contents()) {
            let mut out = vec![7, 0, 7];
            stuff(&contents, &mut out);
            prop_assert_eq!(&out[..3], &[7, 0, 7]);
            prop_assert_eq!(&out[3..], reference(&contents));
            prop_assert!(out.len() - 3 <= stuffed_size(contents.len()));
        }

        #[test]
        fn unstuffed_as_others_do(contents in contents()) {
            let mut stuffed = Vec::new();
            stuff(&contents, &mut stuffed);
            for mut stuffed in [stuffed, reference(&contents)] {
                let range = unstuff(&mut stuffed).expect("stuffed");
                prop_assert_eq!(&stuffed[range], &contents);
            }
        }

        #[test]
        fn what_is_not_stuffed_is_refused_as_by_others(
            bytes in prop::collection::vec(prop_oneof![8 => 1_u8..9, 1 => 1_u8..=255], 1..600)
        ) {
            let (mut ours, mut theirs) = (bytes.clone(), bytes);
            let size = cobs::decode_in_place(&mut theirs).ok();
            let range = unstuff(&mut ours);
            prop_assert_eq!(range.clone().map(|range| &ours[range]), size.map(|size| &theirs[..size]));
        }
    }

    /// Every pattern of zeroes in a word and its neighbours, with a count before them and one behind.
    #[test]
    fn all_patterns_of_zeroes() {
        for pattern in 0_u32..1 << 17 {
            let contents: Vec<u8> =
                (0..17).map(|bit| if pattern >> bit & 1 == 0 { 0 } else { 0x80 + bit as u8 }).collect();
            let mut stuffed = Vec::new();
            stuff(&contents, &mut stuffed);
            assert_eq!(stuffed, reference(&contents), "{contents:?}");
        }
    }

    #[test]
    fn nothing_and_zeroes_are_no_stuffed_bytes() {
        assert_eq!(unstuff(&mut []), None);
        assert_eq!(unstuff(&mut [0]), None);
        assert_eq!(unstuff(&mut [2, 1, 0]), None);
        assert_eq!(unstuff(&mut [1]), Some(1..1));
    }
}
