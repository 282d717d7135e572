//! Saving: the environment stands still while its record is made; then it goes on, and its memory as it was is sent.

use alloc::vec::Vec;

use flob_abi::{Status, state::group};
use flob_checkpointer::{release, release_known, stop_listed};
use flob_image::Place;
use flob_link::{FailureKind, Mark, Reply, WaitKind};
use flob_runtime::{
    nester::{Environment, list::Listed},
    service::clock,
};

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

/// `SaveBegin`.
pub fn begin(
    nester: &Nester,
    state: &mut State,
    when: Option<WaitKind>,
    since: Option<Mark>,
) -> Outcome<Reply> {
    if state.restore.is_some() {
        return Err(failure(FailureKind::State, "a restore is on"));
    }
    if when.is_some() && state.exit.is_some() {
        return Err(failure(FailureKind::State, "the program ended before the moment came"));
    }
    let from = clock::now().unwrap_or(0);
    // A save or a search of a host that is gone.
    copying::end(nester, state).map_err(refused)?;
    search::give_up(state);
    let listed = state.environment.flobs().map_err(refused)?;
    if state.save.is_none() {
        let stopped = stop(state, &listed).map_err(refused)?;
        if let Some(kind) = when
            && !search::has_come(state, kind).map_err(refused)?
        {
            search::start(state, kind, stopped).map_err(refused)?;
            nester.sleepers.signal();
            return Ok(Reply::Waiting);
        }
        state.save = Some(Save { stopped, paused: Vec::new() });
    }
    let record =
        record::of_listed(nester, state, &listed, group::ALL, record::View::Image).map_err(refused)?;
    let since = since.filter(|since| state.knows(since)).map(|since| since.epoch);
    copying::begin(nester, state, since).map_err(refused)?;
    // A new epoch drops all translations, this program's too: what is left to do is little.
    let mark = state.mark().map_err(refused)?;
    let_run(nester, state, |environment, stopped| release_known(environment, &record.flobs, stopped))?;
    let taken = clock::now().unwrap_or(0).saturating_sub(from);
    state.stop_time = taken.saturating_sub(state.clock_cost);
    let (answer, size) = record::kept(state, &record)?;
    Ok(Reply::Saving { answer, size, mark, only_changes: since.is_some() })
}

/// Stops all that runs of the flobs that there are; a step at a breakpoint is put off.
pub fn stop(state: &mut State, listed: &[Listed]) -> Result<Vec<Place>, Status> {
    let mut stopped = step::cancel_job(state);
    for place in stop_listed(&state.environment, listed)? {
        if !stopped.contains(&place) {
            stopped.push(place);
        }
    }
    Ok(stopped)
}

/// `SaveEnd`: what it stopped goes on.
pub fn end(nester: &Nester, state: &mut State) -> Outcome<Reply> {
    search::give_up(state);
    copying::end(nester, state).map_err(refused)?;
    let_run(nester, state, release)?;
    Ok(Reply::Done)
}

/// What the save has stopped runs.
fn let_run(
    nester: &Nester,
    state: &mut State,
    release: impl FnOnce(&Environment, &[Place]) -> Result<(), Status>,
) -> Outcome<()> {
    let Some(save) = state.save.take() else { return Ok(()) };
    // Who has been held meanwhile stays so.
    let free = |places: Vec<Place>| places.into_iter().filter(|place| !state.held.contains(place)).collect();
    let (stopped, paused): (Vec<_>, Vec<_>) = (free(save.stopped), free(save.paused));
    release(&state.environment, &stopped).map_err(refused)?;
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
