//! Watchpoints that the debug registers cannot do: more than they are, larger, or of reads alone. The pages that they are in are denied
//! at the environment's region ([`super::denial`]). Who accesses one is stopped; what the access touches is noted; then that thread
//! alone runs the one instruction with the page open ([`step::Obstacle::Page`]), and at its end what was noted is told, or nothing.
//!
//! An access of the kernel's for a thread, as a message that arrives, is no instruction that could be stepped alone: its peer may have
//! to run. So the page is open until the call is over (or nothing runs any more), and then the bytes are compared with what they were.

use alloc::{collections::BTreeMap, vec, vec::Vec};

use crate::{
    operand,
    page_watches::{PageWatches, Touch},
    translate::Translator,
};
use flob_abi::{ExceptionCode, PAGE_SIZE, Protection, Registers, Status, ipc};
use flob_checkpointer::denial::Denied;
use flob_image::Place;
use flob_link::{Access, Hit, Reply, Watch};

use super::adjustment::Adjustment;
use super::denial;
use super::failure::{Outcome, refused};
use super::memory::SpaceMemory;
use super::state::{Nester, State};
use super::step::{self, Obstacle, Purpose};
use super::threads::{Seen, seize, space_in_passing, translator, was_stopped};

/// What is watched so, and what is under way.
#[derive(Default)]
pub struct PageWatching {
    watches: PageWatches,
    /// What threads under way in an access have touched.
    notes: BTreeMap<Place, Note>,
    /// Pages that are open for calls of these threads.
    open: Vec<(Place, u64)>,
    /// Instructions that have met a watched page, by space and address: how many bytes each accesses; `None`: a call. To find one
    /// all mappings are looked at.
    known: BTreeMap<(Place, u64), Option<u64>>,
}

/// What is known of an access that is under way.
#[derive(Default)]
struct Note {
    hits: Vec<Hit>,
    /// Watched memory that the kernel may write: where the thread sees it, where it is, what was there.
    before: Vec<(u64, Access, Place, Vec<u8>)>,
}

/// What becomes of an access that was denied.
pub enum Verdict {
    /// It is let through.
    Open,
    /// The thread was stopped: it tries again when its turn has come.
    Taken,
}

/// What of the environment's memory may be accessed without being looked at.
pub fn protection(state: &State) -> Protection {
    state.page_watching.watches.protection()
}

/// Watches this; it may be watched so already. There need not be any memory yet.
pub fn set(nester: &Nester, state: &mut State, watch: Watch) -> Outcome<Reply> {
    let translator = translator(nester, state).map_err(refused)?;
    state.page_watching.watches.add(watch);
    settle(nester, state, &translator).map_err(refused)?;
    Ok(Reply::Done)
}

/// Ends that; whether it was watched so.
pub fn clear(nester: &Nester, state: &mut State, watch: Watch) -> Outcome<bool> {
    if !state.page_watching.watches.remove(watch) {
        return Ok(false);
    }
    let translator = translator(nester, state).map_err(refused)?;
    settle(nester, state, &translator).map_err(refused)?;
    Ok(true)
}

/// Whether this is watched so.
pub fn is_watched(state: &State, watch: &Watch) -> bool {
    state.page_watching.watches.contains(watch)
}

/// All that is watched so.
pub fn all(state: &State) -> Vec<Watch> {
    state.page_watching.watches.all().collect()
}

/// The environment is another one: what is watched lies elsewhere.
pub fn environment_replaced(nester: &Nester, state: &mut State) -> Result<(), Status> {
    state.page_watching.notes.clear();
    state.page_watching.open.clear();
    if state.page_watching.watches.all().next().is_none() {
        return Ok(());
    }
    let translator = translator(nester, state)?;
    settle(nester, state, &translator)
}

/// Where things are may have changed since something was watched last.
fn settle(nester: &Nester, state: &mut State, translator: &Translator) -> Result<(), Status> {
    find_pages(state, translator);
    denial::update(nester, state)
}

fn find_pages(state: &mut State, translator: &Translator) {
    state.page_watching.known.clear();
    let watches: Vec<Watch> = state.page_watching.watches.all().collect();
    let all = watches.iter().flat_map(|watch| pages(translator, *watch).map(|page| (*watch, page)));
    state.page_watching.watches.set_pages(all);
}

/// A thread accesses memory where something is watched, maybe for the first time since it was mapped there.
fn look_for_new(nester: &Nester, state: &mut State, place: Place, address: u64) -> Result<(), Status> {
    let space = space_in_passing(state, place)?;
    if space.is_some_and(|space| state.page_watching.watches.is_in_page(space, address)) {
        let translator = translator(nester, state)?;
        find_pages(state, &translator);
    }
    Ok(())
}

/// The pages of the environment that something watched is in.
fn pages(translator: &Translator, watch: Watch) -> impl Iterator<Item = u64> {
    let last = watch.address.saturating_add(u64::from(watch.bytes).saturating_sub(1)) / PAGE_SIZE;
    let places = (watch.address / PAGE_SIZE..=last)
        .filter_map(move |page| translator.place(watch.space, (page * PAGE_SIZE).max(watch.address)));
    places.map(|place| place / PAGE_SIZE)
}

/// A thread was denied an access to a page. `None` if that is not for us.
pub fn denied(nester: &Nester, state: &mut State, denied: &Denied) -> Option<Verdict> {
    let Denied { access, page, thread, address, .. } = *denied;
    // Only threads of the environment are watched.
    let place = thread.and_then(|thread| thread.locate(state.environment.region()).ok());
    if let Some(place) = place
        && state.page_watching.watches.may_be_new(page, address)
    {
        // A thread that is gone accesses nothing.
        let _ = look_for_new(nester, state, place, address);
    }
    if !state.page_watching.watches.denies(page, access) {
        return None;
    }
    let Some(place) = place.filter(|place| !is_open(state, *place, page)) else { return Some(Verdict::Open) };
    // Who cannot be stopped must not be kept.
    Some(look(nester, state, denied, place).unwrap_or(Verdict::Open))
}

fn is_open(state: &State, place: Place, page: u64) -> bool {
    state.page_watching.open.iter().any(|(_, open)| *open == page) || step::has_opened(state, place, page)
}

fn look(nester: &Nester, state: &mut State, denied: &Denied, place: Place) -> Result<Verdict, Status> {
    let Some(seen) = seize(state, place)? else { return Ok(Verdict::Open) };
    let thread = Adjustment::of(place, &seen.state);
    let exception = seen.state.exception;
    if was_stopped(&seen)
        || exception.number != denied.number
        || exception.code != ExceptionCode::PageFault as u32
    {
        // Somebody stopped it meanwhile, or this is an old one: it asks again when it runs.
        if !was_stopped(&seen) {
            thread.run().apply(&state.environment)?;
        }
        return Ok(Verdict::Taken);
    }
    let (thread, page) = (thread.without_exception(), denied.page);
    let width = width(nester, state, &seen)?;
    let is_call = width.is_none();
    match width {
        None => note_call(&translator(nester, state)?, state, place, &seen, denied),
        Some(bytes) => note(state, place, &seen, denied, bytes),
    }
    if step::open(state, place, page) {
        // It is alone already, and stepped.
        thread.run().apply(&state.environment)?;
    } else if is_call {
        state.page_watching.open.push((place, page));
        step::along(state, thread)?;
    } else {
        let purpose = state.stepping.purpose(place).unwrap_or(Purpose::Continue);
        step::begin_at(state, thread, purpose, Some(Obstacle::Page(page)))?;
    }
    Ok(Verdict::Taken)
}

/// How many bytes a thread's instruction accesses; `None` if it is a call.
fn width(nester: &Nester, state: &mut State, seen: &Seen) -> Result<Option<u64>, Status> {
    let key = (seen.space.unwrap_or(Place::MAX), seen.state.registers.rip);
    if let Some(width) = state.page_watching.known.get(&key) {
        return Ok(*width);
    }
    let translator = translator(nester, state)?;
    let instruction = instruction(state, &translator, seen);
    let width = (!operand::is_call(&instruction)).then(|| operand::width(&instruction));
    state.page_watching.known.insert(key, width);
    Ok(width)
}

/// The bytes at a thread's instruction, the program's own.
fn instruction(state: &State, translator: &Translator, seen: &Seen) -> Vec<u8> {
    let Some(space) = seen.space else { return Vec::new() };
    let mut bytes = vec![0; operand::LONGEST];
    let count = SpaceMemory::new(state, translator, space).read(seen.state.registers.rip, &mut bytes);
    bytes.truncate(count);
    bytes
}

/// An instruction accesses so many bytes.
fn note(state: &mut State, place: Place, seen: &Seen, denied: &Denied, bytes: u64) {
    let writes = denied.access.allows(Protection::WRITE);
    let is_fetch = denied.access.allows(Protection::EXECUTE);
    let touch = Touch { address: denied.address, bytes, writes };
    let PageWatching { watches, notes, .. } = &mut state.page_watching;
    let note = notes.entry(place).or_default();
    if let Some(space) = seen.space.filter(|_| !is_fetch) {
        note.hits.extend(watches.hits(space, touch));
    }
}

/// The kernel reads this for a thread's call, or may write into this page.
fn note_call(translator: &Translator, state: &mut State, place: Place, seen: &Seen, denied: &Denied) {
    let Some(space) = seen.space else { return };
    if !denied.access.allows(Protection::WRITE) {
        let bytes = sent_from(&seen.state.registers, denied.address);
        return note(state, place, seen, denied, bytes);
    }
    let rest = PAGE_SIZE - denied.address % PAGE_SIZE;
    let watched = state.page_watching.watches.written_within(space, denied.address, rest);
    let before = watched.into_iter().filter_map(|(address, bytes, access)| {
        let at = translator.place(space, address)?;
        let mut now = vec![0; usize::try_from(bytes).ok()?];
        state.environment.memory().read(at, &mut now).then_some((address, access, at, now))
    });
    let before: Vec<_> = before.collect();
    state.page_watching.notes.entry(place).or_default().before.extend(before);
}

/// The bytes of something else that is watched for writes, before a thread makes a step.
pub fn note_bytes(state: &mut State, place: Place, watch: Watch, at: Place) {
    let mut now = vec![0; watch.bytes as usize];
    if state.environment.memory().read(at, &mut now) {
        let note = state.page_watching.notes.entry(place).or_default();
        note.before.retain(|(address, _, of, _)| (*address, *of) != (watch.address, at));
        note.before.push((watch.address, watch.access, at, now));
    }
}

/// How many bytes of a message that a thread sends begin here: of what else the kernel reads, a word.
fn sent_from(registers: &Registers, address: u64) -> u64 {
    let is_message = registers.rax & ipc::IPC != 0 && registers.rax & ipc::SHORT == 0;
    let inside = address.checked_sub(registers.rsi).filter(|offset| is_message && *offset < registers.rdx);
    inside.map_or(8, |offset| registers.rdx - offset)
}

/// A thread has made its step: what of what it touched is to be told.
pub fn outcome(state: &mut State, place: Place) -> Vec<Hit> {
    close(state, place);
    let Some(note) = state.page_watching.notes.remove(&place) else { return Vec::new() };
    let memory = state.environment.memory();
    let changed = note.before.into_iter().filter_map(|(address, access, at, before)| {
        let mut now = vec![0; before.len()];
        let differs =
            memory.read(at, &mut now).then(|| now.iter().zip(&before).position(|(now, was)| now != was));
        Some(Hit { address: address + differs.flatten()? as u64, access })
    });
    let mut hits = note.hits;
    hits.extend(changed);
    hits
}

/// A thread does not make its step: what it touched is nobody's business.
pub fn forget(state: &mut State, place: Place) {
    close(state, place);
    state.page_watching.notes.remove(&place);
}

/// Nothing runs: no call goes on, and no page need be open for one.
pub fn child_is_idle(state: &mut State) {
    if !core::mem::take(&mut state.page_watching.open).is_empty() {
        renew(state);
    }
}

fn close(state: &mut State, place: Place) {
    let before = state.page_watching.open.len();
    state.page_watching.open.retain(|(of, _)| *of != place);
    if state.page_watching.open.len() < before {
        renew(state);
    }
}

/// Denies again what was let through.
pub fn renew(state: &State) {
    // A region that cannot be set denies what it denied.
    let _ = state.environment.region().protect(denial::protection(state));
}
