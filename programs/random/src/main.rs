//! A random program: everything that a program can do with the kernel, at once, from a seed.
//! `random SEED [--rounds N] [--depth N]`.
//!
//! Each *work* runs in a thread of its own, round by round, and says a line for each round. The last line is a checksum
//! of all results, which depends on the seed alone: not on the order in which threads run, nor on whether the program
//! was saved, killed and restored in between. So a difference is a bug.
#![no_std]
#![no_main]

extern crate alloc;

mod compute;
mod connection;
mod handlers;
mod keeper;
mod locks;
mod nested;
mod options;
mod queue;
mod requests;
mod spaces;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use flob_runtime::{eprintln, println, program, thread};

use flob_program_shared::{Failure, mix};
use flob_runtime::random::Random;
use options::Options;

program!(main);

/// One round of a work: its result.
pub type Round = Box<dyn FnMut(&mut Random) -> Result<u64, Failure> + Send>;
/// Prepares a work.
type Prepare = fn(&Options) -> Result<Round, Failure>;

/// All works.
const WORKS: [(&str, Prepare); 10] = [
    ("compute", compute::prepare),
    ("locks", locks::prepare),
    ("queue", queue::prepare),
    ("connection", connection::prepare),
    ("request", requests::prepare_idempotent),
    ("one-way", requests::prepare_one_way),
    ("keeper", keeper::prepare),
    ("spaces", spaces::prepare),
    ("handlers", handlers::prepare),
    ("nested", nested::prepare),
];

fn main(arguments: Vec<String>) -> i32 {
    let options = match Options::parse(arguments.get(1..).unwrap_or_default()) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("random: {message}\n{}", options::USAGE);
            return 2;
        }
    };
    match run(options) {
        Ok(checksum) => {
            println!("checksum {checksum:016x}");
            0
        }
        Err((name, failure)) => {
            eprintln!("random: {name}: {failure:?}");
            1
        }
    }
}

/// All works at once; the sum of their results.
fn run(options: Options) -> Result<u64, (&'static str, Failure)> {
    let mut running = Vec::new();
    for (number, (name, prepare)) in WORKS.into_iter().enumerate() {
        let work = prepare(&options).map_err(|failure| (name, failure))?;
        let seed = mix(options.seed, number as u64);
        let started = thread::spawn(move || rounds(name, options.rounds, Random::new(seed), work));
        running.push((name, started.map_err(|status| (name, status.into()))?));
    }
    let mut sum = 0_u64;
    for (name, work) in running {
        let result = work.join().map_err(Failure::from).and_then(|result| result);
        sum = sum.wrapping_add(result.map_err(|failure| (name, failure))?);
    }
    Ok(sum)
}

/// All rounds of a work, one after the other.
fn rounds(name: &str, count: u64, mut random: Random, mut work: Round) -> Result<u64, Failure> {
    let mut result = 0;
    for round in 1..=count {
        result = mix(result, work(&mut random)?);
        println!("{name} {round}");
    }
    Ok(result)
}
