//! The checkpointer as a nester by itself: runs a program as its child, saves it again and again, and rolls it back to the
//! last good checkpoint when it dies of an exception.
//!
//! ```text
//! checkpointer [--every=MS] [--limit=N] PROGRAM [ARGUMENT…]
//!     --every  milliseconds between two checkpoints (1000)
//!     --limit  how often it rolls back before it gives up (3)
//! ```
//!
//! Its child may be a nester again, `checkpointer` too, and so may its parent: it knows neither.
#![no_std]
#![no_main]

extern crate alloc;

mod nester;

use alloc::{string::String, vec::Vec};

use flob_runtime::{eprintln, program, start};

program!(main);

fn main(arguments: Vec<String>) -> i32 {
    match nester::run(arguments) {
        Ok(()) => start::forever(),
        Err(message) => {
            eprintln!("checkpointer: {message}");
            1
        }
    }
}
