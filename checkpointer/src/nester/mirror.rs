//! The memory of the last good checkpoint: as large as the child's, and brought up to date by the pages that were written
//! since. So a checkpoint takes as long as the child has written, not as long as its memory is.

use alloc::{vec, vec::Vec};

use flob_abi::{PAGE_SIZE, Status, call::Dirty};
use flob_runtime::{
    call,
    nester::{ChildMemory, Environment},
};

/// Runs of pages that one round of the search has room for.
const ROUND: usize = 128;

pub struct Mirror {
    memory: ChildMemory,
    /// The epoch at whose beginning it was as the child's memory.
    since: u64,
}

impl Mirror {
    /// For a child that has not been mirrored yet.
    pub const fn new(memory: ChildMemory) -> Self {
        Self { memory, since: 0 }
    }

    /// Brings it up to date with a child that stands still; how many pages were copied.
    pub fn update(&mut self, environment: &Environment) -> Result<u64, Status> {
        let epoch = call::epoch_begin()?;
        let mut found = vec![Dirty::default(); ROUND];
        let (mut offset, mut left, mut runs) = (0, environment.size(), Vec::new());
        while left > 0 {
            let round = environment.region().dirty(offset, left, &mut found, self.since)?;
            let progress = round.count > 0 || round.size < left;
            (offset, left) = (round.offset, round.size);
            runs.extend(found.iter().take(round.count).map(|run| (run.offset, run.size)));
            if !progress {
                return Err(Status::InvalidState);
            }
        }
        // Nothing fails from here on: it is never half of one checkpoint and half of another.
        let mut copied = 0;
        let mut page = vec![0; PAGE_SIZE as usize];
        for (offset, size) in runs {
            for number in offset / PAGE_SIZE..(offset + size).div_ceil(PAGE_SIZE) {
                copied += u64::from(copy(environment.memory(), &self.memory, number, &mut page));
            }
        }
        self.since = epoch;
        Ok(copied)
    }

    /// Makes empty memory as this is.
    pub fn put_back(&self, environment: &Environment) {
        let mut page = vec![0; PAGE_SIZE as usize];
        for number in 0..self.memory.size() / PAGE_SIZE {
            copy(&self.memory, environment.memory(), number, &mut page);
        }
    }
}

/// Copies a page, unless it is empty here and there; whether it was.
fn copy(from: &ChildMemory, to: &ChildMemory, number: u64, page: &mut [u8]) -> bool {
    if from.is_page_zero(number) && to.is_page_zero(number) {
        return false;
    }
    let copied = from.read(number * PAGE_SIZE, page) && to.write(number * PAGE_SIZE, page);
    debug_assert!(copied, "both are of one size");
    copied
}
