//! Stopping threads for the debugger, and letting them go again.

use alloc::vec::Vec;

use crate::translate::Translator;
use flob_abi::{FlobKind, Status, ThreadHead, flob::thread_link, state::group};
use flob_checkpointer::{in_one_go, stop_once};
use flob_image::Place;
use flob_link::{FailureKind, Scope};
use flob_runtime::{
    flob::{FlobAt, Links, Reference, Thread},
    nester::Environment,
};

use super::adjustment::Adjustment;
use super::failure::{Outcome, failure, refused};
use super::save;
use super::state::{Nester, State};
use super::step::{self, Purpose};
use super::watch;
use super::watcher;

/// The groups of a thread's state that fit before its vectors.
pub const HEAD: u64 = group::ALL & !group::VECTORS;

/// A thread that is stopped now.
pub struct Seen {
    /// Its state, the flags as they were before.
    pub state: ThreadHead,
    /// Its space, if that lies in the environment.
    pub space: Option<Place>,
}

/// Stops the thread at this place and looks at it.
pub fn seize(state: &State, place: Place) -> Result<Option<Seen>, Status> {
    if state.environment.kind_at(place) != Some(FlobKind::Thread) {
        return Ok(None);
    }
    seize_found(state, place).map(Some)
}

/// The same of the thread that this reference leads to, which has just been located at this place.
pub fn seize_located(state: &State, thread: FlobAt<Reference>, place: Place) -> Result<Option<Seen>, Status> {
    if thread.target_kind() != Some(FlobKind::Thread) {
        return Ok(None);
    }
    seize_found(state, place).map(Some)
}

fn seize_found(state: &State, place: Place) -> Result<Seen, Status> {
    let State { environment, sight, .. } = state;
    let links = Links::NONE.with(thread_link::SPACE, sight.at());
    let head = environment.flob::<Thread>(place).head(&links)?;
    Ok(Seen { state: head, space: sight.at().locate(environment.region()).ok() })
}

/// The same without finding out in which space it is, which costs half as much again.
pub fn look(environment: &Environment, place: Place) -> Result<Option<ThreadHead>, Status> {
    if environment.kind_at(place) != Some(FlobKind::Thread) {
        return Ok(None);
    }
    environment.flob::<Thread>(place).head(&Links::NONE).map(Some)
}

/// The space of a thread that is stopped, if that lies in the environment.
pub fn space_of(state: &State, thread: Place) -> Result<Option<Place>, Status> {
    let State { environment, sight, .. } = state;
    environment.flob::<Thread>(thread).links(&Links::NONE.with(thread_link::SPACE, sight.at()))?;
    Ok(sight.at().locate(environment.region()).ok())
}

/// The same of a thread that may run: it runs on.
pub fn space_in_passing(state: &State, thread: Place) -> Result<Option<Place>, Status> {
    let Some(seen) = seize(state, thread)? else { return Ok(None) };
    if !was_stopped(&seen) {
        flob_checkpointer::resume(&state.environment, thread)?;
    }
    Ok(seen.space)
}

/// Whether the thread was stopped when it was seen.
pub fn was_stopped(seen: &Seen) -> bool {
    seen.state.flags & flob_abi::thread_flag::STOPPED != 0
}

/// Address translation as it is now.
pub fn translator(nester: &Nester, state: &State) -> Result<Translator, Status> {
    let kinds = [FlobKind::Space, FlobKind::Region, FlobKind::Mapping];
    let tags = nester.tags(&state.environment);
    let surroundings = flob_checkpointer::Surroundings { tags: &tags, hidden: &[], clients: &[] };
    flob_checkpointer::look(&state.environment, &surroundings, HEAD, &kinds)
        .map(|flobs| Translator::new(&flobs))
}

/// Holds every thread that runs; who lets them go is to know of so many events.
pub fn stop_everything(state: &mut State, events: u64) {
    let mut standing = step::cancel_job(state);
    standing.extend(save::stopped(state));
    for place in standing {
        state.held.add(place, events);
    }
    if let Ok(stopped) = stop_all(&state.environment) {
        for place in stopped {
            step::forget(state, place);
            state.held.add(place, events);
        }
    }
}

/// `Stop`, or what an event is to tell: how many threads it stopped. Who lets them go is to know of so many events.
pub fn stop(state: &mut State, scope: Scope, events: u64) -> Outcome<u32> {
    let before = state.held.len();
    match scope {
        Scope::Environment => {
            state.until_stop.clear();
            stop_everything(state, events);
        }
        Scope::Thread(place) => hold(state, place, events)?,
        Scope::Space(space) => {
            state.until_stop.remove(&space);
            for place in state.environment.flobs_of(FlobKind::Thread).map_err(refused)? {
                let Some(seen) = seize(state, place).map_err(refused)? else { continue };
                if seen.space == Some(space) {
                    hold_seized(state, place, &seen, events);
                } else if !was_stopped(&seen) {
                    flob_checkpointer::resume(&state.environment, place).map_err(refused)?;
                }
            }
        }
    }
    Ok((state.held.len() - before) as u32)
}

fn hold(state: &mut State, place: Place, events: u64) -> Outcome<()> {
    let seen = seize(state, place).map_err(refused)?;
    let seen = seen.ok_or_else(|| failure(FailureKind::NotFound, "there is no thread at this place"))?;
    hold_seized(state, place, &seen, events);
    Ok(())
}

fn hold_seized(state: &mut State, place: Place, seen: &Seen, events: u64) {
    let is_paused = step::is_paused(state, place) || save::stopped(state).any(|stopped| stopped == place);
    if !was_stopped(seen) || is_paused {
        step::forget(state, place);
        step::unpause(state, place);
    } else if !state.held.contains(place) {
        // The program itself has stopped it.
        return;
    }
    state.held.add(place, events);
}

/// Stops every thread and returns those that were not stopped before. One pass does in which nothing of the child has run.
pub fn stop_all(environment: &Environment) -> Result<Vec<Place>, Status> {
    let mut stopped = Vec::new();
    in_one_go(|| stop_once(environment).map(|more| stopped.extend(more)))?;
    Ok(stopped)
}

/// The threads of a space. Looking lets those run on that ran.
pub fn threads_of(state: &State, space: Place) -> Result<Vec<Place>, Status> {
    let environment = &state.environment;
    let mut threads = Vec::new();
    for place in environment.flobs_of(FlobKind::Thread)? {
        let Some(seen) = seize(state, place)? else { continue };
        if seen.space == Some(space) {
            threads.push(place);
        }
        if !was_stopped(&seen) {
            flob_checkpointer::resume(environment, place)?;
        }
    }
    Ok(threads)
}

/// `Resume`: how many threads it let go.
pub fn resume(nester: &Nester, state: &mut State, scope: Scope, unseen: u64) -> Outcome<u32> {
    if state.exit.is_some() {
        return Err(failure(FailureKind::State, "the program has ended"));
    }
    let chosen = choose(state, scope, unseen).map_err(refused)?;
    let count = chosen.len() as u32;
    let_go_seen(nester, state, chosen).map_err(refused)?;
    Ok(count)
}

/// A thread, and how it stands.
type Standing = (Place, ThreadHead);

/// Takes those that are meant, and are still there, from what the debugger holds.
fn choose(state: &mut State, scope: Scope, unseen: u64) -> Result<Vec<Standing>, Status> {
    match scope {
        Scope::Environment => {
            state.until_stop.clear();
            let held = state.held.take_all(unseen);
            look_at_all(&state.environment, held)
        }
        Scope::Thread(place) => {
            let held = state.held.take(place, unseen).then_some(place);
            look_at_all(&state.environment, held)
        }
        Scope::Space(space) => {
            state.until_stop.remove(&space);
            let mut held = held_in(state, space)?;
            held.retain(|(place, _)| state.held.take(*place, unseen));
            Ok(held)
        }
    }
}

/// Those of the debugger's threads that are in this space.
fn held_in(state: &State, space: Place) -> Result<Vec<Standing>, Status> {
    let mut held = Vec::new();
    for place in state.held.iter() {
        let seen = seize(state, place)?.filter(|seen| seen.space == Some(space));
        held.extend(seen.map(|seen| (place, seen.state)));
    }
    Ok(held)
}

fn look_at_all(
    environment: &Environment,
    places: impl IntoIterator<Item = Place>,
) -> Result<Vec<Standing>, Status> {
    let mut standing = Vec::new();
    for place in places {
        standing.extend(look(environment, place)?.map(|head| (place, head)));
    }
    Ok(standing)
}

/// `Continue`: how many threads it let go.
pub fn go_on(nester: &Nester, state: &mut State, space: Place, unseen: u64) -> Outcome<u32> {
    let count = resume(nester, state, Scope::Space(space), unseen)?;
    state.until_stop.insert(space);
    Ok(count)
}

/// Lets threads go that nothing of the debugger holds any more: off a breakpoint by a step, the others at once.
pub fn let_go(nester: &Nester, state: &mut State, places: Vec<Place>) -> Result<(), Status> {
    let standing = look_at_all(&state.environment, places)?;
    let_go_seen(nester, state, standing)
}

/// The same of threads that have just been looked at.
fn let_go_seen(nester: &Nester, state: &mut State, standing: Vec<Standing>) -> Result<(), Status> {
    if let Some(save) = &mut state.save {
        save.paused.extend(standing.into_iter().map(|(place, _)| place));
        return Ok(());
    }
    let (mut free, mut at_obstacle) = (Vec::new(), Vec::new());
    for (place, head) in standing {
        match step::obstacle_at(nester, state, place, &head)? {
            Some(_) => at_obstacle.push(place),
            None => free.push((place, head)),
        }
    }
    // Those that wait, in the order in which they do.
    free.sort_unstable_by_key(|(place, head)| (head.rank, *place));
    let is_paused = step::pause_instead(state, &free);
    for (place, head) in &free {
        let passing = watch::pass(state, Adjustment::of(*place, head));
        if is_paused { passing } else { passing.run() }.apply(&state.environment)?;
    }
    if !is_paused && !free.is_empty() {
        watcher::stirred(state);
    }
    at_obstacle.into_iter().try_for_each(|place| step::begin(nester, state, place, Purpose::Continue))
}
