//! The dining philosophers: a thread each, a mutex for each fork. `philosophers [N] [--meals M] [--deadlock] [--pace MS]`.
//!
//! `--deadlock` makes all of them take the left fork at the same moment: it stops for good, until somebody outside
//! unlocks a fork. Before each unlock a philosopher looks whether the fork is still its own.
#![no_std]
#![no_main]

extern crate alloc;

mod options;
mod table;

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use flob_runtime::abi::Status;
use flob_runtime::service::clock;
use flob_runtime::thread::Builder;
use flob_runtime::{eprintln, flob, println, program};

use options::{MAX_PHILOSOPHERS, Options};
use table::{Fork, wait_until_all_have_their_left_fork};

program!(main);

/// The philosophers' threads.
static PHILOSOPHERS: [flob::Thread; MAX_PHILOSOPHERS] = [const { flob::Thread::new() }; MAX_PHILOSOPHERS];
/// Stack of a philosopher.
const STACK: usize = 32 * 1024;

fn main(arguments: Vec<String>) -> i32 {
    let options = match Options::parse(arguments.get(1..).unwrap_or_default()) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("philosophers: {message}\n{}", options::USAGE);
            return 2;
        }
    };
    match dine(options) {
        Ok(()) => 0,
        Err(status) => {
            eprintln!("philosophers: the kernel said: {}", status.text());
            1
        }
    }
}

/// Lays the table, seats everybody and waits until all have had their meals.
fn dine(options: Options) -> Result<(), Status> {
    for number in 0..options.philosophers {
        Fork::number(number).lay()?;
    }
    let seated: Vec<_> = PHILOSOPHERS
        .iter()
        .take(options.philosophers)
        .enumerate()
        .map(|(number, thread)| {
            Builder::new().flob(thread).stack(STACK).spawn(move || philosopher(number, options))
        })
        .collect::<Result<_, _>>()?;
    for philosopher in seated {
        philosopher.join()??;
    }
    println!("all {} philosophers have had {} meals", options.philosophers, options.meals);
    Ok(())
}

/// The life of a philosopher.
#[inline(never)]
fn philosopher(number: usize, options: Options) -> Result<(), Status> {
    let left = Fork::number(number);
    let right = Fork::number((number + 1) % options.philosophers);
    let own = flob::OwnedReference::new()?;
    flob::current().reference(own.at())?;
    for meal in 1..=options.meals {
        // For whoever looks at this frame with a debugger.
        core::hint::black_box(&meal);
        if options.deadlock && meal == 1 {
            left.take()?;
            wait_until_all_have_their_left_fork(options.philosophers);
            right.take()?;
        } else {
            // In one order for all: so nobody ever waits in a circle.
            left.min(right).take()?;
            left.max(right).take()?;
        }
        pause(options.pace);
        println!("philosopher {number}: meal {meal}");
        for fork in [right, left] {
            if fork.is_held_by(own.at())? {
                fork.put_back()?;
            } else {
                println!("philosopher {number}: someone took my fork");
            }
        }
        pause(options.pace);
    }
    Ok(())
}

/// Eats or thinks for so many milliseconds. A clock that does not answer only makes it shorter.
fn pause(milliseconds: u64) {
    if milliseconds > 0 {
        let _ = clock::sleep(Duration::from_millis(milliseconds));
    }
}
