//! Threads that add to a number under a mutex, with all the time in the world between reading and writing it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint::black_box;

use flob_runtime::abi::Status;
use flob_runtime::sync::Lock;
use flob_runtime::thread;

use crate::Round;
use crate::options::Options;
use flob_program_shared::{Failure, mix};

pub fn prepare(_: &Options) -> Result<Round, Failure> {
    Ok(Box::new(|random| {
        let sum = Arc::new(Lock::new(0_u64));
        let (seed, turns) = (random.word(), 40 + random.below(80));
        let adders: Vec<_> = (0..2 + random.below(3))
            .map(|number| {
                let sum = Arc::clone(&sum);
                thread::spawn(move || (0..turns).for_each(|turn| add(&sum, mix(seed ^ number, turn))))
            })
            .collect::<Result<_, Status>>()?;
        adders.into_iter().try_for_each(thread::JoinHandle::join)?;
        let total = *sum.lock();
        Ok(total)
    }))
}

fn add(sum: &Lock<u64>, term: u64) {
    // A thread that would not wait does not always.
    let mut sum = sum.try_lock().unwrap_or_else(|| sum.lock());
    let before = *sum;
    for _ in 0..term % 64 {
        black_box(before);
    }
    *sum = black_box(before).wrapping_add(term);
}
