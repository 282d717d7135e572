//! Finding out that the child stands still: the watcher runs at the lowest priority of all, so once it is let go it runs
//! exactly when nothing else can. It holds no lock, ever, so nobody can be made to wait for it.

use super::state::Nester;
use super::step;

/// The watcher's thread: calls the warden, who stops it.
pub fn watch(nester: &Nester) {
    loop {
        nester.idle.signal();
    }
}

/// The warden's thread.
pub fn guard(nester: &Nester) {
    let mut state = nester.lock();
    loop {
        state = nester.idle.wait(state);
        // Neither can fail: the watcher is ours.
        let _ = state.own.watcher.stop();
        let _ = step::child_is_idle(nester, &mut state);
    }
}
