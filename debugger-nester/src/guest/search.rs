//! The search for the moment at which a thread waits for what the host has named.
//!
//! It looks at each request of the child and every few milliseconds, and it helps: servers are kept from
//! taking requests, so that their clients come to wait. Waiting for a mutex lasts only a few instructions, so there all
//! threads run step by step: they alternate at every instruction, and one that holds a mutex is kept from running for a
//! while.

use alloc::vec::Vec;

use crate::waits::wait_kind;
use flob_abi::{
    ExceptionMessage, FlobKind, Status,
    flob::thread_link,
    state::{group, thread_flag},
};
use flob_checkpointer::{release, resume};
use flob_image::Place;
use flob_link::{Event, WaitKind};
use flob_runtime::{
    flob::{FlobAt, Links, Mutex, OwnedReference, Reference, Thread},
    nester::Environment,
};

use super::adjustment::{Adjustment, TRAP_FLAG};
use super::exceptions::Verdict;
use super::save::{Save, stop};
use super::state::{Nester, State};
use super::{services, step, threads, watcher};

/// Steps between two looks at all threads.
const LOOK_EVERY: u32 = 8;
/// Looks after which the list of threads is made anew.
const LIST_EVERY: u32 = 256;
/// How long a thread is withheld, in nanoseconds.
const WITHHOLD: u64 = 200_000_000;
/// Time between two looks, in nanoseconds.
const LOOK_AFTER: u64 = 10_000_000;
/// Looks between letting one thread go and withholding the next.
const WITHHOLD_PAUSE: u32 = 40;
/// The search for a moment.
pub struct Search {
    kind: WaitKind,
    steps: u32,
    looks: u32,
    threads: Vec<Place>,
    mutexes: Vec<Place>,
    /// Servers that are kept from taking requests, so that their clients come to wait.
    servers: Vec<Place>,
    /// A thread that others may come to wait for, and until when (in the child's time) it is kept from running.
    withheld: Option<(Place, u64)>,
    /// Looks before the next thread is withheld.
    pause: u32,
    /// When the next look is due, in the child's time.
    next_look: u64,
}

impl Search {
    /// When [`time_has_passed`] is wanted, in the child's time.
    pub fn deadline(&self) -> u64 {
        self.withheld.map_or(self.next_look, |(_, until)| until.min(self.next_look))
    }
}

/// Lets what was stopped for the save go on, until the moment comes.
pub fn start(state: &mut State, kind: WaitKind, stopped: Vec<Place>) -> Result<(), Status> {
    let mut search = Search {
        kind,
        steps: 0,
        looks: 0,
        threads: Vec::new(),
        mutexes: Vec::new(),
        servers: Vec::new(),
        withheld: None,
        pause: 0,
        next_look: services::now(state).saturating_add(LOOK_AFTER),
    };
    let mut going = Vec::new();
    for place in stopped {
        if kind == WaitKind::Send && waits_for_requests(&state.environment, place)?.1 {
            search.servers.push(place);
            continue;
        }
        if is_stepped(kind) {
            step::set_trap(&state.environment, place, true)?;
        }
        going.push(place);
    }
    state.has_stepped |= is_stepped(kind);
    release(&state.environment, &going)?;
    state.search = Some(search);
    Ok(())
}

/// Whether all threads run step by step.
fn is_stepped(kind: WaitKind) -> bool {
    kind == WaitKind::Mutex
}

/// Stops a thread; whether it was stopped before, and whether it is a server without a request.
fn waits_for_requests(environment: &Environment, place: Place) -> Result<(bool, bool), Status> {
    let on = OwnedReference::new()?;
    let links = Links::NONE.with(thread_link::WAITING_FOR, on.at());
    let state = environment.flob::<Thread>(place).head(&links)?;
    let was_stopped = state.flags & thread_flag::STOPPED != 0;
    Ok((was_stopped, on.at().target_kind() == Some(FlobKind::PortSet)))
}

impl Search {
    /// The threads that it keeps stopped.
    pub fn keeps(&self) -> impl Iterator<Item = Place> {
        self.servers.iter().copied().chain(self.withheld.map(|(place, _)| place))
    }
}

/// Ends the search without a result: the child runs on as if there had been none.
pub fn give_up(state: &mut State) {
    if let Some(search) = state.search.take()
        && let Ok(mut stopped) = stop(state)
    {
        stopped.extend(search.keeps());
        clean(state, &stopped);
        let _ = release(&state.environment, &stopped);
        watcher::look_again(state);
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
    let search = state.search.take();
    let mut stopped = stop(state)?;
    stopped.extend(search.iter().flat_map(Search::keeps));
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

/// What becomes of an exception that is only a step of the search.
pub fn step_came(
    nester: &Nester,
    state: &mut State,
    message: &ExceptionMessage,
    thread: FlobAt<Reference>,
) -> Option<Verdict> {
    let is_step = step::is_only_step(message.code, message.detail);
    let search = state.search.as_mut().filter(|_| is_step)?;
    search.steps = search.steps.wrapping_add(1);
    let (kind, is_due) = (search.kind, search.steps.is_multiple_of(LOOK_EVERY));
    let place = thread.locate(state.environment.region());
    if place.is_ok_and(|place| state.stepping.purpose(place).is_some()) {
        return None;
    }
    if is_due {
        if has_come(state, kind).unwrap_or(false) {
            let _ = found(nester, state);
        } else if let Ok(place) = place
            && withhold(nester, state, place, kind).unwrap_or(false)
        {
            return Some(Verdict::Taken);
        }
    }
    Some(Verdict::Over)
}

/// Withholds the thread that has just made a step, if others may come to wait for it. `true` if it is stopped now.
fn withhold(nester: &Nester, state: &mut State, place: Place, kind: WaitKind) -> Result<bool, Status> {
    let Some(search) = &mut state.search else { return Ok(false) };
    search.pause = search.pause.saturating_sub(1);
    if search.withheld.is_some() || search.pause > 0 {
        return Ok(false);
    }
    if !is_stepped(kind) || !holds_a_mutex(state, place)? {
        return Ok(false);
    }
    let Some(head) = threads::look(&state.environment, place)? else { return Ok(false) };
    Adjustment::of(place, &head).without_exception().apply(&state.environment)?;
    let until = services::now(state).saturating_add(WITHHOLD);
    if let Some(search) = &mut state.search {
        search.withheld = Some((place, until));
    }
    nester.sleepers.signal();
    Ok(true)
}

/// The search's time has come: to look again, or to let the withheld thread go.
pub fn time_has_passed(nester: &Nester, state: &mut State) {
    let now = services::now(state);
    let Some(search) = &mut state.search else { return };
    let kind = search.kind;
    if let Some((place, _)) = search.withheld.take_if(|(_, until)| *until <= now) {
        search.pause = WITHHOLD_PAUSE;
        let _ = resume(&state.environment, place);
    }
    if search.next_look <= now {
        search.next_look = now.saturating_add(LOOK_AFTER);
        if kind == WaitKind::Send {
            let _ = withhold_servers(state);
        }
        if has_come(state, kind).unwrap_or(false) {
            let _ = found(nester, state);
        }
    }
}

/// Servers that had a request at hand when the search began, and have none now, are kept from taking another.
fn withhold_servers(state: &mut State) -> Result<(), Status> {
    for place in threads_to_look_at(state)? {
        let Some(search) = &mut state.search else { return Ok(()) };
        if search.servers.contains(&place) || state.environment.kind_at(place) != Some(FlobKind::Thread) {
            continue;
        }
        let (was_stopped, waits) = waits_for_requests(&state.environment, place)?;
        match (was_stopped, waits) {
            (true, _) => {}
            (false, true) => search.servers.push(place),
            (false, false) => resume(&state.environment, place)?,
        }
    }
    Ok(())
}

fn holds_a_mutex(state: &State, place: Place) -> Result<bool, Status> {
    let owner = OwnedReference::new()?;
    let mutexes = state.search.iter().flat_map(|search| &search.mutexes);
    for mutex in mutexes.filter(|mutex| state.environment.kind_at(**mutex) == Some(FlobKind::Mutex)) {
        let mutex = state.environment.flob::<Mutex>(*mutex).get_state(&Links::of(&[owner.at()]))?;
        if mutex.locked != 0 && owner.at().locate(state.environment.region()) == Ok(place) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a thread waits so now.
pub fn has_come(state: &mut State, kind: WaitKind) -> Result<bool, Status> {
    if kind == WaitKind::Input {
        return Ok(services::is_input_wanted(state));
    }
    for place in threads_to_look_at(state)? {
        if waits(&state.environment, place, is_stepped(kind))? == Some(kind) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn threads_to_look_at(state: &mut State) -> Result<Vec<Place>, Status> {
    let Some(search) = &mut state.search else { return state.environment.flobs_of(FlobKind::Thread) };
    if search.looks.is_multiple_of(LIST_EVERY) {
        search.threads = state.environment.flobs_of(FlobKind::Thread)?;
        search.mutexes = state.environment.flobs_of(FlobKind::Mutex)?;
    }
    search.looks = search.looks.wrapping_add(1);
    Ok(search.threads.clone())
}

/// For what a thread waits. If it runs it is stopped only for the look; and runs step by step, if it shall: it may have been made, or let
/// go by whoever held it, since the search began.
fn waits(environment: &Environment, place: Place, is_stepped: bool) -> Result<Option<WaitKind>, Status> {
    if environment.kind_at(place) != Some(FlobKind::Thread) {
        return Ok(None);
    }
    let on = OwnedReference::new()?;
    let links = Links::NONE.with(thread_link::WAITING_FOR, on.at());
    let groups = group::CONTROL | group::REGISTERS | group::EXCEPTION;
    let state = environment.flob::<Thread>(place).get_groups(&links, groups)?;
    if state.flags & thread_flag::STOPPED == 0 {
        if is_stepped && state.registers.rflags & TRAP_FLAG == 0 {
            step::set_trap(environment, place, true)?;
        }
        resume(environment, place)?;
    }
    Ok(on.at().target_kind().and_then(|on| wait_kind(&state, on)))
}
