//! What the region of the environment denies. While a save is on that is writing, while pages are missing everything; what is watched by
//! its pages denies as much as it takes ([`page_watch`]); else nothing, and the region has no keeper: what it lacks is the child's own
//! business. This is the one place where rights are taken from pages, for whoever wants it, so that nobody gives back what another has
//! taken. How a denial is lifted: [`flob_checkpointer::denial`].

use flob_abi::{PAGE_SIZE, Protection, Status};
use flob_checkpointer::denial::{self, Denied};
use flob_runtime::nester::Environment;

use super::state::{Nester, State};
use super::{copying, lazy, page_watch, page_watch::Verdict};

/// Asked about memory that may not be accessed now.
pub const REGION: &str = flob_image::tags::REGION;
/// Threads that answer: so many pages are waited for at once, whoever else wants one waits for one of these.
pub const KEEPERS: usize = 4;

/// Makes the region deny what is to be denied as things are.
pub fn update(nester: &Nester, state: &State) -> Result<(), Status> {
    set(nester, &state.environment, protection(state))
}

/// What is allowed as things are.
pub fn protection(state: &State) -> Protection {
    let saved = match (lazy::is_on(state), &state.copying) {
        (true, _) => Protection::NONE,
        (false, Some(_)) => Protection::READ_EXECUTE,
        (false, None) => Protection::ALL,
    };
    saved.and(page_watch::protection(state))
}

/// An environment that has no child any more denies nothing.
pub fn end(nester: &Nester, environment: &Environment) -> Result<(), Status> {
    set(nester, environment, Protection::ALL)
}

fn set(nester: &Nester, environment: &Environment, protection: Protection) -> Result<(), Status> {
    let keeper = nester.denials.reference(REGION).filter(|_| protection != Protection::ALL);
    environment.guard(protection, keeper)
}

/// A keeper's thread.
pub fn serve(nester: &Nester) {
    denial::serve(&nester.denials, |denied| answer(nester, denied));
}

/// Nobody denies anew, or anything else, as long as the lock is held.
fn answer(nester: &Nester, denied: &Denied) {
    let page = denied.page;
    let mut state = nester.lock();
    let environment = state.replaced;
    while lazy::is_missing(&state, page) {
        lazy::await_page(nester, &mut state, page);
        state = nester.arrived.wait(state);
        if state.replaced != environment {
            return;
        }
        lazy::await_no_more(&mut state, page);
    }
    if let Some(Verdict::Taken) = page_watch::denied(nester, &mut state, denied) {
        return;
    }
    // What was denied may be allowed by now.
    if let Some(access) = granted(&mut state, denied) {
        denied.lift(state.environment.memory(), access);
    }
}

fn granted(state: &mut State, denied: &Denied) -> Option<Protection> {
    if protection(state).allows(denied.access) {
        return None;
    }
    if !denied.is_write() {
        return Some(denied.access);
    }
    let place = denied.page * PAGE_SIZE;
    copying::about_to_change(state, place, PAGE_SIZE);
    lazy::about_to_write(state, place, PAGE_SIZE);
    Some(denied.access.or(Protection::READ_WRITE))
}
