//! A program that dies, for whoever rolls it back. `mortal forever|twice`.
//!
//! It says sixty lines, reads some of its input before each, and says the sum of all its bytes in the end. At two of the
//! lines it waits a little and then dies: `forever` of an invalid instruction, always; `twice` of a read of address 0, only if it
//! comes there soon, so that it lives on once it has been rolled back for long enough. There another thread asks once to sleep, until behind both
//! deaths, and is waited for in the end.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::string::String;
use alloc::vec::Vec;
use core::arch::asm;
use core::time::Duration;

use flob_runtime::ipc;
use flob_runtime::service::messages::ClockRequest;
use flob_runtime::service::{STDIN, Service, ServiceError, clock};
use flob_runtime::{eprintln, exception, println, program, thread};

program!(main);

const LINES: u64 = 60;
/// Bytes that are read before a line.
const READ: usize = 500;
/// Lines at which it dies.
const DEADLY: [u64; 2] = [20, 40];
const PAUSE: Duration = Duration::from_millis(2);
/// How long it waits before it dies, and until when that is soon, in nanoseconds.
const WAIT: u64 = 80_000_000;
const SOON: u64 = 120_000_000;
/// How long the other thread sleeps, in nanoseconds.
const SLEEP: u64 = 1_000_000_000;
/// Ticks in which the clock tells the time at the latest, and in which nobody is rolled back.
const AT_ONCE: u64 = 5_000_000;

fn main(arguments: Vec<String>) -> i32 {
    let always = match arguments.get(1).map(String::as_str) {
        Some("forever") => true,
        Some("twice") => false,
        _ => {
            eprintln!("usage: mortal forever|twice");
            return 2;
        }
    };
    match live(always) {
        Ok(sum) => {
            println!("sum {sum}");
            0
        }
        Err(error) => {
            eprintln!("mortal: {error}");
            1
        }
    }
}

/// The sum of all bytes of the input.
fn live(always: bool) -> Result<u64, ServiceError> {
    let sleeper = if always { None } else { Some(thread::spawn(sleep)) };
    let sleeper = sleeper.transpose().map_err(ServiceError::Ipc)?;
    let (mut sum, mut piece) = (0, [0; READ]);
    let mut read = || {
        let count = STDIN.read(&mut piece)?;
        sum += piece.iter().take(count).map(|byte| u64::from(*byte)).sum::<u64>();
        Ok::<usize, ServiceError>(count)
    };
    for line in 1..=LINES {
        read()?;
        clock::sleep(PAUSE)?;
        if DEADLY.contains(&line) {
            danger(always)?;
        }
        println!("line {line}");
    }
    while read()? > 0 {}
    if let Some(sleeper) = sleeper {
        sleeper.join().map_err(ServiceError::Ipc)??;
    }
    Ok(sum)
}

/// Sleeps by one call, which is not put again where its connection breaks.
fn sleep() -> Result<(), ServiceError> {
    static CLOCK: Service = Service::new("clock");
    let request = ClockRequest::Sleep { until: clock::now()? + SLEEP };
    let request = postcard::to_allocvec(&request).map_err(|_| ServiceError::Garbled)?;
    let received = ipc::call(CLOCK.port()?, &request, &[], &mut [0; 16], &[]);
    received.map(drop).map_err(ServiceError::Ipc)
}

/// Waits, and dies.
#[inline(never)]
fn danger(always: bool) -> Result<(), ServiceError> {
    let since = clock::now()?;
    clock::sleep_until(since + WAIT)?;
    if always {
        // SAFETY: it has no effect but an exception.
        unsafe { asm!("ud2") };
    }
    let asked = clock::ticks();
    if clock::now()? < since + SOON {
        // Not if it was rolled back to a moment behind its question for the time: that would be its end again and again.
        exception::die_within(asked, AT_ONCE);
    }
    Ok(())
}
