//! Saving: the environment stands still from `SaveBegin` to `SaveEnd`; and the search for the moment at which a
//! thread waits for what the host has named.
//!
//! The search watches at each request of the child, and for the kinds of waiting that last only a few instructions it
//! runs all threads step by step: so they alternate at every instruction, and nothing stays unseen for long.

use alloc::vec::Vec;

use flob_abi::{
    ExceptionCode, ExceptionMessage, FlobKind, PAGE_SIZE, Status,
    flob::thread_link,
    state::{group, thread_flag},
};
use flob_checkpointer::{release, resume, stop_all};
use flob_debugger_nester::waits::wait_kind;
use flob_image::Place;
use flob_link::{Event, FailureKind, Reply, WaitKind};
use flob_runtime::{
    flob::{FlobAt, Links, OwnedReference, Reference, Thread},
    nester::Environment,
};

use super::failure::{Outcome, failure, refused};
use super::state::{Nester, State};
use super::{record, services, step, threads};

/// Steps between two looks at all threads.
const LOOK_EVERY: u32 = 8;
/// Looks after which the list of threads is made anew.
const LIST_EVERY: u32 = 256;
/// Most pages in one answer to `SavePages`.
const MAX_PAGES: u32 = 32_768;

/// A save that is on.
#[derive(Default)]
pub struct Save {
    /// Threads that it has stopped.
    pub stopped: Vec<Place>,
    /// Threads that the host has let go meanwhile.
    pub paused: Vec<Place>,
}

/// The search for a moment.
pub struct Search {
    kind: WaitKind,
    steps: u32,
    looks: u32,
    threads: Vec<Place>,
}

/// `SaveBegin`.
pub fn begin(nester: &Nester, state: &mut State, when: Option<WaitKind>) -> Outcome<Reply> {
    if state.save.is_none() {
        give_up_search(state);
        let stopped = stop(state).map_err(refused)?;
        if let Some(kind) = when
            && !has_come(state, kind).map_err(refused)?
        {
            start_search(state, kind, stopped).map_err(refused)?;
            return Ok(Reply::Waiting);
        }
        state.save = Some(Save { stopped, paused: Vec::new() });
    }
    let record = record::environment(nester, state, group::ALL, record::View::Image).map_err(refused)?;
    record::long_answer(state, &record)
}

/// Stops all that runs; a step at a breakpoint is put off.
fn stop(state: &mut State) -> Result<Vec<Place>, Status> {
    let mut stopped = step::cancel_job(state);
    for place in stop_all(&state.environment)? {
        if !stopped.contains(&place) {
            stopped.push(place);
        }
    }
    Ok(stopped)
}

/// `SaveEnd`: what it stopped goes on.
pub fn end(nester: &Nester, state: &mut State) -> Outcome<Reply> {
    give_up_search(state);
    let Some(save) = state.save.take() else { return Ok(Reply::Done) };
    let stopped: Vec<_> = save.stopped.into_iter().filter(|place| !state.held.contains(place)).collect();
    release(&state.environment, &stopped).map_err(refused)?;
    threads::let_go(nester, state, save.paused).map_err(refused)?;
    services::retry_parked(nester, state);
    nester.sleepers.broadcast();
    Ok(Reply::Done)
}

/// `SavePages`.
pub fn pages(state: &State, first: u64, count: u32) -> Outcome<Reply> {
    saving(state)?;
    if count > MAX_PAGES {
        return Err(failure(FailureKind::Invalid, "too many pages at once"));
    }
    let mut bits = alloc::vec![0u8; count.div_ceil(8) as usize];
    for index in 0..count {
        if !state.environment.memory().is_page_zero(first.saturating_add(index.into()))
            && let Some(byte) = bits.get_mut(index as usize / 8)
        {
            *byte |= 1 << (index % 8);
        }
    }
    Ok(Reply::Bytes(bits))
}

/// `SavePage`.
pub fn page(state: &State, page: u64) -> Outcome<Reply> {
    saving(state)?;
    let mut bytes = alloc::vec![0; PAGE_SIZE as usize];
    let place = page.checked_mul(PAGE_SIZE);
    let place = place.filter(|place| state.environment.memory().read(*place, &mut bytes));
    let place = place.ok_or_else(|| failure(FailureKind::NotFound, "there is no such page"))?;
    state.breakpoints.hide(place, &mut bytes);
    Ok(Reply::Bytes(bytes))
}

fn saving(state: &State) -> Outcome<()> {
    match state.save {
        Some(_) => Ok(()),
        None => Err(failure(FailureKind::State, "no save is on")),
    }
}

fn start_search(state: &mut State, kind: WaitKind, stopped: Vec<Place>) -> Result<(), Status> {
    if kind != WaitKind::Input {
        stopped.iter().try_for_each(|place| step::set_trap(&state.environment, *place, true))?;
    }
    release(&state.environment, &stopped)?;
    state.search = Some(Search { kind, steps: 0, looks: 0, threads: Vec::new() });
    Ok(())
}

/// Ends the search without a result: the child runs on as if there had been none.
pub fn give_up_search(state: &mut State) {
    if state.search.take().is_some()
        && let Ok(stopped) = stop(state)
    {
        clean(state, &stopped);
        let _ = release(&state.environment, &stopped);
    }
}

/// The marks of the search are taken off, but not those of steps that the host has asked for.
fn clean(state: &State, stopped: &[Place]) {
    let stepped = step::stepped(state);
    for place in stopped.iter().filter(|place| !stepped.contains(place)) {
        let _ = step::clean(&state.environment, *place);
    }
}

/// The moment has come: everything stands still until `SaveEnd`.
fn found(nester: &Nester, state: &mut State) -> Result<(), Status> {
    state.search = None;
    let stopped = stop(state)?;
    clean(state, &stopped);
    state.save = Some(Save { stopped, paused: Vec::new() });
    state.tell(nester, Event::SaveReady);
    Ok(())
}

/// The child asks a service for something. `true` if the search ends here: then the request waits.
pub fn request_came(nester: &Nester, state: &mut State, service: &str) -> bool {
    let Some(search) = &state.search else { return false };
    let kind = search.kind;
    let has_come = services::is_input(service, kind) || has_come(state, kind).unwrap_or(false);
    has_come && found(nester, state).is_ok()
}

/// An exception that is only a step of the search. `true` if it is over.
pub fn step_of_search(
    nester: &Nester,
    state: &mut State,
    message: &ExceptionMessage,
    thread: FlobAt<Reference>,
) -> bool {
    let is_step = message.code == ExceptionCode::Debug as u32 && message.detail == step::SINGLE_STEP;
    let Some(search) = state.search.as_mut().filter(|_| is_step) else { return false };
    search.steps = search.steps.wrapping_add(1);
    let (kind, is_due) = (search.kind, search.steps.is_multiple_of(LOOK_EVERY));
    let place = thread.locate(state.environment.region());
    if place.is_ok_and(|place| state.stepping.purpose(place).is_some()) {
        return false;
    }
    if is_due && has_come(state, kind).unwrap_or(false) {
        let _ = found(nester, state);
    }
    true
}

/// Whether a thread waits so now.
fn has_come(state: &mut State, kind: WaitKind) -> Result<bool, Status> {
    if kind == WaitKind::Input {
        return Ok(services::is_input_wanted(state));
    }
    for place in threads_to_look_at(state)? {
        if waits(&state.environment, place)? == Some(kind) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn threads_to_look_at(state: &mut State) -> Result<Vec<Place>, Status> {
    let list = || -> Result<Vec<Place>, Status> {
        let flobs = state.environment.flobs()?;
        Ok(flobs.iter().filter(|flob| flob.kind == FlobKind::Thread).map(|flob| flob.place).collect())
    };
    let Some(search) = &mut state.search else { return list() };
    if search.looks.is_multiple_of(LIST_EVERY) {
        search.threads = list()?;
    }
    search.looks = search.looks.wrapping_add(1);
    Ok(search.threads.clone())
}

/// For what a thread waits. If it runs it is stopped only for the look.
fn waits(environment: &Environment, place: Place) -> Result<Option<WaitKind>, Status> {
    if environment.kind_at(place) != Some(FlobKind::Thread) {
        return Ok(None);
    }
    let on = OwnedReference::new()?;
    let links = Links::NONE.with(thread_link::WAITING_FOR, on.at());
    let groups = group::CONTROL | group::REGISTERS | group::EXCEPTION;
    let state = environment.flob::<Thread>(place).get_groups(&links, groups)?;
    if state.flags & thread_flag::STOPPED == 0 {
        resume(environment, place)?;
    }
    Ok(on.at().target_kind().and_then(|on| wait_kind(&state, on)))
}
