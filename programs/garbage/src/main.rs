//! Garbage: a child of this program makes nonsense calls, and its flobs are set to nonsense, half of it almost valid, beside
//! a bystander that computes. `garbage [ROUNDS] [SEED]`. It ends well if the kernel is still there and the bystander's
//! sum is right.
#![no_std]
#![no_main]

extern crate alloc;

mod bystander;
mod child;
mod nonsense;

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use flob_runtime::abi::Status;
use flob_runtime::service::clock;
use flob_runtime::{eprintln, println, program};

use bystander::Bystander;
use child::Child;
use flob_runtime::random::Random;

program!(main);

/// Rounds until the child's flobs are made anew: most are ruined by then.
const FRESH: u64 = 40;
/// States that are set in a round, almost valid and other ones; there are some six calls in one too.
const ALMOST: u64 = 9;
const OTHER: u64 = 1;
/// How long the child runs in a round.
const ROUND: Duration = Duration::from_millis(1);

fn main(arguments: Vec<String>) -> i32 {
    let mut numbers = arguments.iter().skip(1).map(|argument| argument.parse::<u64>());
    let (Ok(rounds), Ok(seed)) = (numbers.next().unwrap_or(Ok(100)), numbers.next().unwrap_or(Ok(1))) else {
        eprintln!("garbage: the rounds and the seed must be numbers\nusage: garbage [ROUNDS] [SEED]");
        return 2;
    };
    match run(rounds, seed) {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(status) => {
            eprintln!("garbage: the kernel said: {}", status.text());
            1
        }
    }
}

/// All rounds; whether the bystander's sum is right.
fn run(rounds: u64, seed: u64) -> Result<bool, Status> {
    let mut random = Random::new(seed);
    let bystander = Bystander::start()?;
    let mut child = Child::new(bystander.call_instruction()?)?;
    let (mut calls, mut almost, mut others) = (0, 0, 0);
    for round in 0..rounds {
        if round % FRESH == 0 {
            child.fill(&mut random)?;
        }
        for _ in 0..ALMOST {
            almost += child.set_to_almost_valid(&mut random)?;
        }
        for _ in 0..OTHER {
            others += child.set_to_anything(&mut random)?;
        }
        calls += child.call_something(&mut random)?;
        bystander.ask();
        // Its threads are below ours: now they run.
        let _ = clock::sleep(ROUND);
    }
    let is_right = bystander.has_summed(rounds);
    let verdict = if is_right { "right" } else { "WRONG" };
    println!(
        "garbage: {} pieces: {almost} states almost valid, {others} others, {calls} calls; {rounds} rounds, seed {seed}: the \
         bystander's sum is {verdict}",
        almost + others + calls
    );
    Ok(is_right)
}
