//! Saving and rolling back. The child stands still meanwhile: see [`super::mirror`] for how long.

use alloc::{format, string::ToString, vec::Vec};
use core::sync::atomic::{AtomicU64, Ordering};

use flob_abi::state::thread_flag;
use flob_abi::{Status, flob::thread_link, state::group};
use flob_checkpointer::{
    Bearings, Record, Unknown, World,
    border::{Server, of_server},
    look_at_each, rebuild,
    record::Writer,
    release, resume, stop_all,
};
use flob_image::{Border, Environment as Image, Flob, Link, Place, State as FlobState};
use flob_runtime::{
    flob::{FlobAt, OwnedReference, Reference, current},
    service::clock,
};

use super::give_up::{cause, give_up, say};
use super::joiners;
use super::launch::ceiling_and_debug_port;
use super::state::{Checkpoint, Death, Nester, Shared, State};

/// How many checkpoints were begun; odd while one is being taken. For whoever looks from outside.
#[unsafe(no_mangle)]
static CHECKPOINTS_BEGUN_AND_ENDED: AtomicU64 = AtomicU64::new(0);

/// The ticker: says when the next checkpoint is due. It counts from the end of the last one, so that the child has all that
/// time to run in, however long a checkpoint takes.
pub fn tick(nester: &Nester, every: u64) {
    loop {
        let until = clock::now().unwrap_or(0).saturating_add(every);
        let _ = clock::sleep_until(until);
        let mut state = nester.lock();
        state.is_due = true;
        nester.saver.signal();
        drop(nester.saved.wait_until(state, |state| !state.is_due));
    }
}

/// The saver.
pub fn run(nester: &Shared) {
    let own = OwnedReference::new().and_then(|own| current().reference(own.at()).map(|()| own));
    let Ok(own) = own else { return };
    loop {
        let is_called = |state: &mut State| state.is_due || state.death.is_some();
        let mut state = nester.saver.wait_until(nester.lock(), is_called);
        match state.death.take() {
            _ if state.has_ended => {}
            Some(death) => roll_back(nester, &mut state, own.at(), death),
            None => save(nester, &mut state),
        }
        state.is_due = false;
        nester.saved.signal();
    }
}

/// Takes a checkpoint; if that fails, the last one stays the last good one.
fn save(nester: &Nester, state: &mut State) {
    CHECKPOINTS_BEGUN_AND_ENDED.fetch_add(1, Ordering::SeqCst);
    let taken = take(nester, state);
    CHECKPOINTS_BEGUN_AND_ENDED.fetch_add(1, Ordering::SeqCst);
    match taken {
        Ok((flobs, bytes, pages)) => {
            let number = state.last.as_ref().map_or(0, |last| last.number);
            say(&format!(
                "checkpoint {number}: {flobs} flobs in {bytes} bytes, {pages} pages written since the last"
            ));
        }
        Err(status) => say(&format!("no checkpoint could be taken: {}", status.text())),
    }
}

/// Flobs, bytes of the record, pages.
fn take(nester: &Nester, state: &mut State) -> Result<(usize, usize, u64), Status> {
    let stopped = stop_all(&nester.environment)?;
    let taken = record(nester, state, &stopped).and_then(|(flobs, record)| {
        let mirror = state.mirror.as_mut().ok_or(Status::NoMemory)?;
        Ok((flobs, mirror.update(&nester.environment)?, record))
    });
    let taken = taken.map(|(flobs, pages, record)| {
        let number = state.last.as_ref().map_or(1, |last| last.number + 1);
        let bytes = record.len();
        state.last = Some(Checkpoint { number, record });
        state.input.forget();
        (flobs, bytes, pages)
    });
    release(&nester.environment, &stopped)?;
    taken
}

/// The record of the child, as if those that were stopped for it ran.
fn record(nester: &Nester, state: &State, stopped: &[Place]) -> Result<(usize, Vec<u8>), Status> {
    let environment = &nester.environment;
    let mut borders = borders(nester, state)?;
    let clients: Vec<_> = borders.iter().map(|border| (border.client, border.service.clone())).collect();
    let clients: Vec<_> = clients.iter().map(|(client, service)| (*client, service.as_str())).collect();
    let tags = nester.tags();
    let mut hidden: Vec<_> = state.own.iter().map(OwnedReference::at).collect();
    hidden.push(nester.debug_port.at());
    let bearings = Bearings::new(&tags, &hidden)?;
    let listed = environment.flobs()?;
    let head = Image {
        program: state.program.clone(),
        arguments: state.arguments.clone(),
        build_id: state.build_id.clone(),
        size: environment.size(),
        ..Image::default()
    };
    let count = listed.len();
    let mut writer = Writer::new(&head, count).map_err(|_| Status::NoMemory)?;
    let mut to_let_go = stopped.to_vec();
    to_let_go.sort_unstable();
    let mut connected = Vec::new();
    look_at_each(environment, (&bearings, &clients), group::ALL, listed, |mut flob: Flob| {
        if let FlobState::Thread(thread) = &mut flob.state {
            if to_let_go.binary_search(&flob.place).is_ok() {
                thread.flags &= !thread_flag::STOPPED;
            }
            if matches!(flob.links.get(thread_link::CLIENT_PEER), Some(Link::External(_))) {
                connected.push(flob.place);
            }
        }
        writer.flob(&flob).map_err(|_| Status::NoMemory)
    })?;
    borders.retain(|border| connected.binary_search(&border.client).is_ok());
    let record = writer.end(&Image { borders, ..head }).map_err(|_| Status::NoMemory)?;
    Ok((count, record))
}

/// Every request that has crossed the border and has not been answered.
fn borders(nester: &Nester, state: &State) -> Result<Vec<Border>, Status> {
    let mut borders: Vec<Border> = state.joins.iter().map(|join| join.border.clone()).collect();
    let client = OwnedReference::new()?;
    for servant in &state.servants {
        let name = |alias| servant.joined.or_else(|| nester.desk.name(alias)).unwrap_or_default();
        let in_hand =
            servant.hand.get().map(|(alias, bytes)| (nester.desk.name(alias).unwrap_or_default(), bytes));
        let server = Server {
            thread: servant.thread,
            inbox: &servant.inbox,
            in_hand,
            answered: &servant.answered,
            name,
        };
        borders.extend(of_server(&nester.environment, &server, client.at())?);
    }
    Ok(borders)
}

/// Makes the child what it was at the last good checkpoint, or gives up.
fn roll_back(nester: &Shared, state: &mut State, own: FlobAt<Reference>, death: Death) {
    let Some(last) = state.last.take() else { give_up(&death, "there is no checkpoint yet") };
    if state.rollbacks >= nester.limit {
        give_up(&death, "it was rolled back as often as it may be");
    }
    state.rollbacks += 1;
    say(&format!(
        "the child died of {}: rolled back to checkpoint {}, for the {}. time of {}",
        cause(&death),
        last.number,
        state.rollbacks,
        nester.limit
    ));
    if let Err(why) = put_back(nester, state, own, &last) {
        give_up(&death, &why);
    }
    state.last = Some(last);
}

fn put_back(
    nester: &Shared,
    state: &mut State,
    own: FlobAt<Reference>,
    last: &Checkpoint,
) -> Result<(), alloc::string::String> {
    let kernel = |status: Status| format!("the kernel refused: {}", status.text());
    let environment = &nester.environment;
    let record = Record::read(&last.record).map_err(|_| "the checkpoint is damaged".to_string())?;
    environment.clear().map_err(kernel)?;
    state.mirror.as_ref().ok_or("there is no memory of it")?.put_back(environment);
    let tags = nester.tags();
    // Asked each time: after a restore under other nesters it may be lower.
    let ceiling = ceiling_and_debug_port(&nester.debug_port).map_err(kernel)?;
    let world = World {
        tags: &tags,
        server: own,
        debug_port: (!nester.debug_port.at().is_null()).then(|| nester.debug_port.at()),
        ceiling: ceiling.saturating_sub(2),
        unknown: Unknown::Null,
    };
    let threads = rebuild(environment, &record, &world).map_err(|error| error.to_string())?;
    joiners::join_all(nester, state, &record.environment.borders).map_err(kernel)?;
    threads.iter().try_for_each(|place| resume(environment, *place)).map_err(kernel)
}
