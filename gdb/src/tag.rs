//! The x87 tag word: FXSAVE keeps one bit a register (in use or not), debuggers want the two bits of FSAVE.

const STATUS: usize = 2;
const TAGS: usize = 4;
const STACK: usize = 32;

const VALID: u16 = 0;
const ZERO: u16 = 1;
const SPECIAL: u16 = 2;
const EMPTY: u16 = 3;

/// The tag word of an FXSAVE image.
pub fn full(vectors: &[u8]) -> u16 {
    let used = vectors.get(TAGS).copied().unwrap_or_default();
    let top = usize::from(vectors.get(STATUS + 1).copied().unwrap_or_default() >> 3 & 7);
    let physical = 0..8usize;
    physical.fold(0, |word, register| {
        let tag = if used >> register & 1 == 0 { EMPTY } else { class(vectors, (register + 8 - top) % 8) };
        word | tag << (2 * register)
    })
}

/// Puts a tag word into an FXSAVE image.
pub fn set(vectors: &mut [u8], word: u16) {
    let used = (0..8).fold(0u8, |used, register| {
        let in_use = word >> (2 * register) & 3 != EMPTY;
        used | u8::from(in_use) << register
    });
    if let Some(tags) = vectors.get_mut(TAGS) {
        *tags = used;
    }
}

/// What kind of number stack register `index` holds.
fn class(vectors: &[u8], index: usize) -> u16 {
    let start = STACK + 16 * index;
    let Some(number) = vectors.get(start..).and_then(<[u8]>::first_chunk::<10>) else { return SPECIAL };
    let [m0, m1, m2, m3, m4, m5, m6, m7, e0, e1] = *number;
    let mantissa = u64::from_le_bytes([m0, m1, m2, m3, m4, m5, m6, m7]);
    let exponent = u16::from_le_bytes([e0, e1]) & 0x7fff;
    match (exponent, mantissa) {
        (0, 0) => ZERO,
        (0 | 0x7fff, _) => SPECIAL,
        _ if mantissa >> 63 == 0 => SPECIAL,
        _ => VALID,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_unit_is_empty() {
        assert_eq!(full(&[0; 512]), 0xffff);
    }

    #[test]
    fn a_pushed_zero_is_tagged_as_zero_and_the_bit_survives() {
        let mut vectors = [0u8; 512];
        vectors[STATUS + 1] = 7 << 3;
        vectors[TAGS] = 1 << 7;
        assert_eq!(full(&vectors), 0x7fff);
        set(&mut vectors, 0x7fff);
        assert_eq!(vectors[TAGS], 1 << 7);
    }
}
