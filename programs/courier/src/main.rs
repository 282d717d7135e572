//! A long transfer over page faults that a slow keeper serves, in one call; its two ends are destroyed and made anew in the middle of it,
//! over and over: what was called "Mach's old problem", a thread whose long operation could be neither finished nor taken out.
//!
//! `courier [--pages N] [--pace MS] [--hold] [--input] [--sleeper] [--chain] [--output]`. Every page of both buffers is denied when it is first touched; the keeper fills it, or not, takes its time
//! (`--pace`) and lifts the denial. Each time that it has taken a new request, and before it answers that, the main thread takes both ends out: state and links
//! of each, then both are gone, then both are there again. The receiver must get each byte once, in order. With `--hold`
//! the keeper stops half way at a mutex, `GATE`, until somebody from outside opens that. With `--input` the bytes are those of standard
//! input, which the parent sends, and only the receiver is here ([`input`]); with `--sleeper` there is another thread, whose sleep is over
//! before, and it is that answer which is held; with `--chain` too the reply of a read is held until that answer has come. With `--output` the bytes go to standard output, and only the sender is here ([`output`]);
//! with `--chain` too there are two, and what the first one sends is held until what the second one sends has come.
#![no_std]
#![no_main]

extern crate alloc;

mod input;
mod keeper;
mod operation;
mod output;
mod pages;

use alloc::string::String;
use alloc::vec::Vec;

use flob_program_shared::{Desk, Failure, expect};
use flob_runtime::abi::Status;
use flob_runtime::call::Transfer;
use flob_runtime::flob::Mutex;
use flob_runtime::{eprintln, named, println, program, thread};

use keeper::{Hold, Keeper};
use operation::Patients;
use pages::Pages;

program!(main);

/// Where the keeper stops half way, if it is told to: locked until somebody sets it free.
static GATE: Mutex = Mutex::new();

struct Options {
    pages: u64,
    pace: u64,
    hold: Option<Hold>,
    input: bool,
    sleeper: bool,
    chain: bool,
    output: bool,
}

fn parse(arguments: &[String]) -> Option<Options> {
    let mut options =
        Options { pages: 32, pace: 0, hold: None, input: false, sleeper: false, chain: false, output: false };
    let mut hold = false;
    let mut words = arguments.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "--pages" => {
                options.pages = words.next()?.parse().ok().filter(|pages| (1..=1024).contains(pages))?
            }
            "--pace" => options.pace = words.next()?.parse().ok()?,
            "--hold" => hold = true,
            "--input" => options.input = true,
            "--sleeper" => options.sleeper = true,
            "--chain" => options.chain = true,
            "--output" => options.output = true,
            _ => return None,
        }
    }
    // Both buffers have come to their middles; or the second page of one is touched: the first one's, unless input is to arrive in the other.
    let half = match (options.input, options.output || options.sleeper) {
        _ if options.chain && options.output => Hold::Chain { first: options.pages + 1, then: 1 },
        _ if options.chain => Hold::Chain { first: 1, then: options.pages + 1 },
        (_, true) => Hold::Page(1),
        (true, _) => Hold::Page(options.pages + 1),
        _ => Hold::Request(options.pages),
    };
    options.hold = hold.then_some(half);
    Some(options)
}

fn main(arguments: Vec<String>) -> i32 {
    let Some(options) = parse(arguments.get(1..).unwrap_or_default()) else {
        eprintln!(
            "usage: courier [--pages 1..1024] [--pace MS] [--hold] [--input [--sleeper [--chain]] | --output [--chain]]"
        );
        return 2;
    };
    let done = if options.output {
        output::write(&options)
    } else if options.input {
        input::read(&options).map(|(bytes, sum)| println!("{bytes} bytes of input, their sum {sum}"))
    } else {
        carry(&options).map(|operated| {
            println!(
                "{} pages: every byte once, in order; both ends made anew {operated} times in the middle",
                options.pages
            );
        })
    };
    match done {
        Ok(()) => 0,
        Err(failure) => {
            eprintln!("courier: {failure:?}");
            1
        }
    }
}

/// The transfer; how often both ends were made anew in the middle of it.
fn carry(options: &Options) -> Result<u64, Failure> {
    let (desk, faults) = (Desk::new(1)?, Desk::new(2)?);
    let pages = Pages::new(options.pages, faults.port)?;
    let keeper = Keeper::start(faults.set, pages, options)?;
    let receiver = thread::spawn(move || {
        let outcome =
            named::wait_receive(desk.set, Transfer { receive: pages.arriving(), ..Transfer::default() });
        keeper.is_over();
        outcome
    })?;
    let sender = thread::spawn(move || {
        let sent =
            named::client_connect_send(desk.port, Transfer { send: pages.leaving(), ..Transfer::default() });
        named::client_disconnect(Transfer::default());
        sent
    })?;
    let mut patients = Patients::new(sender.flob(), receiver.flob(), pages.bytes())?;
    let mut operated = 0;
    while keeper.next_moment() {
        operated += u64::from(patients.operate()?);
    }
    let (sent, received) = (sender.join()?, receiver.join()?);
    expect("status of the sender", sent.status as u64, 0)?;
    expect("bytes not sent", sent.unsent as u64, 0)?;
    expect("status of the receiver", received.status as u64, Status::ReceiveDisconnected as u64)?;
    expect("bytes received", received.received as u64, pages.bytes())?;
    pages.check()?;
    Ok(operated)
}
