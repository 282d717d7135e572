//! The calls that the samples do not need, on the real machine: each exercise does something and looks whether it came
//! about. `calls [--without NAME]` says a line for each and exits with the number of those that failed.
#![no_std]
#![no_main]

extern crate alloc;

mod exceptions;
mod foreign;
mod memory;
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

const EXERCISES: [Exercise; 11] = [
    ("one-way message", talk::one_way),
    ("idempotent call", talk::idempotent),
    ("words in registers", talk::words),
    ("scattered buffers", talk::scattered),
    ("parked client end", talk::parked),
    ("interrupt", exceptions::interrupt),
    ("deferred interrupt", exceptions::deferred),
    ("alert", exceptions::alert),
    ("protection", memory::protection),
    ("dirty pages", memory::dirty),
    ("foreign instructions", foreign::reflected),
];

fn main(arguments: Vec<String>) -> i32 {
    let without = match arguments.get(1..).unwrap_or_default() {
        [] => None,
        [option, name] if option == "--without" => Some(name.as_str()),
        _ => {
            eprintln!("usage: calls [--without NAME]");
            return 2;
        }
    };
    let mut failed = 0;
    for (name, exercise) in EXERCISES.into_iter().filter(|(name, _)| without != Some(*name)) {
        match exercise() {
            Ok(()) => println!("{name}: ok"),
            Err(failure) => {
                println!("{name}: {failure:?}");
                failed += 1;
            }
        }
    }
    failed
}
