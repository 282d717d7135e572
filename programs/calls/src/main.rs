//! The calls that the samples do not need, on the real machine: each exercise does something and looks whether it came
//! about. `calls [--only NAME] [--without NAME] [--times N]` says a line for each and exits with the number of those that
//! failed.
#![no_std]
#![no_main]

extern crate alloc;

mod exceptions;
mod foreign;
mod locks;
mod long;
mod memory;
mod states;
mod talk;

use alloc::string::String;
use alloc::vec::Vec;

use flob_program_shared::Failure;
use flob_runtime::{eprintln, println, program};

program!(main);

/// How an exercise went.
pub type Outcome = Result<(), Failure>;

/// An exercise and its name.
type Exercise = (&'static str, fn() -> Outcome);

const EXERCISES: [Exercise; 14] = [
    ("one-way message", talk::one_way),
    ("idempotent call", talk::idempotent),
    ("words in registers", talk::words),
    ("scattered buffers", talk::scattered),
    ("parked client end", talk::parked),
    ("long requests", long::requests),
    ("interrupt", exceptions::interrupt),
    ("deferred interrupt", exceptions::deferred),
    ("alert", exceptions::alert),
    ("protection", memory::protection),
    ("dirty pages", memory::dirty),
    ("foreign instructions", foreign::reflected),
    ("lock in the making", locks::in_the_making),
    ("an older state", states::older),
];

/// What is asked for on the command line.
struct Choice {
    only: Option<String>,
    without: Option<String>,
    times: u32,
}

impl Choice {
    fn parse(arguments: Vec<String>) -> Option<Self> {
        let mut choice = Self { only: None, without: None, times: 1 };
        let mut words = arguments.into_iter().skip(1);
        while let Some(option) = words.next() {
            let value = words.next()?;
            match option.as_str() {
                "--only" => choice.only = Some(value),
                "--without" => choice.without = Some(value),
                "--times" => choice.times = value.parse().ok()?,
                _ => return None,
            }
        }
        Some(choice)
    }

    fn has(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == name) && self.without.as_deref() != Some(name)
    }
}

fn main(arguments: Vec<String>) -> i32 {
    let Some(choice) = Choice::parse(arguments) else {
        eprintln!("usage: calls [--only NAME] [--without NAME] [--times N]");
        return 2;
    };
    let mut failed = 0;
    for _ in 0..choice.times {
        for (name, exercise) in EXERCISES.into_iter().filter(|(name, _)| choice.has(name)) {
            match exercise() {
                Ok(()) => println!("{name}: ok"),
                Err(failure) => {
                    println!("{name}: {failure:?}");
                    failed += 1;
                }
            }
        }
    }
    failed
}
