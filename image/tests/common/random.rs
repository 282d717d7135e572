//! Seeds and sizes of random tests.

/// FLOB_SEED, or a fresh one; printed, so that a failure can be repeated.
pub fn seed() -> u64 {
    let seed = std::env::var("FLOB_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed: FLOB_SEED={seed}");
    seed
}

/// Whether the long form is wanted.
pub fn is_soak() -> bool {
    let rounds = std::env::var("FLOB_ROUNDS").ok().and_then(|text| text.parse().ok());
    rounds.is_some_and(|rounds: u64| rounds >= 1000)
}

/// The positions of so many that are tried: all in the long form, else at most `most`, by chance, ascending.
pub fn positions(numbers: &mut fastrand::Rng, count: usize, most: usize) -> Vec<usize> {
    if is_soak() || count <= most {
        return (0..count).collect();
    }
    let mut chosen = numbers.choose_multiple(0..count, most);
    chosen.sort_unstable();
    chosen
}
