//! A host leaves, or comes to what another one has left: nothing of what was asked for lasts, but that threads are stopped.

use flob_link::{Reply, Tracing};

use super::failure::Outcome;
use super::state::{Nester, State};
use super::{catch, memory, restore, save, trace, watch};

/// `Detach`.
pub fn detach(nester: &Nester, state: &mut State) -> Outcome<Reply> {
    save::end(nester, state)?;
    state.until_stop.clear();
    restore::abandon(state)?;
    for (space, address) in state.breakpoints.all_wanted() {
        memory::clear_breakpoint(state, space, address)?;
    }
    for watch in watch::all(state) {
        watch::clear(nester, state, watch)?;
    }
    for space in catch::spaces(state) {
        catch::set(state, space, alloc::vec![])?;
    }
    trace::set(nester, state, Tracing::default())?;
    Ok(Reply::Threads(state.held.len() as u32))
}
