//! Saving and rolling back. For a save the child stands still only while it is looked at ([`take`]); then it runs on, and the
//! scribe ([`super::scribe`]) does the rest.

use alloc::{format, string::ToString, vec::Vec};
use core::sync::atomic::{AtomicU64, Ordering};

use flob_abi::{Status, state::group};
use flob_checkpointer::{
    Bearings, Draft, Record, Unknown, World,
    border::{Server, of_server},
    in_one_go, rebuild, release, release_known, resume, stop_all,
};
use flob_image::{Border, Environment as Image, Place};
use flob_runtime::{
    flob::{FlobAt, OwnedReference, Reference, current},
    service::clock,
    start,
};

use super::denial::REGION;
use super::generations::Checkpoint;
use super::give_up::{cause, give_up, say};
use super::joiners;
use super::launch::ceiling_and_debug_port;
use super::scribe::{Work, Written, adapt};
use super::state::{Death, Nester, Shared, State};

/// How many checkpoints were begun; odd while one is being taken. For whoever looks from outside.
#[unsafe(no_mangle)]
static CHECKPOINTS_BEGUN_AND_ENDED: AtomicU64 = AtomicU64::new(0);

/// The ticker: says when the next checkpoint is due. It counts from the end of the last one, or of a roll back, so that the child has
/// all that time to run in, however long these take.
pub fn tick(nester: &Nester, every: u64) {
    loop {
        let rollbacks = nester.lock().rollbacks;
        let until = clock::now().unwrap_or(0).saturating_add(every);
        let _ = clock::sleep_until(until);
        let mut state = nester.lock();
        if state.rollbacks != rollbacks {
            continue;
        }
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
            None => {
                drop(state);
                save(nester);
                state = nester.lock();
            }
        }
        state.is_due = false;
        nester.saved.signal();
    }
}

/// Takes a checkpoint; if that fails, the last one stays the last good one. Whoever dies meanwhile is rolled back to this one.
fn save(nester: &Nester) {
    CHECKPOINTS_BEGUN_AND_ENDED.fetch_add(1, Ordering::SeqCst);
    // The last epoch dropped this program's translations: found again one by one, they would keep the child waiting.
    start::touch_image();
    let from = clock::ticks();
    let mut state = nester.lock();
    // The child may have died since that was looked at.
    if state.death.is_none() {
        match take(nester, &mut state) {
            Ok(work) => {
                state.work = Some(work);
                nester.scribe.signal();
                let stood = clock::ticks().wrapping_sub(from);
                let mut state = nester.written.wait_until(state, |state| state.written.is_some());
                finish(&mut state, stood);
            }
            Err(status) => say(&format!("no checkpoint could be taken: {}", status.text())),
        }
    }
    CHECKPOINTS_BEGUN_AND_ENDED.fetch_add(1, Ordering::SeqCst);
}

/// All that is done while the child stands still.
fn take(nester: &Nester, state: &mut State) -> Result<Work, Status> {
    let environment = &nester.environment;
    let head = Image {
        program: state.program.clone(),
        arguments: state.arguments.clone(),
        build_id: state.build_id.clone(),
        size: environment.size(),
        ..Image::default()
    };
    let keeper = nester.denials.reference(REGION).ok_or(Status::NoMemory)?;
    let bearings = bearings(nester, state)?;
    let side = state.checkpoints.make_room();
    let mut stopped = Vec::new();
    let draft = in_one_go(|| see(nester, state, (&head, &bearings), &mut stopped));
    let draft = draft.and_then(|draft| nester.mirror.lock().begin(environment, keeper, side).map(|()| draft));
    let released = match &draft {
        Ok(draft) => release_known(environment, draft.threads(), stopped.iter().copied()),
        Err(_) => release(environment, &stopped),
    };
    if let Err(status) = released {
        say(&format!("a thread of the child could not go on: {}", status.text()));
    }
    draft.map(|draft| Work { draft, bearings, head, stopped, asked: state.input.asked(), side })
}

/// What lies outside.
fn bearings(nester: &Nester, state: &State) -> Result<Bearings<'static>, Status> {
    let mut hidden: Vec<_> = state.own.iter().map(OwnedReference::at).collect();
    hidden.push(nester.debug_port.at());
    Bearings::new(&nester.tags(), &hidden)
}

/// Stops all that runs and looks at everything: at once, if it is not too much for that. Those that it stops are added, ascending by place.
fn see(
    nester: &Nester,
    state: &mut State,
    (head, bearings): (&Image, &Bearings<'_>),
    stopped: &mut Vec<Place>,
) -> Result<Draft, Status> {
    let environment = &nester.environment;
    let mut sights = core::mem::take(&mut state.sights);
    let is_told = sights.take(environment);
    stopped.extend(&sights.ran);
    stopped.sort_unstable();
    if is_told? {
        return Draft::of_told(sights, environment, bearings, borders(nester, state)?);
    }
    state.sights = sights;
    stopped.extend(stop_all(environment)?);
    stopped.sort_unstable();
    let listed = environment.flobs()?;
    let adapt = |flob: &mut _| adapt(flob, stopped);
    Draft::of_listed(environment, bearings, borders(nester, state)?, head, (&listed, group::ALL), adapt)
}

/// The scribe has done its work: this is the last good checkpoint, unless something went wrong.
fn finish(state: &mut State, stood: u64) {
    let Some(Written { record, sights, flobs, asked, side, beside_record, copied }) = state.written.take()
    else {
        return;
    };
    if let Some(sights) = sights {
        state.sights = sights;
    }
    let Ok(record) = record else {
        say("the record of a checkpoint could not be made: the one before stays the last");
        return;
    };
    let (bytes, beside_copying) = (record.len(), copied.for_child - beside_record);
    let number = state.checkpoints.push(record, side, asked);
    state.input.forget(state.checkpoints.asked());
    say(&format!(
        "checkpoint {number}: {flobs} flobs in {bytes} bytes, {} pages written since the one before the last; the child stood for {stood} ticks, and \
         began to write {beside_record} pages while the record was made, {beside_copying} while the rest was copied",
        copied.pages
    ));
}

/// Every request that has crossed the border and has not been answered.
fn borders(nester: &Nester, state: &State) -> Result<Vec<Border>, Status> {
    let mut borders: Vec<Border> = state.joins.iter().map(|join| join.border.clone()).collect();
    let client = OwnedReference::new()?;
    for servant in &state.servants {
        let joined = servant.joined.as_ref();
        let name = |alias| {
            joined.map(|joined| joined.service).or_else(|| nester.desk.name(alias)).unwrap_or_default()
        };
        let in_hand =
            servant.hand.get().map(|(alias, bytes)| (nester.desk.name(alias).unwrap_or_default(), bytes));
        let server = Server {
            thread: servant.thread,
            inbox: &servant.inbox,
            in_hand,
            answered: &servant.answered,
            name,
            client: joined.map(|joined| joined.connection.client()),
        };
        borders.extend(of_server(&nester.environment, &server, client.at())?);
    }
    Ok(borders)
}

/// Makes the child what it was at a good checkpoint, or gives up.
fn roll_back(nester: &Shared, state: &mut State, own: FlobAt<Reference>, death: Death) {
    let Some(checkpoint) = state.checkpoints.choose() else { give_up(&death, "there is no checkpoint yet") };
    if state.rollbacks >= nester.limit {
        give_up(&death, "it was rolled back as often as it may be");
    }
    state.rollbacks += 1;
    say(&format!(
        "the child died of {}: rolled back to checkpoint {}, for the {}. time of {}",
        cause(&death),
        checkpoint.number,
        state.rollbacks,
        nester.limit
    ));
    if let Err(why) = put_back(nester, state, own, &checkpoint) {
        give_up(&death, &why);
    }
}

fn put_back(
    nester: &Shared,
    state: &mut State,
    own: FlobAt<Reference>,
    checkpoint: &Checkpoint,
) -> Result<(), alloc::string::String> {
    let kernel = |status: Status| format!("the kernel refused: {}", status.text());
    let environment = &nester.environment;
    let record = Record::read(&checkpoint.record).map_err(|_| "the checkpoint is damaged".to_string())?;
    environment.clear().map_err(kernel)?;
    nester.mirror.lock().put_back(environment, checkpoint.side);
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
