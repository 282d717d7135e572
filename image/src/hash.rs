//! FNV-1a, 64 bits: the hash of consumed input in [`crate::Stream`]. Small enough for the guest, good enough to tell
//! another input from the same one.

/// Hash of no bytes.
pub const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// The hash of what `hash` stands for followed by `bytes`.
pub fn fnv1a(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
