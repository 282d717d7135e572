//! Garbage in a real guest: nonsense calls and states of a program's child, beside a bystander. FLOB_SEED chooses them, FLOB_ROUNDS
//! how many.
#![allow(missing_docs)]

use flob_tests::{World, rounds, seed};

/// Rounds for each of FLOB_ROUNDS: a thousand make more than 100,000 calls.
const ROUNDS: usize = 20;

#[test]
fn garbage_calls_and_states_ruin_nobody_else() {
    let (seed, rounds) = (seed(), rounds(10) * ROUNDS);
    let world = World::new();
    let [rounds, seed] = [rounds.to_string(), seed.to_string()];
    let arguments = ["-s", "garbage", "run", "--headless", "--memory", "128", "garbage", &rounds, &seed];
    let finished = world.start(&arguments, None).finish();
    assert_eq!(finished.code, Some(0), "{finished}");
    let said = finished.stdout.lines().next_back().unwrap_or_default().to_owned();
    eprintln!("proof: in QEMU: {said}");
    assert!(said.ends_with("the bystander's sum is right"), "{finished}");
}
