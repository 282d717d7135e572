//! Pages on their way to the host, from where they lie.

use alloc::vec::Vec;

use flob_abi::{PAGE_SIZE, Sum};
use flob_link::{FailureKind, MAX_HASHED_PAGES, Reply, Run, pack::pack};
use flob_runtime::nester::ChildMemory;

use super::copying::{self, Source};
use super::failure::{Outcome, failure};
use super::lazy;
use super::state::State;

/// The memory in which a page is as it is to be saved, if it is in any.
pub fn memory_of(state: &State, page: u64) -> Option<&ChildMemory> {
    match copying::source(state, page) {
        Source::Present if lazy::is_missing(state, page) => None,
        Source::Present => Some(state.environment.memory()),
        Source::Copy => Some(state.spare.memory()),
        Source::Gone => None,
    }
}

/// `SavePages`: where they go as they are, they are read when the answer is sent.
pub fn pages(state: &State, runs: &[Run]) -> Outcome<Reply> {
    copying::check_on(state)?;
    check_runs(runs, state.capacity.to_host, state.environment.size())?;
    if numbers(runs).any(|page| lazy::is_missing(state, page)) {
        return Err(not_wanted());
    }
    if state.capacity.is_lossless {
        return Ok(Reply::Pages(Vec::new()));
    }
    let mut bytes = Vec::new();
    for page in numbers(runs) {
        bytes.extend_from_slice(&page_to_save(state, page).ok_or_else(not_wanted)?);
    }
    Ok(Reply::Packed(pack(&bytes)))
}

/// `SaveHashes`.
pub fn hashes(state: &State, runs: &[Run]) -> Outcome<Reply> {
    copying::check_on(state)?;
    check_runs(runs, MAX_HASHED_PAGES, state.environment.size())?;
    let mut hashes = Vec::new();
    for page in numbers(runs) {
        let bytes = page_to_save(state, page).ok_or_else(not_wanted)?;
        hashes.extend_from_slice(blake3::hash(&bytes).as_bytes());
    }
    Ok(Reply::Bytes(hashes))
}

fn not_wanted() -> flob_link::Failure {
    failure(FailureKind::NotFound, "such a page is not to be saved")
}

/// A page as it is to be saved.
fn page_to_save(state: &State, page: u64) -> Option<Vec<u8>> {
    let place = page.checked_mul(PAGE_SIZE)?;
    let mut bytes = alloc::vec![0; PAGE_SIZE as usize];
    memory_of(state, page)?.read(place, &mut bytes).then_some(())?;
    if copying::source(state, page) == Source::Present {
        state.breakpoints.hide(place, &mut bytes);
    }
    Some(bytes)
}

/// `Blank`.
pub fn blank(state: &State, pages: u32) -> Outcome<Reply> {
    if (1..=state.capacity.to_host).contains(&pages) {
        return Ok(Reply::Pages(Vec::new()));
    }
    Err(failure(FailureKind::Invalid, "too many pages at once, or none"))
}

/// Whether these pages are there, and no more than the line carries.
pub fn check_runs(runs: &[Run], most: u32, size: u64) -> Outcome<()> {
    let mut count = 0_u64;
    for run in runs {
        count += u64::from(run.count);
        let end = run.first.checked_add(run.count.into());
        if run.count == 0 || end.is_none_or(|end| end > size / PAGE_SIZE) {
            return Err(failure(FailureKind::NotFound, "there are no such pages"));
        }
    }
    if (1..=u64::from(most)).contains(&count) {
        Ok(())
    } else {
        Err(failure(FailureKind::Invalid, "too many pages at once, or none"))
    }
}

/// Pages that are ready to be sent.
pub struct Sendable {
    /// Address and bytes of each piece.
    pub places: Vec<(u64, u64)>,
    /// Over all of them.
    pub sum: u64,
    /// Pages that do not go as they are, because of breakpoints.
    _patched: Vec<Vec<u8>>,
    /// How many of the pages are copies of what the child has changed since.
    copies: usize,
}

/// Whether what was ready to be sent may have been changed before it was: whoever gets it finds that its sum is wrong.
pub fn has_changed(state: &State, runs: &[Run], sent: &Sendable) -> bool {
    let copies = numbers(runs).filter(|page| copying::source(state, *page) == Source::Copy).count();
    copies != sent.copies
}

/// The numbers of all pages of these runs.
pub fn numbers(runs: &[Run]) -> impl Iterator<Item = u64> {
    runs.iter().flat_map(|run| (run.first..).take(run.count as usize))
}

/// These pages as they are to be saved, from where they lie. `None` when no save is on that wants them.
pub fn sendable(state: &mut State, runs: &[Run]) -> Option<Sendable> {
    copying::check_on(state).ok()?;
    copying::about_to_be_sent(state, numbers(runs));
    let (mut places, mut patched, mut sum) = (Vec::new(), Vec::new(), Sum::new());
    let mut copies = 0;
    for page in numbers(runs) {
        let place = page.checked_mul(PAGE_SIZE)?;
        let (memory, source) = (memory_of(state, page)?, copying::source(state, page));
        if source == Source::Present && state.breakpoints.is_any_within(place, PAGE_SIZE) {
            let copy = page_to_save(state, page)?;
            sum.add_bytes(&copy);
            append(&mut places, copy.as_ptr().expose_provenance() as u64);
            patched.push(copy);
        } else {
            memory.add_page_to(page, &mut sum).then_some(())?;
            append(&mut places, memory.address(place));
        }
        copies += usize::from(source == Source::Copy);
    }
    Some(Sendable { places, sum: sum.value(), _patched: patched, copies })
}

/// Adds a page; one that follows the last makes that longer.
fn append(places: &mut Vec<(u64, u64)>, address: u64) {
    match places.last_mut() {
        Some((start, bytes)) if *start + *bytes == address => *bytes += PAGE_SIZE,
        _ => places.push((address, PAGE_SIZE)),
    }
}
