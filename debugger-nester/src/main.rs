//! The debugger nester: runs a program as its child, transparently, and answers the link.
//!
//! ```text
//! debugger-nester [--paused] [--restore] [--torture=SIZE,SEED] PROGRAM [ARGUMENT…]
//!     --paused   the program is stopped before its first instruction
//!     --restore  no program is started: the host will send an image
//!     --torture  for tests: everything, or a thread, is taken out of the kernel and put back again and again
//! ```
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{string::String, vec::Vec};

use flob_debugger_nester::guest::{self, Parent};
use flob_runtime::{eprintln, program, start};

program!(main);

fn main(arguments: Vec<String>) -> i32 {
    match guest::run(&Parent, arguments) {
        Ok(()) => start::forever(),
        Err(message) => {
            eprintln!("debugger-nester: {message}");
            1
        }
    }
}
