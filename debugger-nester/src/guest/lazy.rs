//! A restore whose child runs before all of its memory is there. Missing pages are denied at the region, as all others are
//! meanwhile: whoever touches one waits at the keeper ([`super::denial`]), which asks the host for it. A page is missing until
//! it has come whole; nothing reads it before, neither the child nor this program.
//!
//! What the child writes meanwhile is noted page by page: the kernel cannot tell it from what the host's pages write. So an
//! incremental save need not send what has only come.

use alloc::vec::Vec;

use flob_abi::{PAGE_SIZE, Status};
use flob_checkpointer::pages::PageSet;
use flob_image::Place;
use flob_link::{Event, FailureKind, MAX_ZERO_PAGES, Reply, Run, pack::unpack};
use flob_runtime::call;

use super::failure::{Outcome, failure, refused};
use super::state::{Nester, State};
use super::{denial, sending, survey, watcher};

/// Since a lazy restore, until the next restore.
pub struct Lazy {
    /// Pages that have not come.
    missing: PageSet,
    left: u64,
    /// What has not come is zero already.
    is_clear: bool,
    /// Pages for which threads wait at the keeper, one for each of them.
    awaited: Vec<u64>,
    /// The epoch of the restore.
    begun: u64,
    /// Pages that were written while others were missing.
    written: PageSet,
    /// The epoch since which the kernel knows what is written.
    whole_since: Option<u64>,
}

impl Lazy {
    /// Of an environment whose pages in `missing` have not come.
    pub fn new(missing: PageSet, is_clear: bool, pages: u64, begun: u64) -> Self {
        let left = missing.count();
        let (awaited, written) = (Vec::new(), PageSet::new(pages));
        Self { missing, left, is_clear, awaited, begun, written, whole_since: None }
    }
}

/// Whether pages are missing.
pub fn is_on(state: &State) -> bool {
    state.lazy.as_ref().is_some_and(|lazy| lazy.left > 0)
}

/// How many pages are missing.
pub fn missing(state: &State) -> u64 {
    state.lazy.as_ref().map_or(0, |lazy| lazy.left)
}

/// Whether this page is missing.
pub fn is_missing(state: &State, page: u64) -> bool {
    state.lazy.as_ref().is_some_and(|lazy| lazy.left > 0 && lazy.missing.contains(page))
}

/// Whether a thread of the child waits for a page.
pub fn is_awaited(state: &State) -> bool {
    state.lazy.as_ref().is_some_and(|lazy| !lazy.awaited.is_empty())
}

/// The missing ones among the pages of these pieces.
pub fn missing_of(state: &State, pieces: &[(Place, u64)]) -> Vec<Run> {
    let mut runs = Vec::new();
    for (place, bytes) in pieces.iter().filter(|(_, bytes)| *bytes > 0) {
        let last = place.saturating_add(bytes - 1) / PAGE_SIZE;
        for page in (place / PAGE_SIZE..=last).filter(|page| is_missing(state, *page)) {
            survey::append(&mut runs, page);
        }
    }
    runs
}

/// A thread begins to wait for a missing page: the host hears of it.
pub fn await_page(nester: &Nester, state: &mut State, page: u64) {
    let environment = state.replaced;
    let Some(lazy) = &mut state.lazy else { return };
    let is_known = lazy.awaited.contains(&page);
    lazy.awaited.push(page);
    if !is_known {
        state.tell(nester, Event::PageWanted { environment, page });
    }
}

/// It waits no longer.
pub fn await_no_more(state: &mut State, page: u64) {
    let Some(lazy) = &mut state.lazy else { return };
    if let Some(at) = lazy.awaited.iter().position(|awaited| *awaited == page) {
        lazy.awaited.swap_remove(at);
    }
}

/// This memory is about to be written, as far as it is there.
pub fn about_to_write(state: &mut State, place: Place, bytes: u64) {
    let Some(lazy) = state.lazy.as_mut().filter(|lazy| lazy.whole_since.is_none()) else { return };
    let last = place.saturating_add(bytes.saturating_sub(1)) / PAGE_SIZE;
    for page in place / PAGE_SIZE..=last {
        lazy.written.insert(page);
    }
}

/// What was written since an epoch, if that is the restore's: these pages, and what the kernel knows of since another epoch.
pub fn written_since(state: &State, epoch: u64) -> Option<(&PageSet, Option<u64>)> {
    let lazy = state.lazy.as_ref().filter(|lazy| lazy.begun == epoch)?;
    Some((&lazy.written, lazy.whole_since))
}

/// `Supply`.
pub fn supply(
    nester: &Nester,
    state: &mut State,
    (environment, runs): (u32, &[Run]),
    bulk: &[u8],
) -> Outcome<Reply> {
    check(state, environment, runs, state.capacity.to_guest)?;
    let (pages, rest) = bulk.as_chunks::<{ PAGE_SIZE as usize }>();
    if pages.len() != sending::numbers(runs).count() || !rest.is_empty() {
        return Err(failure(FailureKind::Invalid, "these are not the bytes of so many pages"));
    }
    for (page, bytes) in sending::numbers(runs).zip(pages) {
        if arrives(state, page) {
            let written = state.environment.memory().write(page * PAGE_SIZE, bytes);
            debug_assert!(written, "the runs were checked");
        }
    }
    arrived(nester, state)
}

/// `SupplyPacked`.
pub fn supply_packed(
    nester: &Nester,
    state: &mut State,
    (environment, runs): (u32, &[Run]),
    packed: &[u8],
) -> Outcome<Reply> {
    check(state, environment, runs, state.capacity.to_guest)?;
    let bulk = unpack(packed, sending::numbers(runs).count() * PAGE_SIZE as usize);
    let bulk = bulk.ok_or_else(|| failure(FailureKind::Invalid, "these are no packed pages"))?;
    supply(nester, state, (environment, runs), &bulk)
}

/// `SupplyZero`.
pub fn supply_zero(nester: &Nester, state: &mut State, environment: u32, runs: &[Run]) -> Outcome<Reply> {
    check(state, environment, runs, MAX_ZERO_PAGES)?;
    let is_clear = state.lazy.as_ref().is_some_and(|lazy| lazy.is_clear);
    for page in sending::numbers(runs) {
        if arrives(state, page) && !is_clear {
            state.environment.memory().clear_page(page);
        }
    }
    arrived(nester, state)
}

fn check(state: &State, environment: u32, runs: &[Run], most: u32) -> Outcome<()> {
    if environment != state.replaced {
        return Err(failure(FailureKind::State, "another environment is here now"));
    }
    sending::check_runs(runs, most, state.environment.size())
}

/// Whether a page that comes is one that was missing. It is there from now on, so it must be filled at once.
fn arrives(state: &mut State, page: u64) -> bool {
    let Some(lazy) = &mut state.lazy else { return false };
    let was_missing = lazy.missing.remove(page);
    lazy.left -= u64::from(was_missing);
    was_missing
}

/// Something has come: who waits for it goes on.
fn arrived(nester: &Nester, state: &mut State) -> Outcome<Reply> {
    become_whole(nester, state).map_err(refused)?;
    nester.arrived.broadcast();
    watcher::look_again(state);
    Ok(Reply::Done)
}

/// Once nothing is missing any more nothing needs to be denied, and the kernel's word on what is written is enough.
pub fn become_whole(nester: &Nester, state: &mut State) -> Result<(), Status> {
    let Some(lazy) = &mut state.lazy else { return Ok(()) };
    if lazy.left > 0 || lazy.whole_since.is_some() {
        return Ok(());
    }
    lazy.whole_since = Some(call::epoch_begin()?);
    denial::update(nester, state)
}
