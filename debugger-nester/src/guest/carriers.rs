//! Threads that carry what does not cross the border at once: answers to requests that were parked, and what is left of transfers of
//! which an image has the first part. A client's memory is kept by whom it likes, who may take his time and may need another answer
//! before: so each load waits for its own client alone, and there is always a carrier for the next one.

use alloc::{sync::Arc, vec::Vec};

use flob_checkpointer::border::Hand;
use flob_runtime::{
    abi::Status,
    flob::{FlobAt, OwnedReference, Reference, Thread, current},
    ipc::ROOM,
    nester::ChildMemory,
    sync::Guard,
};

use super::launch;
use super::services;
use super::state::{Inbox, Nester, ParkedCall, ReadyAnswer, Shared, State};

const STACK: usize = 64 * 1024;
/// Most clients that are waited for at once; what comes then waits for one of these.
const MOST: usize = 64;

/// What a carrier has in hand.
pub enum Load {
    /// Into the child.
    Answer(ReadyAnswer),
    /// Out of the child: a request that is not whole, as it was in the image.
    Half(ParkedCall),
}

/// One of the threads.
pub struct Carrier {
    pub thread: FlobAt<Thread>,
    /// What it receives into, and what of that is a whole request.
    pub inbox: Inbox,
    pub load: Option<Load>,
}

/// All of them.
pub struct Carriers {
    pub all: Vec<Carrier>,
    idle: usize,
    most: usize,
}

impl Default for Carriers {
    fn default() -> Self {
        Self { all: Vec::new(), idle: 0, most: MOST }
    }
}

impl Carriers {
    /// Whether an answer is on its way.
    pub fn are_delivering(&self) -> bool {
        self.all.iter().any(|carrier| matches!(carrier.load, Some(Load::Answer(_))))
    }

    /// The clients of what they have in hand are gone, or are made anew.
    pub fn forget(&mut self) {
        self.all.iter_mut().for_each(|carrier| carrier.load = None);
    }

    fn give(&mut self, index: usize, load: Load) {
        if let Some(carrier) = self.all.get_mut(index) {
            carrier.load = Some(load);
        }
    }

    fn take_from(&mut self, index: usize) -> Option<Load> {
        self.all.get_mut(index)?.load.take()
    }
}

/// Makes sure that a carrier waits for the next load.
pub fn ensure_one_is_idle(nester: &Shared, state: &mut State) -> Result<(), Status> {
    let (idle, index) = (state.carriers.idle, state.carriers.all.len());
    if idle > 0 || index >= state.carriers.most {
        return Ok(());
    }
    // If this fails it is not tried again: the room would be lost each time.
    state.carriers.most = index;
    let room = ChildMemory::take(ROOM as u64).ok_or(Status::NoMemory)?;
    let (hand, shared) = (Hand::default(), Arc::clone(nester));
    let inbox = Inbox { room: room.peek(), hand: hand.clone() };
    let ceiling = state.own.ceiling;
    let thread = launch::start(&mut state.own, ceiling, STACK, move || run(&shared, index, room, &hand))?;
    state.carriers.all.push(Carrier { thread, inbox, load: None });
    state.carriers.idle += 1;
    state.carriers.most = MOST;
    Ok(())
}

/// A carrier's thread.
fn run(nester: &Shared, index: usize, mut room: ChildMemory, hand: &Hand) {
    let own = OwnedReference::new().and_then(|own| current().reference(own.at()).map(|()| own));
    let Ok(own) = own else { return };
    let mut state = nester.lock();
    loop {
        state = nester.deliver.wait_until(state, |state| is_there_work(state));
        let Some(load) = next(&mut state) else { continue };
        state.carriers.idle = state.carriers.idle.saturating_sub(1);
        // Without another one the next load waits for this one's client.
        let _ = ensure_one_is_idle(nester, &mut state);
        if is_there_work(&state) {
            nester.deliver.signal();
        }
        state = match load {
            Load::Answer(answer) => deliver(nester, state, (index, own.at()), answer),
            Load::Half(call) => receive_rest(nester, state, (index, own.at()), (&mut room, hand), call),
        };
        state.carriers.take_from(index);
        state.carriers.idle += 1;
    }
}

fn is_there_work(state: &State) -> bool {
    state.save.is_none() && !(state.halves.is_empty() && state.ready.is_empty())
}

fn next(state: &mut State) -> Option<Load> {
    let half = state.halves.pop().map(Load::Half);
    half.or_else(|| state.ready.pop_front().map(Load::Answer))
}

/// Makes the calling carrier the client's peer; `None` if there is nobody any more, else whether he has turned to receiving. See
/// [`flob_runtime::nester::Parked::rejoin`].
fn join(state: &State, call: &ParkedCall, own: FlobAt<Reference>) -> Option<bool> {
    let former: Vec<_> = state.own.all.iter().map(OwnedReference::at).collect();
    call.connection.rejoin(&state.environment, own, &former).ok().flatten()
}

fn deliver<'nester>(
    nester: &'nester Nester,
    mut state: Guard<'nester, State>,
    (index, own): (usize, FlobAt<Reference>),
    answer: ReadyAnswer,
) -> Guard<'nester, State> {
    let joined = join(&state, &answer.call, own);
    let found = answer.found.and_then(|name| nester.desk.reference(name));
    let connection = answer.call.connection.again();
    let bytes = answer.rest().to_vec();
    state.carriers.give(index, Load::Answer(answer));
    drop(state);
    if let (Some(is_begun), Ok(connection)) = (joined, connection) {
        // A client that is gone, or goes away now, needs no answer.
        let _ = connection.answer(&bytes, found.as_slice(), is_begun);
    }
    nester.lock()
}

fn receive_rest<'nester>(
    nester: &'nester Nester,
    mut state: Guard<'nester, State>,
    (index, own): (usize, FlobAt<Reference>),
    (room, hand): (&mut ChildMemory, &Hand),
    call: ParkedCall,
) -> Guard<'nester, State> {
    let (Some(_), Ok(connection)) = (join(&state, &call, own), call.connection.again()) else { return state };
    // Where whoever takes a checkpoint meanwhile finds it, with what has come by then.
    let begun = call.request.len();
    let buffer = room.buffer().get_mut(..ROOM).and_then(|room| room.split_at_mut_checked(begun));
    let Some((before, rest)) = buffer else { return state };
    before.copy_from_slice(&call.request);
    let alias = services::NAMES.iter().position(|name| *name == call.service).unwrap_or(0);
    state.carriers.give(index, Load::Half(call));
    drop(state);
    let received = connection.receive_rest(rest);
    if let Ok(count) = received {
        hand.set(alias, begun + count);
    }
    let mut state = nester.lock();
    hand.clear();
    // None if the environment is another one by now.
    if let (Some(Load::Half(mut call)), Ok(count)) = (state.carriers.take_from(index), received) {
        call.request.extend_from_slice(rest.get(..count).unwrap_or_default());
        state.parked.push(call);
        services::retry_parked(nester, &mut state);
    }
    state
}
