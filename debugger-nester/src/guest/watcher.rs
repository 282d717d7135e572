//! Finding out that the child stands still: the watcher (a [`super::caller`]) runs at the lowest priority of all, so once it is let
//! go it runs exactly when nothing else can. It calls the warden.

use flob_link::Event;

use super::state::{Nester, State};
use super::{lazy, step};

/// What is known of the child's standing still.
#[derive(Default)]
pub struct Watch {
    /// The child was let go on since the watcher was last heard: what it saw may be from before.
    stirred: bool,
    /// The host knows of this standstill.
    told: bool,
}

/// The child goes on: when it stands still again, that is news.
pub fn stirred(state: &mut State) {
    state.watch.told = false;
    look_again(state);
}

/// The child goes on as it was before: if it stood still, that is no news.
pub fn look_again(state: &mut State) {
    state.watch.stirred = true;
    state.own.watcher.start();
}

/// The warden's thread.
pub fn guard(nester: &Nester) {
    let mut state = nester.lock();
    loop {
        state = nester.idle.wait(state);
        if core::mem::take(&mut state.watch.stirred) {
            // If the child really stands still, the watcher calls again at once.
            continue;
        }
        state.own.watcher.rest();
        let _ = step::child_is_idle(nester, &mut state);
        // A step that was ended just now has let the others go.
        if !state.own.watcher.is_on() && !state.watch.told && stands_still(&state) {
            state.watch.told = true;
            state.tell(nester, Event::StandsStill);
        }
    }
}

/// Whether the child can go on by nothing but its own doing: nobody holds a part of it, and it waits for nothing outside.
fn stands_still(state: &State) -> bool {
    let is_whole = state.held.is_empty() && state.exit.is_none() && !step::is_on(state);
    let is_alone = state.save.is_none() && state.search.is_none() && state.restore.is_none();
    let is_supplied = !lazy::is_awaited(state);
    let is_unanswered = state.parked.is_empty() && state.ready.is_empty() && state.halves.is_empty();
    is_whole
        && is_alone
        && is_supplied
        && is_unanswered
        && !state.carriers.are_delivering()
        && state.torture.is_none()
}
