//! A crowd: as many spaces, threads and flobs as are asked for, to see whether whoever saves them can cope.
//! `crowd [--spaces N] [--threads N] [--flobs N] [--one-hash 1] [--talk 1] [--walk 1]`.
//!
//! The threads, spread over the spaces, come to wait in every way there is ([`threads`]). Then it says `ready` and waits
//! for the mutex [`GATE`], which is held by a thread that sleeps for good: until somebody outside unlocks it. Then all
//! threads go on, everything is looked at, and it says whether all is as it should be. With `--talk` another thread counts all
//! the time, for good, and says so. With `--walk` yet another one locks and unlocks all the time, before the other flobs in memory and
//! behind them ([`walk`]).
#![no_std]
#![no_main]

extern crate alloc;

mod ends;
mod flobs;
mod options;
mod threads;
mod walk;

use alloc::string::String;
use alloc::vec::Vec;

use flob_runtime::service::clock;
use flob_runtime::sync::{Condition, Lock};
use flob_runtime::{eprintln, println, program, thread};

use flob_program_shared::Failure;
use options::Options;

program!(main);

/// What everybody waits for in the end.
pub static GATE: Lock<()> = Lock::new(());
/// Whether the gate is held.
static HELD: (Lock<bool>, Condition) = (Lock::new(false), Condition::new());

fn main(arguments: Vec<String>) -> i32 {
    let options = match Options::parse(arguments.get(1..).unwrap_or_default()) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("crowd: {message}\n{}", options::USAGE);
            return 2;
        }
    };
    match run(&options) {
        Ok(()) => {
            println!("all is well");
            0
        }
        Err(failure) => {
            eprintln!("crowd: {failure:?}");
            1
        }
    }
}

fn run(options: &Options) -> Result<(), Failure> {
    thread::spawn(hold_the_gate)?.detach();
    drop(HELD.1.wait_until(HELD.0.lock(), |held| *held));
    let walk = if options.walk == 0 { None } else { Some(walk::Walk::prepare()?) };
    let flobs = flobs::make(options.flobs, options.one_hash != 0)?;
    let walker = walk.map(walk::Walk::start).transpose()?;
    let threads = threads::start(options)?;
    println!("ready");
    if options.talk != 0 {
        thread::spawn(talk)?.detach();
    }
    drop(GATE.lock());
    threads.release()?;
    walker.map_or(Ok(()), walk::Walker::end)?;
    flobs.check()
}

/// Counts, and says how far it is at times: what it says shows that it has run.
fn talk() {
    for count in 0_u64.. {
        if core::hint::black_box(count).is_multiple_of(SAID) {
            println!("count {count}");
        }
    }
}

/// What is not said is as many numbers less one.
const SAID: u64 = 20_000;

/// Takes the gate and keeps it.
fn hold_the_gate() {
    let gate = GATE.lock();
    *HELD.0.lock() = true;
    HELD.1.signal();
    loop {
        if clock::sleep_until(u64::MAX).is_err() {
            core::mem::forget(gate);
            flob_runtime::start::forever();
        }
    }
}
