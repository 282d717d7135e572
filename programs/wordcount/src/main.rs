//! Counts lines, words and bytes of standard input and lists the ten most frequent words: `wordcount [--pace MS]`.
//!
//! ```text
//! reader ──chunks──▶ QUEUE (mutex, two conditions) ──▶ workers ──reliable IPC──▶ tally server
//!                          the program's own space                               a second space, made here
//! ```
#![no_std]
#![no_main]

extern crate alloc;

mod queue;
mod report;
mod second_space;
mod server;
mod work;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use flob_runtime::thread::Builder;
use flob_runtime::{eprintln, flob, program};

program!(main);

/// How many workers count.
const WORKERS: usize = 4;
/// Stack of the reader and of a worker.
const STACK: usize = 32 * 1024;

/// The reader's thread.
static READER: flob::Thread = flob::Thread::new();
/// The workers' threads.
static WORKER: [flob::Thread; WORKERS] = [const { flob::Thread::new() }; WORKERS];

fn main(arguments: Vec<String>) -> i32 {
    let pace = match pace(arguments.get(1..).unwrap_or_default()) {
        Ok(pace) => pace,
        Err(message) => {
            eprintln!("wordcount: {message}\nusage: wordcount [--pace MS]");
            return 2;
        }
    };
    match run(pace) {
        Ok(()) => 0,
        Err(message) => {
            eprintln!("wordcount: {message}");
            1
        }
    }
}

/// Reads the command line: milliseconds of pause after each chunk.
fn pace(arguments: &[String]) -> Result<u64, String> {
    match arguments {
        [] => Ok(0),
        [option, value] if option == "--pace" => {
            value.parse().map_err(|_| format!("--pace needs a number of milliseconds, not '{value}'"))
        }
        [option] if option == "--pace" => Err("--pace needs a number of milliseconds".to_string()),
        [other, ..] => Err(format!("'{other}' is no option")),
    }
}

/// Starts everybody, waits for the end of the input and prints the result.
fn run(pace: u64) -> Result<(), String> {
    let kernel = |status: flob_runtime::abi::Status| format!("the kernel said: {}", status.text());
    second_space::make().map_err(kernel)?;
    server::start().map_err(kernel)?;
    let reader =
        Builder::new().flob(&READER).stack(STACK).spawn(move || work::reader(pace)).map_err(kernel)?;
    let workers: Vec<_> = WORKER
        .iter()
        .enumerate()
        .map(|(number, thread)| Builder::new().flob(thread).stack(STACK).spawn(move || work::worker(number)))
        .collect::<Result<_, _>>()
        .map_err(kernel)?;
    let read = reader.join().map_err(kernel)?;
    for worker in workers {
        worker.join().map_err(kernel)?.map_err(|error| format!("the tally server failed: {error}"))?;
    }
    read.map_err(|error| format!("standard input failed: {error}"))?;
    report::print()
}
