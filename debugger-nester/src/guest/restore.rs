//! Restoring: a second environment is built beside the present one and replaces it when all of it is there.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use crate::{
    held::Held,
    streams::{Input, Output},
};
use flob_abi::{FlobKind, PAGE_SIZE, state::group};
use flob_checkpointer::{RebuildError, Record, Unknown, World, pages::PageSet, rebuild};
use flob_image::{Border, Environment as Image, Place, Stream};
use flob_link::{Event, FailureKind, Mark, Reply, Run, pack::unpack, trace::What};
use flob_runtime::{
    flob::{FlobAt, Links, OwnedReference, Reference, Thread},
    nester::Parked,
    service::{clock, messages::ParentRequest},
};

use super::copying;
use super::failure::{Outcome, failure, refused};
use super::lazy::Lazy;
use super::state::{Clock, Nester, ParkedCall, Program, ReadyAnswer, State};
use super::{
    catch, denial, exceptions, lazy, memory, page_watch, record, sending, services, step, trace, watch,
};

/// Most bytes of a record.
const MAX_RECORD: u64 = 12 << 20;

/// A restore that is on. Its memory is already in the spare environment.
pub struct Restore {
    record: Vec<u8>,
    size: u64,
    /// Of a lazy one: pages that have not come.
    missing: Option<PageSet>,
    /// What has not come is zero already.
    is_clear: bool,
}

fn not_on() -> flob_link::Failure {
    failure(FailureKind::State, "no restore is on")
}

/// `RestoreBegin`.
pub fn begin(
    nester: &Nester,
    state: &mut State,
    (record, size): (u64, u64),
    is_lazy: bool,
) -> Outcome<Reply> {
    let from = clock::ticks();
    abandon(state)?;
    // A save of a host that is gone has its copies there.
    copying::end(nester, state).map_err(refused)?;
    let room = state.spare.memory().size();
    if size > room || !size.is_multiple_of(PAGE_SIZE) {
        let text = format!("the image has {size} bytes of memory, this guest has room for {room}");
        return Err(failure(FailureKind::Memory, text));
    }
    let record = room_for(record)?;
    state.spare.resize(size).map_err(refused)?;
    let pages = size / PAGE_SIZE;
    if !state.spare_is_clear {
        // What never comes is zero; of a lazy one that is only what lies behind its memory.
        state.spare.memory().clear_from(if is_lazy { pages } else { 0 });
        state.spare_is_clear = !is_lazy;
    }
    let missing = is_lazy.then(|| PageSet::full(pages));
    state.restore = Some(Restore { record, size, missing, is_clear: state.spare_is_clear });
    state.restore_ticks = clock::ticks().wrapping_sub(from);
    Ok(Reply::Restoring { environment: state.replaced.wrapping_add(1) })
}

/// Room for a record of so many bytes.
fn room_for(record: u64) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    let count = usize::try_from(record.min(MAX_RECORD + 1)).unwrap_or(0);
    if record > MAX_RECORD || bytes.try_reserve_exact(count).is_err() {
        return Err(failure(FailureKind::Memory, "the record of the image is too large for this guest"));
    }
    bytes.resize(count, 0);
    Ok(bytes)
}

/// `RestoreRecordSize`.
pub fn resize_record(state: &mut State, record: u64) -> Outcome<Reply> {
    let restore = state.restore.as_mut().ok_or_else(not_on)?;
    restore.record = room_for(record)?;
    Ok(Reply::Done)
}

/// `RestoreRecord`.
pub fn take_record(state: &mut State, offset: u64, bytes: &[u8]) -> Outcome<Reply> {
    let restore = state.restore.as_mut().ok_or_else(not_on)?;
    let start = usize::try_from(offset).ok();
    let range = start.and_then(|start| Some(start..start.checked_add(bytes.len())?));
    match range.and_then(|range| restore.record.get_mut(range)) {
        Some(part) => part.copy_from_slice(bytes),
        None => return Err(failure(FailureKind::Invalid, "this is beyond the record's end")),
    }
    Ok(Reply::Done)
}

/// `RestorePages`.
pub fn pages(state: &mut State, runs: &[Run], bulk: &[u8]) -> Outcome<Reply> {
    let restore = state.restore.as_mut().ok_or_else(not_on)?;
    sending::check_runs(runs, state.capacity.to_guest, restore.size)?;
    state.spare_is_clear = false;
    if let Some(missing) = &mut restore.missing {
        for page in sending::numbers(runs) {
            missing.remove(page);
        }
    }
    let mut rest = bulk;
    for run in runs {
        let count = run.count as usize * PAGE_SIZE as usize;
        let Some((pages, behind)) = rest.split_at_checked(count) else { break };
        let written = state.spare.memory().write(run.first.saturating_mul(PAGE_SIZE), pages);
        debug_assert!(written, "the runs were checked");
        rest = behind;
    }
    let count: u64 = runs.iter().map(|run| u64::from(run.count)).sum();
    if count * PAGE_SIZE == bulk.len() as u64 {
        Ok(Reply::Done)
    } else {
        Err(failure(FailureKind::Invalid, "these are not the bytes of so many pages"))
    }
}

/// `RestorePacked`.
pub fn packed(state: &mut State, runs: &[Run], packed: &[u8]) -> Outcome<Reply> {
    let restore = state.restore.as_ref().ok_or_else(not_on)?;
    sending::check_runs(runs, state.capacity.to_guest, restore.size)?;
    let count: usize = runs.iter().map(|run| run.count as usize).sum();
    let bulk = unpack(packed, count * PAGE_SIZE as usize);
    let bulk = bulk.ok_or_else(|| failure(FailureKind::Invalid, "these are no packed pages"))?;
    pages(state, runs, &bulk)
}

/// `RestoreAbandon`.
pub fn abandon(state: &mut State) -> Outcome<Reply> {
    if state.restore.take().is_some() {
        state.spare.remove_flobs().map_err(refused)?;
    }
    Ok(Reply::Done)
}

/// `RestoreCommit`.
pub fn commit(nester: &Nester, state: &mut State, force: bool) -> Outcome<Reply> {
    let from = clock::ticks();
    let restore = state.restore.as_mut().ok_or_else(not_on)?;
    let bytes = core::mem::take(&mut restore.record);
    let (missing, is_clear) = (restore.missing.take(), restore.is_clear);
    let size = restore.size;
    let mark = state.mark().map_err(refused)?;
    let after = missing.map(|missing| Lazy::new(missing, is_clear, size / PAGE_SIZE, mark.epoch));
    let image = Record::read(&bytes).ok().filter(|image| image.environment.size == size);
    let built = match &image {
        Some(image) => build(nester, state, image, force).map_err(|error| error.to_string()),
        None => Err(String::from("the record of the image is damaged")),
    };
    match (built, image) {
        (Ok(threads), Some(image)) => {
            replace(nester, state, (&image.environment, after), threads, What::Restored).map_err(refused)?;
            state.restore_ticks = state.restore_ticks.wrapping_add(clock::ticks().wrapping_sub(from));
            let mark = Mark { environment: state.replaced, ..mark };
            state.tell(nester, Event::Restored(mark));
            // A program that had ended when it was saved has ended here too.
            if let Some(code) = state.exit {
                state.tell(nester, Event::Exited { code });
            }
            services::retry_parked(nester, state);
            nester.sleepers.broadcast();
            Ok(Reply::Replaced(mark))
        }
        (Err(text), _) => {
            abandon(state)?;
            Err(failure(FailureKind::Invalid, text))
        }
        (Ok(_), None) => Err(not_on()),
    }
}

fn build(
    nester: &Nester,
    state: &State,
    image: &Record<'_>,
    force: bool,
) -> Result<Vec<Place>, RebuildError> {
    let tags = nester.tags(&state.spare);
    rebuild(&state.spare, image, &world(nester, state, &tags, force))
}

/// What an image is joined to here.
pub fn world<'a>(
    nester: &Nester,
    state: &State,
    tags: &'a [(&'a str, FlobAt<Reference>)],
    force: bool,
) -> World<'a> {
    World {
        tags,
        server: state.own.carrier.at(),
        debug_port: nester.faults.reference(exceptions::DEBUG),
        ceiling: state.own.ceiling.saturating_sub(2),
        unknown: if force { Unknown::Null } else { Unknown::Refuse },
    }
}

/// The new environment takes the place of the old one, which is destroyed.
pub fn replace(
    nester: &Nester,
    state: &mut State,
    (image, after): (&Image, Option<Lazy>),
    threads: Vec<Place>,
    by: What,
) -> Result<(), flob_runtime::abi::Status> {
    state.restore = None;
    state.save = None;
    state.search = None;
    step::forget_all(state);
    let wanted = state.breakpoints.take();
    forget_requests(state);
    let old = core::mem::replace(&mut state.environment, Arc::clone(&state.spare));
    old.remove_flobs()?;
    denial::end(nester, &old)?;
    state.spare = old;
    state.spare_is_clear = core::mem::take(&mut state.is_clear);
    state.replaced = state.replaced.wrapping_add(1);
    state.lazy = after;
    denial::update(nester, state)?;
    lazy::become_whole(nester, state)?;
    // Who waits for pages of the old one waits no longer.
    nester.arrived.broadcast();
    record::find_bearings(nester, state)?;
    state.held = Held::only(threads);
    state.until_stop.clear();
    let Image { program, arguments, build_id, .. } = image;
    let (name, arguments, build_id) = (program.clone(), arguments.clone(), build_id.clone());
    state.program = Arc::new(Program { name, arguments, build_id });
    state.exit = image.exit;
    streams(state, image);
    for border in &image.borders {
        join(state, border)?;
    }
    for (wanted, conditions) in wanted {
        // Where the code is not there any more the breakpoint is not either.
        let _ = memory::set_breakpoint(nester, state, wanted, conditions);
    }
    watch::environment_replaced(nester, state)?;
    page_watch::environment_replaced(nester, state)?;
    catch::environment_replaced(state)?;
    trace::environment_replaced(nester, state, by);
    Ok(())
}

fn streams(state: &mut State, image: &Image) {
    let find = |name: &str| {
        let stream = image.streams.iter().find(|stream| stream.name == name);
        stream.map(|stream| (stream.position, stream.hash))
    };
    let stream = |name: &str| find(name).unwrap_or_default();
    let start = Input::default().consumed();
    let consumed = find("stdin").filter(|(position, _)| *position > 0).unwrap_or(start);
    state.input = Input::resumed(consumed, find(Stream::STDIN_GIVEN).unwrap_or(consumed));
    state.stdout = Output { position: stream("stdout").0 };
    state.stderr = Output { position: stream("stderr").0 };
    state.input_announced = None;
    let now = clock::now().unwrap_or(0);
    state.clock = Clock { offset: image.clock.wrapping_sub(now), last: image.clock };
}

/// The environment was rebuilt where it was: its connections across the border are joined again, in place of those it had.
pub fn rejoin(nester: &Nester, state: &mut State, image: &Image) -> Result<(), flob_runtime::abi::Status> {
    forget_requests(state);
    for border in &image.borders {
        join(state, border)?;
    }
    services::retry_parked(nester, state);
    nester.sleepers.broadcast();
    Ok(())
}

/// Their clients are gone, or are made anew.
fn forget_requests(state: &mut State) {
    state.parked.clear();
    state.ready.clear();
    state.halves.clear();
    state.carriers.forget();
}

/// Has a connection across the border go on: its request is received to its end, or put again, or the rest of its reply is sent.
fn join(state: &mut State, border: &Border) -> Result<(), flob_runtime::abi::Status> {
    let Some(service) = services::NAMES.iter().copied().find(|name| *name == border.service) else {
        return Ok(());
    };
    if state.environment.kind_at(border.client) != Some(FlobKind::Thread) {
        return Ok(());
    }
    let client = state.environment.flob::<Thread>(border.client);
    let reference = OwnedReference::new()?;
    client.reference(reference.at())?;
    let connection = Parked::of(reference.at())?;
    let call = ParkedCall { connection, service, request: border.request.clone(), traced: None };
    if !border.whole {
        state.halves.push(call);
        return Ok(());
    }
    if border.reply.is_empty() {
        state.parked.push(call);
        return Ok(());
    }
    let delivered = usize::try_from(border.delivered).unwrap_or(usize::MAX);
    // All threads stand still yet.
    let registers = client.get_groups(&Links::NONE, group::REGISTERS)?.registers;
    let wants_reference = service == services::PARENT && registers.r13 > 0;
    let found = if wants_reference { looked_up(&border.request) } else { None };
    state.ready.push_back(ReadyAnswer {
        call,
        bytes: border.reply.clone(),
        delivered: Some(delivered.min(border.reply.len())),
        found,
    });
    Ok(())
}

/// The service that a request of the parent port asked for.
fn looked_up(request: &[u8]) -> Option<&'static str> {
    match postcard::from_bytes(request) {
        Ok(ParentRequest::Lookup { name }) => services::NAMES.iter().copied().find(|known| *known == name),
        _ => None,
    }
}
