//! Measures the kernel, as the first program: nothing else runs. One row after the other goes to the early console; the
//! host turns them into a table (`./flob bench kernel`).
//!
//! Arguments: `hostile` to try to make the kernel long instead; `counting` if the kernel under it counts what instructions do not weigh; `only=BEGINNING` for the rows whose
//! names begin so, `only=NAME$` for one row.
#![no_std]
#![no_main]

extern crate alloc;

mod arrears;
mod counters;
mod hostile;
mod report;
mod rows;
mod timed;
mod world;

use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use flob_runtime::abi::Status;
use flob_runtime::{call, program, start};

use world::NORMAL;

program!(main);

fn main(arguments: Vec<String>) -> i32 {
    report::COUNTING.store(arguments.iter().any(|argument| argument == "counting"), Ordering::Relaxed);
    report::HOSTILE.store(arguments.iter().any(|argument| argument == "hostile"), Ordering::Relaxed);
    if let Some(wanted) = arguments.iter().find_map(|argument| argument.strip_prefix("only=")) {
        report::WANTED.lock().push_str(wanted);
    }
    // The measuring thread is no higher than the middle, so that others can interrupt it.
    match world::thread(start::space(), NORMAL, measure, 0) {
        Ok(_) => start::forever(),
        Err(_) => 1,
    }
}

extern "C" fn measure(_: u64) -> ! {
    timed::calibrate();
    let ended = if report::HOSTILE.load(Ordering::Relaxed) { hostile::attack() } else { rows() };
    if let Err(status) = ended {
        report::line(&alloc::format!("failed: {}", status.text()));
    }
    report::line("end");
    call::machine_exit(u8::from(ended.is_err()));
    start::forever()
}

fn rows() -> Result<(), Status> {
    rows::calls::measure()?;
    rows::switch::measure()?;
    rows::rpc::measure()?;
    rows::faults::measure()?;
    rows::state::measure()?;
    rows::restart::measure()?;
    rows::nesting::measure()?;
    if report::COUNTING.load(Ordering::Relaxed) {
        counters::Counters::read().report_longest("bench");
    }
    Ok(())
}
