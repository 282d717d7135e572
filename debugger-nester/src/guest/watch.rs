//! Watchpoints and hardware breakpoints: arming the debug registers of all threads of a space, telling their exceptions from
//! the program's own, and hiding them from the record.
//!
//! A thread that is made later watches what its maker watches (`docs/kernel/thread_create.md`). What the program itself had
//! in its debug registers comes back when the last watch goes.

use alloc::{collections::BTreeMap, vec::Vec};

use crate::watches::{REGISTERS, Watches, is_armed, nothing};
use flob_abi::{DebugRegisters, Status, ThreadState, state::group};
use flob_image::Place;
use flob_link::{Access, FailureKind, Hit, Reply, Watch};
use flob_runtime::{
    flob::{Links, Thread},
    nester::Environment,
};

use super::adjustment::Adjustment;
use super::failure::{Outcome, failure, refused};
use super::page_watch;
use super::record::View;
use super::state::{Nester, State};
use super::threads::{Seen, seize, threads_of, translator, was_stopped};

/// DR6.B0 to B3: a watchpoint or hardware breakpoint.
pub const WATCHED: u32 = 0xf;

/// What is watched, and what the program itself had in the registers that were taken.
#[derive(Clone, Default)]
pub struct Watching {
    watches: Watches,
    own: BTreeMap<Place, DebugRegisters>,
    /// Where in memory is what the registers watch for writes.
    places: Vec<(Watch, Place)>,
}

/// `SetWatch`.
pub fn set(nester: &Nester, state: &mut State, watch: Watch) -> Outcome<Reply> {
    let end = watch.address.checked_add(watch.bytes.into());
    if watch.bytes == 0 || end.is_none_or(|end| end > flob_abi::memory::USER_END) {
        return Err(failure(FailureKind::Invalid, "there is no such memory to be watched"));
    }
    // The registers know no reads without writes.
    let is_for_pages = watch.access == Access::Read || page_watch::is_watched(state, &watch);
    if is_for_pages || state.watching.watches.set(watch).is_err() {
        if watch.access == Access::Execute {
            let text = alloc::format!(
                "the processor has {REGISTERS} hardware breakpoints: use software breakpoints"
            );
            return Err(failure(FailureKind::State, text));
        }
        return page_watch::set(nester, state, watch);
    }
    find_places(nester, state).map_err(refused)?;
    arm(state, watch.space).map_err(refused)?;
    Ok(Reply::Done)
}

fn find_places(nester: &Nester, state: &mut State) -> Result<(), Status> {
    state.watching.places.clear();
    let written: Vec<Watch> = state.watching.watches.all();
    let written = written.into_iter().filter(|watch| watch.access != Access::Execute);
    let mut written = written.peekable();
    if written.peek().is_some() {
        let translator = translator(nester, state)?;
        let places = written.filter_map(|watch| Some((watch, translator.place(watch.space, watch.address)?)));
        state.watching.places = places.collect();
    }
    Ok(())
}

/// A thread is about to make a step: its debug registers find nothing meanwhile, since emulators tell a step that hits by two
/// exceptions, the second of which meets the kernel. What they watch is compared behind the step instead.
pub fn disarm<'a>(state: &mut State, thread: Adjustment<'a>) -> Adjustment<'a> {
    if !state.watching.watches.is_ours(&thread.before().debug) {
        return thread;
    }
    let places = state.watching.places.clone();
    for (watch, at) in places {
        page_watch::note_bytes(state, thread.place(), watch, at);
    }
    thread.disarm()
}

/// It has made the step, or does not make it.
pub fn rearm(state: &mut State, place: Place, seen: &Seen) -> Result<(), Status> {
    let is_watched = seen.space.is_some_and(|space| state.watching.watches.registers(space).is_some());
    if is_watched { arm_thread(state, place, seen) } else { Ok(()) }
}

/// `ClearWatch`.
pub fn clear(nester: &Nester, state: &mut State, watch: Watch) -> Outcome<Reply> {
    if !page_watch::clear(nester, state, watch)? && state.watching.watches.clear(watch) {
        find_places(nester, state).map_err(refused)?;
        arm(state, watch.space).map_err(refused)?;
    }
    Ok(Reply::Done)
}

/// Everything that is watched.
pub fn all(state: &State) -> Vec<Watch> {
    state.watching.watches.all().into_iter().chain(page_watch::all(state)).collect()
}

/// The environment is another one, and none of its threads watches anything.
pub fn environment_replaced(nester: &Nester, state: &mut State) -> Result<(), Status> {
    state.watching.own.clear();
    find_places(nester, state)?;
    state.watching.watches.spaces().into_iter().try_for_each(|space| arm(state, space))
}

/// Gives all threads of a space the registers that they are to have.
fn arm(state: &mut State, space: Place) -> Result<(), Status> {
    for place in threads_of(state, space)? {
        let Some(seen) = seize(state, place)? else { continue };
        arm_thread(state, place, &seen)?;
        if !was_stopped(&seen) {
            flob_checkpointer::resume(&state.environment, place)?;
        }
    }
    Ok(())
}

/// The same for one thread, which is stopped.
fn arm_thread(state: &mut State, place: Place, seen: &Seen) -> Result<(), Status> {
    let Watching { watches, own, .. } = &mut state.watching;
    let wanted = seen.space.and_then(|space| watches.registers(space));
    if wanted.is_some() && !watches.is_ours(&seen.state.debug) && is_armed(&seen.state.debug) {
        own.insert(place, seen.state.debug);
    }
    let debug = wanted.unwrap_or_else(|| own.remove(&place).unwrap_or_else(nothing));
    give(&state.environment, place, debug)
}

fn give(environment: &Environment, place: Place, debug: DebugRegisters) -> Result<(), Status> {
    let state = ThreadState { debug, ..ThreadState::default() };
    environment.flob::<Thread>(place).set_groups(&state, &Links::NONE, group::DEBUG)
}

/// What a debug exception means.
pub enum Meaning {
    /// Something that is watched.
    Hits(Vec<Hit>),
    /// Something that is not watched any more, or not for this space: the thread has been given other registers.
    Stale,
    /// None of ours: a step, or the program's own.
    NotOurs,
}

/// Tells what a debug exception of a stopped thread means.
pub fn judge(state: &mut State, place: Place, seen: &Seen) -> Result<Meaning, Status> {
    let status = seen.state.exception.detail;
    if status & WATCHED == 0 || !state.watching.watches.is_ours(&seen.state.debug) {
        return Ok(Meaning::NotOurs);
    }
    let hits = seen.space.map(|space| state.watching.watches.hits(space, status)).unwrap_or_default();
    if hits.is_empty() {
        arm_thread(state, place, seen)?;
        return Ok(Meaning::Stale);
    }
    Ok(Meaning::Hits(hits))
}

/// A stopped thread passes the hardware breakpoint that it stands at, if it does.
pub fn pass<'a>(state: &State, thread: Adjustment<'a>) -> Adjustment<'a> {
    let stands_at_one = state.watching.watches.is_breakpoint(thread.before().registers.rip);
    if stands_at_one { thread.pass() } else { thread }
}

/// The host sets a thread's debug registers: while they are taken, what it sets is for later. The groups to be set now.
pub fn put_aside(state: &mut State, place: Place, space: Option<Place>, new: &ThreadState, mask: u64) -> u64 {
    let Watching { watches, own, .. } = &mut state.watching;
    if mask & group::DEBUG == 0 || space.is_none_or(|space| watches.registers(space).is_none()) {
        return mask;
    }
    own.insert(place, new.debug);
    mask & !group::DEBUG
}

impl Watching {
    /// Puts the program's own debug registers into the record of a thread.
    pub fn hide(&self, place: Place, thread: &mut ThreadState, view: View) {
        if self.watches.is_ours(&thread.debug) {
            thread.debug = self.own.get(&place).copied().unwrap_or_else(nothing);
        }
        if view == View::Image && !is_armed(&thread.debug) {
            // What happened last was a debugger's step.
            thread.debug.dr6 = nothing().dr6;
        }
    }
}
