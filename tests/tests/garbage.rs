//! Garbage in a real guest: nonsense calls and states of a program's child, beside a bystander. FLOB_SEED chooses them, FLOB_ROUNDS
//! how many.
#![allow(missing_docs)]

use flob_tests::{World, rounds, seed};

/// Rounds of a guest for each of FLOB_ROUNDS, and in one guest at most: a thousand make more than 100,000 pieces of it.
const ROUNDS: usize = 20;
const LONGEST: usize = 2_000;

#[test]
fn garbage_calls_and_states_ruin_nobody_else() {
    let (mut seed, mut left, mut pieces, mut almost) = (seed(), rounds(10) * ROUNDS, 0, 0);
    while left > 0 {
        let now = left.min(LONGEST);
        let said = garbage(now, seed);
        pieces += number_before(&said, " pieces");
        almost += number_before(&said, " states almost valid");
        left -= now;
        seed = seed.wrapping_add(1);
    }
    eprintln!("proof: in QEMU: {pieces} pieces of garbage, {almost} almost valid, up to seed {seed}");
    assert!(2 * almost >= pieces, "half of it is to be almost valid");
}

/// The number that stands before these words.
fn number_before(said: &str, words: &str) -> usize {
    let before = said.split(words).next().unwrap_or_default();
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

/// One guest; what it said at its end.
fn garbage(rounds: usize, seed: u64) -> String {
    let world = World::new();
    let [rounds, seed] = [rounds.to_string(), seed.to_string()];
    let arguments = ["-s", "garbage", "run", "--headless", "--memory", "128", "garbage", &rounds, &seed];
    let finished = world.start(&arguments, None).finish();
    assert_eq!(finished.code, Some(0), "{finished}");
    let said = finished.stdout.lines().next_back().unwrap_or_default().to_owned();
    eprintln!("{said}");
    assert!(said.ends_with("the bystander's sum is right"), "{finished}");
    said
}
