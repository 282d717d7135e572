//! Saving: the environment stands still until its record is made, or to `SaveEnd`; and the search for the moment at which a
//! thread waits for what the host has named.
//!
//! The search looks at each request of the child and every few milliseconds, and it helps: servers are kept from
//! taking requests, so that their clients come to wait. Waiting for a mutex lasts only a few instructions, so there all
//! threads run step by step: they alternate at every instruction, and one that holds a mutex is kept from running for a
//! while.

use alloc::vec::Vec;

use flob_abi::{
    ExceptionMessage, FlobKind, PAGE_SIZE, Status, Sum,
    flob::thread_link,
    state::{group, thread_flag},
};
use flob_checkpointer::{release, resume, stop_all};
use flob_debugger_nester::waits::wait_kind;
use flob_image::Place;
use flob_link::{Event, FailureKind, Reply, Run, WaitKind};
use flob_runtime::{
    flob::{FlobAt, Links, Mutex, OwnedReference, Reference, Thread},
    nester::{ChildMemory, Environment},
    service::clock,
};

use super::copying::{self, Source};
use super::exceptions::Verdict;
use super::failure::{Outcome, failure, refused};
use super::state::{Nester, State};
use super::{record, services, step, threads, watcher};

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
/// Most pages in one answer to `SaveUsed`.
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

/// `SaveBegin`.
pub fn begin(nester: &Nester, state: &mut State, when: Option<WaitKind>, run_on: bool) -> Outcome<Reply> {
    if state.restore.is_some() {
        return Err(failure(FailureKind::State, "a restore is on"));
    }
    if when.is_some() && state.exit.is_some() {
        return Err(failure(FailureKind::State, "the program ended before the moment came"));
    }
    let from = clock::now().unwrap_or(0);
    if state.save.is_none() {
        // A save of a host that is gone.
        copying::end(nester, state).map_err(refused)?;
        give_up_search(state);
        let stopped = stop(state).map_err(refused)?;
        if let Some(kind) = when
            && !has_come(state, kind).map_err(refused)?
        {
            start_search(state, kind, stopped).map_err(refused)?;
            nester.sleepers.signal();
            return Ok(Reply::Waiting);
        }
        state.save = Some(Save { stopped, paused: Vec::new() });
    }
    let record = record::environment(nester, state, group::ALL, record::View::Image).map_err(refused)?;
    if run_on {
        copying::begin(nester, state).map_err(refused)?;
        let_run(nester, state)?;
        state.stop_time = clock::now().unwrap_or(0).saturating_sub(from);
    }
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
    copying::end(nester, state).map_err(refused)?;
    let_run(nester, state)?;
    Ok(Reply::Done)
}

/// What the save has stopped runs.
fn let_run(nester: &Nester, state: &mut State) -> Outcome<()> {
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

/// `SaveUsed`.
pub fn used(state: &State, first: u64, count: u32) -> Outcome<Reply> {
    saving(state)?;
    if count > MAX_PAGES {
        return Err(failure(FailureKind::Invalid, "too many pages at once"));
    }
    let mut bits = alloc::vec![0u8; count.div_ceil(8) as usize];
    for index in 0..count {
        if is_used(state, first.saturating_add(index.into()))
            && let Some(byte) = bits.get_mut(index as usize / 8)
        {
            *byte |= 1 << (index % 8);
        }
    }
    Ok(Reply::Bytes(bits))
}

fn is_used(state: &State, page: u64) -> bool {
    !memory_of(state, page).is_page_zero(page)
}

/// The memory in which a page is as it is to be saved.
fn memory_of(state: &State, page: u64) -> &ChildMemory {
    match copying::source(state, page) {
        Source::Present => state.environment.memory(),
        Source::Copy => state.spare.memory(),
    }
}

/// `SavePages`: the pages themselves are read when the answer is sent.
pub fn pages(state: &State, runs: &[Run]) -> Outcome<Reply> {
    saving(state)?;
    check_runs(runs, state.capacity.to_host, state.environment.memory().size())?;
    Ok(Reply::Pages(Vec::new()))
}

/// `Blank`.
pub fn blank(state: &State, pages: u32) -> Outcome<Reply> {
    if (1..=state.capacity.to_host).contains(&pages) {
        return Ok(Reply::Pages(Vec::new()));
    }
    Err(failure(FailureKind::Invalid, "too many pages at once, or none"))
}

/// Whether these pages are there, and no more than the line carries.
pub fn check_runs(runs: &[Run], most: u32, size: u64) -> Outcome<()> {
    let mut count = 0_u64;
    for run in runs {
        count += u64::from(run.count);
        let end = run.first.checked_add(run.count.into());
        if run.count == 0 || end.is_none_or(|end| end > size / PAGE_SIZE) {
            return Err(failure(FailureKind::NotFound, "there are no such pages"));
        }
    }
    if (1..=u64::from(most)).contains(&count) {
        Ok(())
    } else {
        Err(failure(FailureKind::Invalid, "too many pages at once, or none"))
    }
}

/// Pages that are ready to be sent.
pub struct Sendable {
    /// Address and bytes of each piece.
    pub places: Vec<(u64, u64)>,
    /// Over all of them.
    pub sum: u64,
    /// Pages that do not go as they are, because of breakpoints.
    _patched: Vec<Vec<u8>>,
    /// How many of the pages are copies of what the child has changed since.
    copies: usize,
}

/// Whether what was ready to be sent may have been changed before it was: whoever gets it finds that its sum is wrong.
pub fn has_changed(state: &State, runs: &[Run], sent: &Sendable) -> bool {
    let copies = numbers(runs).filter(|page| copying::source(state, *page) == Source::Copy).count();
    copies != sent.copies
}

fn numbers(runs: &[Run]) -> impl Iterator<Item = u64> {
    runs.iter().flat_map(|run| (run.first..).take(run.count as usize))
}

/// These pages as they are to be saved, from where they lie. `None` when no save is on.
pub fn sendable(state: &State, runs: &[Run]) -> Option<Sendable> {
    saving(state).ok()?;
    let (mut places, mut patched, mut sum) = (Vec::new(), Vec::new(), Sum::new());
    let mut copies = 0;
    for page in numbers(runs) {
        let place = page.checked_mul(PAGE_SIZE)?;
        let (memory, source) = (memory_of(state, page), copying::source(state, page));
        if source == Source::Present && state.breakpoints.is_any_within(place, PAGE_SIZE) {
            let mut copy = alloc::vec![0; PAGE_SIZE as usize];
            memory.read(place, &mut copy).then_some(())?;
            state.breakpoints.hide(place, &mut copy);
            sum.add_bytes(&copy);
            append(&mut places, copy.as_ptr().expose_provenance() as u64);
            patched.push(copy);
        } else {
            memory.add_page_to(page, &mut sum).then_some(())?;
            append(&mut places, memory.address(place));
        }
        copies += usize::from(source == Source::Copy);
    }
    Some(Sendable { places, sum: sum.value(), _patched: patched, copies })
}

/// Adds a page; one that follows the last makes that longer.
fn append(places: &mut Vec<(u64, u64)>, address: u64) {
    match places.last_mut() {
        Some((start, bytes)) if *start + *bytes == address => *bytes += PAGE_SIZE,
        _ => places.push((address, PAGE_SIZE)),
    }
}

fn saving(state: &State) -> Outcome<()> {
    if state.save.is_some() || state.copying.is_some() {
        Ok(())
    } else {
        Err(failure(FailureKind::State, "no save is on"))
    }
}

fn start_search(state: &mut State, kind: WaitKind, stopped: Vec<Place>) -> Result<(), Status> {
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
        if kind == WaitKind::Mutex {
            step::set_trap(&state.environment, place, true)?;
        }
        going.push(place);
    }
    release(&state.environment, &going)?;
    state.search = Some(search);
    Ok(())
}

/// Stops a thread; whether it was stopped before, and whether it is a server without a request.
fn waits_for_requests(environment: &Environment, place: Place) -> Result<(bool, bool), Status> {
    let on = OwnedReference::new()?;
    let links = Links::NONE.with(thread_link::WAITING_FOR, on.at());
    let state = environment.flob::<Thread>(place).get_groups(&links, group::CONTROL)?;
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
pub fn give_up_search(state: &mut State) {
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
pub fn step_of_search(
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
    if kind != WaitKind::Mutex || !holds_a_mutex(state, place)? {
        return Ok(false);
    }
    let Some(seen) = threads::seize(&state.environment, place)? else { return Ok(false) };
    step::clear_exception(&state.environment, place, &seen.state.exception)?;
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

fn places(environment: &Environment, kind: FlobKind) -> Result<Vec<Place>, Status> {
    let flobs = environment.flobs()?;
    Ok(flobs.iter().filter(|flob| flob.kind == kind).map(|flob| flob.place).collect())
}

fn threads_to_look_at(state: &mut State) -> Result<Vec<Place>, Status> {
    let Some(search) = &mut state.search else { return places(&state.environment, FlobKind::Thread) };
    if search.looks.is_multiple_of(LIST_EVERY) {
        search.threads = places(&state.environment, FlobKind::Thread)?;
        search.mutexes = places(&state.environment, FlobKind::Mutex)?;
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
