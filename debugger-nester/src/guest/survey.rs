//! What is to be saved: the pages that are used or, where only changes are wanted, those that were written.

use alloc::vec::Vec;

use flob_abi::PAGE_SIZE;
use flob_link::{Reply, Run};

use super::failure::{Outcome, refused};
use super::state::State;
use super::{copying, lazy, sending};

/// Pages that are read in one survey: meanwhile nothing else is answered.
const MOST_READ: u32 = 2048;
/// Runs that an answer has room for.
const MOST_RUNS: usize = 1000;

/// `SaveSurvey`.
pub fn survey(state: &State, from: u64) -> Outcome<Reply> {
    copying::check_on(state)?;
    let end = state.environment.size() / PAGE_SIZE;
    let mut found = Found { is_whole: !copying::only_changes(state), ..Found::default() };
    let mut next = from.min(end);
    while next < end && found.has_room() {
        let changed = copying::next_changed(state, next..end).map_err(refused)?;
        let changed = changed.unwrap_or(end..end);
        next = changed.start;
        for page in changed {
            if !found.has_room() {
                break;
            }
            found.look_at(state, page);
            next = page + 1;
        }
    }
    let Found { used, zero, missing, .. } = found;
    Ok(Reply::Survey { used, zero, missing, next })
}

#[derive(Default)]
struct Found {
    /// What is zero is not told.
    is_whole: bool,
    used: Vec<Run>,
    zero: Vec<Run>,
    missing: Vec<Run>,
    read: u32,
}

impl Found {
    fn has_room(&self) -> bool {
        self.read < MOST_READ && self.used.len() + self.zero.len() + self.missing.len() < MOST_RUNS
    }

    fn look_at(&mut self, state: &State, page: u64) {
        if lazy::is_missing(state, page) {
            // Where only changes are wanted: there is none in a page that has not come.
            if self.is_whole {
                append(&mut self.missing, page);
            }
            return;
        }
        // It was written only after the moment of the save.
        let Some(memory) = sending::memory_of(state, page) else { return };
        self.read += 1;
        if !memory.is_page_zero(page) {
            append(&mut self.used, page);
        } else if !self.is_whole {
            append(&mut self.zero, page);
        }
    }
}

/// Adds a page; one that follows the last makes that run longer.
pub fn append(runs: &mut Vec<Run>, page: u64) {
    match runs.last_mut() {
        Some(run) if run.first + u64::from(run.count) == page => run.count += 1,
        _ => runs.push(Run { first: page, count: 1 }),
    }
}
