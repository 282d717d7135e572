//! A save whose child runs on: its pages are denied to be written at the region, and one that is about to be written is
//! copied first, into the spare environment at the same place. So what is read for the save is the memory as it was at the
//! moment of the save, however long that takes. A page that is as it was at an earlier save is not even copied, if only
//! changes since then are wanted. How the denial is lifted: [`super::denial`].

use alloc::{vec, vec::Vec};
use core::ops::Range;

use flob_abi::{PAGE_SIZE, Status, call::Dirty};
use flob_debugger_nester::pages::PageSet;
use flob_image::Place;
use flob_link::{Failure, FailureKind};

use super::failure::{Outcome, failure};
use super::state::{Nester, State};
use super::{denial, lazy};

/// This part of the memory may be copied because it was written lately.
const LATELY_WRITTEN_PART: u64 = 32;

/// What of the environment is to be kept as it was.
pub struct Copying {
    /// Only what was written since this epoch is wanted.
    since: Option<u64>,
    /// Pages that the child may have written since: as they were they are in the spare environment, or not wanted.
    settled: PageSet,
    /// Pages that have been copied.
    copied: PageSet,
}

/// From now on the environment's memory as it is now can be read by [`source`], whatever the child writes: all of it, or
/// what was written since an epoch.
pub fn begin(nester: &Nester, state: &mut State, since: Option<u64>) -> Result<(), Status> {
    let pages = state.environment.size() / PAGE_SIZE;
    let copying = Copying { since, settled: PageSet::new(pages), copied: PageSet::new(pages) };
    state.copying = Some(copying);
    denial::update(nester, state)
}

/// The child may write all it likes; the copies are dropped.
pub fn end(nester: &Nester, state: &mut State) -> Result<(), Status> {
    if state.copying.take().is_none() {
        return Ok(());
    }
    denial::update(nester, state)
}

/// Where a page is as it is to be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the environment.
    Present,
    /// In the spare environment: a copy.
    Copy,
    /// Nowhere in the guest: it was as at the earlier save, and is so no more.
    Earlier,
}

/// See [`Source`].
pub fn source(state: &State, page: u64) -> Source {
    match &state.copying {
        Some(copying) if copying.copied.contains(page) => Source::Copy,
        Some(copying) if copying.settled.contains(page) => Source::Earlier,
        _ => Source::Present,
    }
}

/// Whether a save is on.
pub fn check_on(state: &State) -> Outcome<()> {
    state.copying.as_ref().map(|_| ()).ok_or_else(no_save_is_on)
}

/// What is answered to who wants pages of a save that is over.
pub fn no_save_is_on() -> Failure {
    failure(FailureKind::State, "no save is on")
}

/// Whether only what was written since an epoch is wanted.
pub fn only_changes(state: &State) -> bool {
    state.copying.as_ref().is_some_and(|copying| copying.since.is_some())
}

/// The first pages in a row among these that were written since the epoch; if all are wanted, that may be anything but zero, or
/// missing.
pub fn next_changed(state: &State, pages: Range<u64>) -> Result<Option<Range<u64>>, Status> {
    let Some(since) = state.copying.as_ref().and_then(|copying| copying.since) else {
        if lazy::is_on(state) {
            return Ok((!pages.is_empty()).then_some(pages));
        }
        // To ask the kernel takes a small part of the time that it takes to look at a page.
        return next_written(state, pages, state.born);
    };
    let Some((written, epoch)) = lazy::written_since(state, since) else {
        return next_written(state, pages, since);
    };
    let noted = written.next(pages.start).filter(|page| pages.contains(page)).map(|page| page..page + 1);
    let known = epoch.map_or(Ok(None), |epoch| next_written(state, pages, epoch))?;
    Ok(noted.into_iter().chain(known).min_by_key(|found| found.start))
}

/// The first pages in a row among these of which the kernel knows that they were written since an epoch.
fn next_written(state: &State, pages: Range<u64>, since: u64) -> Result<Option<Range<u64>>, Status> {
    let (mut offset, mut left) = (pages.start * PAGE_SIZE, pages.count() as u64 * PAGE_SIZE);
    while left > 0 {
        let mut found = [Dirty::default()];
        let search = state.environment.region().dirty(offset, left, &mut found, since)?;
        let [found] = found;
        if search.count > 0 {
            let first = found.offset / PAGE_SIZE;
            return Ok(Some(first..first + found.size / PAGE_SIZE));
        }
        (offset, left) = (search.offset, search.size);
    }
    Ok(None)
}

/// Whether a page is wanted that was not written since the save began. One of which that cannot be found out is.
fn is_wanted(state: &State, page: u64) -> bool {
    next_changed(state, page..page + 1) != Ok(None)
}

/// This memory is about to be changed: it is copied, as far as it is wanted and has not been.
pub fn about_to_change(state: &mut State, place: Place, bytes: u64) {
    let last = place.saturating_add(bytes.saturating_sub(1)) / PAGE_SIZE;
    for page in place / PAGE_SIZE..=last {
        settle(state, page);
    }
}

/// Where only changes are wanted, some are copied before they are sent: what was written lately is likely to be written
/// while it is on its way, and all that goes with it would have to go again.
pub fn about_to_be_sent(state: &mut State, pages: impl Iterator<Item = u64>) {
    let Some(Copying { since: Some(_), copied, .. }) = &state.copying else { return };
    let most = state.environment.size() / PAGE_SIZE / LATELY_WRITTEN_PART;
    let room = usize::try_from(most.saturating_sub(copied.count())).unwrap_or(0);
    for page in pages.take(room) {
        if source(state, page) == Source::Present {
            copy(state, page);
        }
    }
}

fn settle(state: &mut State, page: u64) {
    let is_new = state.copying.as_mut().is_some_and(|copying| copying.settled.insert(page));
    if is_new && is_wanted(state, page) {
        copy(state, page);
    }
}

fn copy(state: &mut State, page: u64) {
    let mut bytes: Vec<u8> = vec![0; PAGE_SIZE as usize];
    let place = page * PAGE_SIZE;
    if state.environment.memory().read(place, &mut bytes) {
        // Breakpoints may come and go before it is saved.
        state.breakpoints.hide(place, &mut bytes);
        state.spare_is_clear = false;
        let copied = state.spare.memory().write(place, &bytes);
        debug_assert!(copied, "the spare environment is as large");
        if let Some(copying) = &mut state.copying {
            copying.settled.insert(page);
            copying.copied.insert(page);
        }
    }
}
