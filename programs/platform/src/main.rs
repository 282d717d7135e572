//! The first program: owns the devices and serves what all others are made of: console streams, clock, programs, and
//! datagrams to the host over the line. It starts the outermost nester and ends the machine with it: the debugger's in its own space,
//! any other as its child.
//!
//! Its arguments are the kernel's command line: the nester's name (`debugger-nester` if there is none) and that one's arguments.
//!
//! ```text
//! child ──▶ desk ── pool of server threads ──▶ parent, streams, clock, programs
//!                                         └──▶ host, bulk ──┐
//!                               debugger's nester ──────────┴──▶ channels ──▶ line ◀── driver thread ◀── interrupt
//! ```
#![no_std]
#![no_main]

extern crate alloc;

mod channels;
mod child;
mod dma;
mod end;
mod files;
mod io;
mod lent;
mod line;
mod pool;
mod resident;
mod service;
mod streams;
mod uart;

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use flob_abi::command_line;
use flob_runtime::{eprintln, program, start};

use child::Child;

program!(main);

fn main(arguments: Vec<String>) -> i32 {
    let mut stack: Vec<String> = arguments.iter().skip(1).map(|word| meant_by(word)).collect();
    if stack.is_empty() {
        stack.push(resident::NAME.to_string());
    }
    match run(&stack) {
        // The end comes with the child's own, in the thread that hears of it.
        Ok(()) => start::forever(),
        Err(message) => {
            eprintln!("platform: {message}");
            1
        }
    }
}

/// What a word of the machine's command line stands for: see [`command_line`].
fn meant_by(word: &str) -> String {
    let bytes: Vec<u8> = command_line::decode(word.as_bytes()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Starts services and child.
fn run(stack: &[String]) -> Result<(), String> {
    line::start()?;
    let desk = service::desk()?;
    if stack.first().is_some_and(|name| name == resident::NAME) {
        pool::start(desk)?;
        return resident::start(desk, stack.to_vec());
    }
    // Its flobs stay where they are.
    let child: &Child = Box::leak(Box::new(child::load(desk, stack)?));
    lent::by(child);
    pool::start(desk)?;
    child.start()
}
