//! A save whose child runs on ([`flob_checkpointer::copying`]): copies go into the spare environment, to the same place. A page that
//! is as it was at an earlier save is not even copied, if only changes since then are wanted. How the denial is lifted:
//! [`super::denial`].

use core::ops::Range;

use flob_abi::{PAGE_SIZE, Status};
use flob_checkpointer::{
    Copying as Pages,
    copying::{Original, next_written},
};
use flob_image::Place;
use flob_link::{Failure, FailureKind};
use flob_runtime::nester::ChildMemory;

use super::failure::{Outcome, failure};
use super::state::{Nester, State};
use super::{denial, lazy};

pub use flob_checkpointer::copying::Source;

/// This part of the memory may be copied because it was written lately.
const LATELY_WRITTEN_PART: u64 = 32;

/// So often pages are sent before the child has its turn: 4 MiB, some 10 ms.
const SENT_BETWEEN_RESTS: u32 = 4;

/// What of the environment is to be kept as it was.
pub struct Copying {
    /// Only what was written since this epoch is wanted.
    since: Option<u64>,
    pages: Pages,
    /// How often pages have been sent.
    sent: u32,
    /// Threads that there were, if they were counted.
    threads: Option<usize>,
}

/// The environment's memory, of which all is wanted, or what was written since an epoch.
struct Memory<'a> {
    state: &'a State,
    since: Option<u64>,
}

impl Original for Memory<'_> {
    fn memory(&self) -> &ChildMemory {
        self.state.environment.memory()
    }

    fn copies(&self) -> &ChildMemory {
        self.state.spare.memory()
    }

    fn is_wanted(&self, page: u64) -> bool {
        next_wanted(self.state, page..page + 1, self.since) != Ok(None)
    }

    fn hide(&self, place: Place, bytes: &mut [u8]) {
        self.state.breakpoints.hide(place, bytes);
    }
}

/// From now on the environment's memory as it is now can be read by [`source`], whatever the child writes: all of it, or
/// what was written since an epoch. How many threads the child has may be known.
pub fn begin(
    nester: &Nester,
    state: &mut State,
    since: Option<u64>,
    threads: Option<usize>,
) -> Result<(), Status> {
    let pages = Pages::new(state.environment.size() / PAGE_SIZE);
    state.copying = Some(Copying { since, pages, sent: 0, threads });
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
pub fn source(state: &State, page: u64) -> Source {
    state.copying.as_ref().map_or(Source::Present, |copying| copying.pages.source(page))
}

/// Pages have been sent: whether the child, which is lower than the link, is to have its turn now. A host that always has asked for
/// more would leave it none. One that is held needs none.
pub fn is_to_rest(state: &mut State) -> bool {
    let Some(copying) = &mut state.copying else { return false };
    copying.sent = copying.sent.wrapping_add(1);
    copying.sent % SENT_BETWEEN_RESTS == 1 && copying.threads != Some(state.held.len())
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
    next_wanted(state, pages, state.copying.as_ref().and_then(|copying| copying.since))
}

fn next_wanted(state: &State, pages: Range<u64>, since: Option<u64>) -> Result<Option<Range<u64>>, Status> {
    let Some(since) = since else {
        if lazy::is_on(state) {
            return Ok((!pages.is_empty()).then_some(pages));
        }
        // To ask the kernel takes a small part of the time that it takes to look at a page.
        return next_written(&state.environment, pages, state.born);
    };
    let Some((written, epoch)) = lazy::written_since(state, since) else {
        return next_written(&state.environment, pages, since);
    };
    let noted = written.next(pages.start).filter(|page| pages.contains(page)).map(|page| page..page + 1);
    let known = epoch.map_or(Ok(None), |epoch| next_written(&state.environment, pages, epoch))?;
    Ok(noted.into_iter().chain(known).min_by_key(|found| found.start))
}

/// This memory is about to be changed: it is copied, as far as it is wanted and has not been.
pub fn about_to_change(state: &mut State, place: Place, bytes: u64) {
    with_pages(state, |pages, memory| pages.about_to_change(memory, place, bytes));
}

/// Where only changes are wanted, some are copied before they are sent: what was written lately is likely to be written
/// while it is on its way, and all that goes with it would have to go again.
pub fn about_to_be_sent(state: &mut State, numbers: impl Iterator<Item = u64>) {
    let most = state.environment.size() / PAGE_SIZE / LATELY_WRITTEN_PART;
    with_pages(state, |pages, memory| {
        let room = if memory.since.is_some() { most.saturating_sub(pages.count()) } else { 0 };
        for page in numbers.take(usize::try_from(room).unwrap_or(0)) {
            if pages.source(page) == Source::Present {
                pages.copy(memory, page);
            }
        }
    });
}

/// Does something with the pages of the save that is on, if there is one.
fn with_pages(state: &mut State, act: impl FnOnce(&mut Pages, &Memory<'_>)) {
    let Some(mut copying) = state.copying.take() else { return };
    let before = copying.pages.count();
    act(&mut copying.pages, &Memory { state, since: copying.since });
    state.spare_is_clear &= copying.pages.count() == before;
    state.copying = Some(copying);
}
