//! Saving: the environment stands still while all of it is told; then it goes on, and its record is made ([`super::saver`]) and its
//! memory as it was is sent ([`copying`]).

use alloc::vec::Vec;

use flob_abi::{Status, state::group};
use flob_checkpointer::{in_one_go, release, release_known, stop_once};
use flob_image::Place;
use flob_link::{FailureKind, Mark, Reply, WaitKind};
use flob_runtime::service::clock;

use super::failure::{Outcome, failure, refused};
use super::state::{Nester, State};
use super::{copying, record, search, services, step, threads, watcher};

/// A save that is on.
#[derive(Default)]
pub struct Save {
    /// Threads that it has stopped.
    pub stopped: Vec<Place>,
    /// Threads that the host has let go meanwhile.
    pub paused: Vec<Place>,
}

/// A save that has begun.
pub struct Begun {
    /// All of the child, which was stopped and may run.
    pub seen: record::Seen,
    /// What the mark of this moment says but for the epoch, which is still to begin: nothing of the child runs before that.
    pub boot: u64,
    /// As above.
    pub environment: u32,
    /// Only changes of its memory are wanted, and known.
    pub only_changes: bool,
    /// All of it is held besides: it does not go on behind that moment.
    pub is_held: bool,
}

/// `SaveBegin`. `None` if its moment is waited for.
pub fn begin(
    nester: &Nester,
    state: &mut State,
    when: Option<WaitKind>,
    since: Option<Mark>,
) -> Outcome<Option<Begun>> {
    if state.restore.is_some() {
        return Err(failure(FailureKind::State, "a restore is on"));
    }
    if when.is_some() && state.exit.is_some() {
        return Err(failure(FailureKind::State, "the program ended before the moment came"));
    }
    // A save or a search of a host that is gone.
    copying::end(nester, state).map_err(refused)?;
    if state.search.is_some() {
        search::give_up(state);
    }
    if let Some(kind) = when
        && state.save.is_none()
    {
        let stopped = stop(state).map_err(refused)?;
        if !search::has_come(state, kind).map_err(refused)? {
            search::start(state, kind, stopped).map_err(refused)?;
            nester.sleepers.signal();
            return Ok(None);
        }
        state.save = Some(Save { stopped, paused: Vec::new() });
    }
    // Others have seen it stand, or wait for what it does at once.
    let is_known = state.save.is_some() || step::is_under_way(state);
    let seen = stop_and_see(nester, state)?;
    let since = since.filter(|since| state.knows(since)).map(|since| since.epoch);
    let threads = seen.threads().len();
    let is_held = threads == state.held.len();
    copying::begin(nester, state, since, Some(threads)).map_err(refused)?;
    let (known, free) = (seen.threads(), |place: &Place| !state.held.contains(*place));
    let stopped = state.save.iter().flat_map(|save| &save.stopped).copied().filter(free);
    release_known(&state.environment, known, stopped).map_err(refused)?;
    if is_known {
        run_on(nester, state)?;
    }
    state.save = None;
    let only_changes = since.is_some();
    Ok(Some(Begun { seen, boot: state.boot, environment: state.replaced, only_changes, is_held }))
}

/// Stops all that runs, unless that is done, and looks at everything: at once, if it is not too much for that.
fn stop_and_see(nester: &Nester, state: &mut State) -> Outcome<record::Seen> {
    let cancelled = if state.save.is_none() { step::cancel_job(state) } else { Vec::new() };
    state.save.get_or_insert_default().stopped.extend(cancelled);
    in_one_go(|| stop_and_see_once(nester, state))
}

fn stop_and_see_once(nester: &Nester, state: &mut State) -> Outcome<record::Seen> {
    let mut sights = core::mem::take(&mut state.sights);
    let is_told = sights.take(&state.environment).map_err(refused)?;
    // What ran was told as running.
    let adapter = record::Adapter::new(state, record::View::Image);
    let stopped = &mut state.save.get_or_insert_default().stopped;
    add(stopped, &sights.ran);
    if is_told {
        return record::see_told(nester, state, sights, adapter);
    }
    state.sights = sights;
    add(stopped, &stop_once(&state.environment).map_err(refused)?);
    let listed = state.environment.flobs().map_err(refused)?;
    record::see(nester, state, &listed, group::ALL, record::View::Image)
}

fn add(stopped: &mut Vec<Place>, more: &[Place]) {
    for place in more {
        if !stopped.contains(place) {
            stopped.push(*place);
        }
    }
}

/// `RoundBegin`: as the child runs below this program, no other moment lies between its memory's and the mark.
pub fn begin_round(nester: &Nester, state: &mut State, since: Option<Mark>) -> Outcome<Reply> {
    if state.restore.is_some() || state.save.is_some() || state.search.is_some() {
        return Err(failure(FailureKind::State, "another save or a restore is on"));
    }
    if since.is_some_and(|since| !state.knows(&since)) {
        return Err(failure(FailureKind::State, "this moment was of another environment"));
    }
    copying::end(nester, state).map_err(refused)?;
    copying::begin(nester, state, since.map(|since| since.epoch), None).map_err(refused)?;
    Ok(Reply::Round(state.mark().map_err(refused)?))
}

/// So many ticks in nanoseconds, by what both have come to since the beginning.
pub fn nanoseconds((began, began_ticks): (u64, u64), ticks: u64) -> u64 {
    let time = clock::now().unwrap_or(0).saturating_sub(began);
    let in_time = clock::ticks().wrapping_sub(began_ticks).max(1);
    u64::try_from(u128::from(ticks) * u128::from(time) / u128::from(in_time)).unwrap_or(u64::MAX)
}

/// Stops all that runs; a step at a breakpoint is put off.
pub fn stop(state: &mut State) -> Result<Vec<Place>, Status> {
    let mut stopped = step::cancel_job(state);
    add(&mut stopped, &stop_once(&state.environment)?);
    Ok(stopped)
}

/// `SaveEnd`: what it stopped goes on.
pub fn end(nester: &Nester, state: &mut State) -> Outcome<Reply> {
    search::give_up(state);
    copying::end(nester, state).map_err(refused)?;
    release(&state.environment, &free(state)).map_err(refused)?;
    run_on(nester, state)?;
    Ok(Reply::Done)
}

/// The threads that the save has stopped, but for those that were held meanwhile: these stay so.
fn free(state: &State) -> Vec<Place> {
    let stopped = state.save.iter().flat_map(|save| &save.stopped).copied();
    stopped.filter(|place| !state.held.contains(*place)).collect()
}

/// The threads that the save has stopped run already: so does all else.
fn run_on(nester: &Nester, state: &mut State) -> Outcome<()> {
    let Some(save) = state.save.take() else { return Ok(()) };
    let paused = save.paused.into_iter().filter(|place| !state.held.contains(*place)).collect();
    threads::let_go(nester, state, paused).map_err(refused)?;
    watcher::look_again(state);
    services::retry_parked(nester, state);
    nester.sleepers.broadcast();
    Ok(())
}

/// The threads that stand only as long as the save is on.
pub fn stopped(state: &State) -> impl Iterator<Item = Place> {
    state.save.iter().flat_map(|save| save.stopped.iter().chain(&save.paused)).copied()
}
