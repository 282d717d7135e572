//! Computing with nothing but registers, general ones and vectors: what a save must carry of a thread that no call holds.

use alloc::boxed::Box;
use core::hint::black_box;

use crate::Round;
use crate::options::Options;
use flob_program_shared::{Failure, mix};

/// Steps of a round, at most.
const STEPS: u64 = 60_000;

pub fn prepare(_: &Options) -> Result<Round, Failure> {
    Ok(Box::new(|random| {
        let mut word = random.word();
        let mut numbers = [1.0_f64, 0.5, 0.25, 0.125];
        for step in 0..STEPS / 2 + random.below(STEPS / 2) {
            word = mix(word, step);
            for (index, number) in numbers.iter_mut().enumerate() {
                // Exact: the same on every machine.
                *number = black_box(*number) * 0.75 + (word >> (index * 16) & 0xffff) as f64;
            }
        }
        Ok(numbers.iter().fold(word, |sum, number| mix(sum, number.to_bits())))
    }))
}
