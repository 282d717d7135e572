//! Pages made smaller, for a line that is slower than the processor: LZ4 blocks.

use alloc::{vec, vec::Vec};

/// Packs bytes. What cannot be made smaller grows by less than a hundredth.
pub fn pack(bytes: &[u8]) -> Vec<u8> {
    lz4_flex::block::compress(bytes)
}

/// Unpacks exactly so many bytes; `None` if that is not what was packed.
pub fn unpack(packed: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; size];
    let unpacked = lz4_flex::block::decompress_into(packed, &mut bytes).ok()?;
    (unpacked == size).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_unpacked_was_packed(
            pieces in proptest::collection::vec((any::<u8>(), 1_usize..600), 0..40),
            noise in proptest::collection::vec(any::<u8>(), 0..4096),
        ) {
            let mut bytes: Vec<u8> = pieces.iter().flat_map(|(byte, count)| vec![*byte; *count]).collect();
            bytes.extend(&noise);
            let packed = pack(&bytes);
            prop_assert!(packed.len() <= bytes.len() + bytes.len() / 100 + 32);
            prop_assert_eq!(unpack(&packed, bytes.len()), Some(bytes.clone()));
            prop_assert_eq!(unpack(&packed, bytes.len() + 1), None);
        }

        #[test]
        fn garbage_is_refused_or_has_the_size(packed in proptest::collection::vec(any::<u8>(), 0..300), size in 0_usize..9000) {
            if let Some(bytes) = unpack(&packed, size) {
                prop_assert_eq!(bytes.len(), size);
            }
        }
    }
}
