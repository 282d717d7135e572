//! Memory that changes in a known order: `scribble MIB [--rounds N] [--every N] [--die MS]`.
//!
//! Each page begins with a counter; the rest is noise of its own that never changes. A round raises the counters one after the
//! other, from the first page to the last. So at any moment the pages up to some place are one ahead of all others: a
//! memory that was put together from two moments shows. Each round looks before it writes, and the end looks at everything.
//!
//! `--every N` writes only every Nth page. Without `--rounds` it never ends. With `--die` it dies of a read of address 0 behind
//! each round that ends in the first tenth of so many milliseconds, but for the first of them: so it lives on if whoever rolls it
//! back takes a checkpoint in the other nine.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::string::String;
use alloc::{vec, vec::Vec};

use flob_runtime::service::clock;
use flob_runtime::{eprintln, exception, println, program};

program!(main);

const PAGE: usize = 512;
const PAGES_OF_MIB: usize = 256;

struct Options {
    pages: usize,
    rounds: Option<u64>,
    every: usize,
    /// In nanoseconds.
    die: Option<u64>,
}

fn options(arguments: &[String]) -> Option<Options> {
    let (size, mut rest) = arguments.split_first()?;
    let mut options = Options {
        pages: size.parse::<usize>().ok()?.checked_mul(PAGES_OF_MIB)?,
        rounds: None,
        every: 1,
        die: None,
    };
    while let [name, value, behind @ ..] = rest {
        match name.as_str() {
            "--rounds" => options.rounds = Some(value.parse().ok()?),
            "--every" => options.every = value.parse().ok().filter(|every| *every > 0)?,
            "--die" => {
                let period = value.parse::<u64>().ok()?.checked_mul(1_000_000)?;
                options.die = Some(period).filter(|period| *period > 0);
            }
            _ => return None,
        }
        rest = behind;
    }
    rest.is_empty().then_some(options)
}

fn main(arguments: Vec<String>) -> i32 {
    let Some(options) = options(arguments.get(1..).unwrap_or_default()) else {
        eprintln!("usage: scribble MIB [--rounds N] [--every N] [--die MS]");
        return 2;
    };
    // A page more, so that pages of ours are pages of the machine.
    let mut words = vec![0_u64; (options.pages + 1) * PAGE];
    let start = words.as_ptr().align_offset(PAGE * size_of::<u64>());
    let pages = words.get_mut(start..start + options.pages * PAGE).unwrap_or_default();
    for (number, page) in pages.chunks_exact_mut(PAGE).enumerate() {
        fill(number as u64, page);
    }
    println!("ready");
    let began = clock::now().unwrap_or(0);
    let mut round = 0;
    while options.rounds.is_none_or(|rounds| round < rounds) {
        if let Err(page) = scribble(pages, options.every, round) {
            eprintln!("page {page} is not of round {round}");
            return 1;
        }
        round += 1;
        if let Some(period) = options.die {
            danger(began, period);
        }
    }
    match check(pages, options.every, round) {
        Ok(()) => println!("{round} rounds over {} pages", options.pages),
        Err(page) => {
            eprintln!("page {page} is not what was written");
            return 1;
        }
    }
    0
}

/// Ticks in which the clock tells the time at the latest, and in which nobody is rolled back.
const SOON: u64 = 5_000_000;

/// Dies at times. Not if it was rolled back to a moment behind its question for the time: that would be its end again and again.
fn danger(began: u64, period: u64) {
    let asked = clock::ticks();
    let age = clock::now().unwrap_or(0).saturating_sub(began);
    if age > period && age % period < period / 10 {
        exception::die_within(asked, SOON);
    }
}

/// One round; the first page whose counter is not that of the round before.
fn scribble(pages: &mut [u64], every: usize, round: u64) -> Result<(), usize> {
    for (number, page) in pages.chunks_exact_mut(PAGE).enumerate().step_by(every) {
        match page.first_mut() {
            Some(counter) if *counter == round => *counter += 1,
            _ => return Err(number),
        }
    }
    Ok(())
}

fn check(pages: &[u64], every: usize, rounds: u64) -> Result<(), usize> {
    for (number, page) in pages.chunks_exact(PAGE).enumerate() {
        let counter = if number.is_multiple_of(every) { rounds } else { 0 };
        let mut noise = Noise::of(number as u64);
        let (first, rest) = page.split_first().ok_or(number)?;
        if *first != counter || rest.iter().any(|word| *word != noise.next()) {
            return Err(number);
        }
    }
    Ok(())
}

fn fill(number: u64, page: &mut [u64]) {
    let mut noise = Noise::of(number);
    if let Some((_, rest)) = page.split_first_mut() {
        rest.iter_mut().for_each(|word| *word = noise.next());
    }
}

/// A sequence that no compressor makes smaller (xorshift), another one for each page.
struct Noise(u64);

impl Noise {
    const fn of(page: u64) -> Self {
        Self((page + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    const fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
