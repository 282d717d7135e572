//! Garbage in a real guest: nonsense calls and states of a program's child, beside a bystander. FLOB_SEED chooses them, FLOB_ROUNDS
//! how many.
#![allow(missing_docs)]

use flob_tests::{World, rounds, seed};

/// Rounds of a guest for each of FLOB_ROUNDS, and in one guest at most: a thousand make more than 100,000 calls.
const ROUNDS: usize = 20;
const LONGEST: usize = 2_000;

#[test]
fn garbage_calls_and_states_ruin_nobody_else() {
    let (mut seed, mut left, mut calls) = (seed(), rounds(10) * ROUNDS, 0);
    while left > 0 {
        let now = left.min(LONGEST);
        calls += garbage(now, seed);
        left -= now;
        seed = seed.wrapping_add(1);
    }
    eprintln!("proof: in QEMU: {calls} garbage calls, up to seed {seed}");
}

/// One guest; how many calls its child made.
fn garbage(rounds: usize, seed: u64) -> usize {
    let world = World::new();
    let [rounds, seed] = [rounds.to_string(), seed.to_string()];
    let arguments = ["-s", "garbage", "run", "--headless", "--memory", "128", "garbage", &rounds, &seed];
    let finished = world.start(&arguments, None).finish();
    assert_eq!(finished.code, Some(0), "{finished}");
    let said = finished.stdout.lines().next_back().unwrap_or_default().to_owned();
    eprintln!("{said}");
    assert!(said.ends_with("the bystander's sum is right"), "{finished}");
    let calls = said.strip_prefix("garbage: ").and_then(|rest| rest.split(' ').next());
    calls.and_then(|calls| calls.parse().ok()).expect("how many calls there were")
}
