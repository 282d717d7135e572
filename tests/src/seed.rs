//! Seeds and sizes of random tests.

/// The seed of a random test: FLOB_SEED, or a fresh one; printed, so that a failure can be repeated.
pub fn seed() -> u64 {
    let seed = std::env::var("FLOB_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("seed: FLOB_SEED={seed}");
    seed
}

/// How many rounds: FLOB_ROUNDS, or this many.
pub fn rounds(default: usize) -> usize {
    std::env::var("FLOB_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
