//! Requests out of a checkpoint: each is joined to a thread of its own, received to its end, put again, and answered.

use alloc::{sync::Arc, vec::Vec};

use flob_abi::{FlobKind, Status, state::group};
use flob_checkpointer::border::{Answered, Hand};
use flob_image::Border;
use flob_runtime::{
    flob::{FlobAt, Links, OwnedReference, Reference, Thread, current},
    ipc::ROOM,
    nester::{ChildMemory, Parked, Reply},
    service::messages::ParentRequest,
    thread::Builder,
};

use super::launch::note;
use super::requests::{NAMES, PARENT, known, serve};
use super::servers;
use super::state::{Join, Joined, Nester, Shared, State};

const STACK: usize = 32 * 1024;

/// Takes up all requests of a checkpoint.
pub fn join_all(nester: &Shared, state: &mut State, borders: &[Border]) -> Result<(), Status> {
    state.joins.clear();
    for border in borders {
        if nester.environment.kind_at(border.client) != Some(FlobKind::Thread)
            || known(&border.service).is_none()
        {
            continue;
        }
        let client = OwnedReference::new()?;
        nester.environment.flob::<Thread>(border.client).reference(client.at())?;
        let connection = Parked::of(client.at())?;
        state.joins.push_back(Join { connection, border: border.clone() });
    }
    while state.idle_joiners < state.joins.len() {
        start(nester, state)?;
    }
    nester.joins.broadcast();
    Ok(())
}

fn start(nester: &Shared, state: &mut State) -> Result<(), Status> {
    let inbox = ChildMemory::take(ROOM as u64).ok_or(Status::NoMemory)?;
    let (peek, hand, shared, index) =
        (inbox.peek(), Hand::default(), Arc::clone(nester), state.servants.len());
    let to_set = hand.clone();
    let handle = Builder::new().stack(STACK).spawn(move || run(&shared, index, inbox, &to_set))?;
    let thread = note(state, handle)?;
    servers::add(state, thread, peek, hand);
    state.idle_joiners += 1;
    Ok(())
}

fn run(nester: &Nester, index: usize, mut inbox: ChildMemory, hand: &Hand) {
    let own = OwnedReference::new().and_then(|own| current().reference(own.at()).map(|()| own));
    let Ok(own) = own else { return };
    loop {
        let mut state = nester.joins.wait_until(nester.lock(), |state| !state.joins.is_empty());
        let Some(join) = state.joins.pop_front() else { continue };
        state.idle_joiners = state.idle_joiners.saturating_sub(1);
        // Whoever rebuilt the client had it wait for the saver.
        let former: Vec<FlobAt<Reference>> = state.own.iter().map(OwnedReference::at).collect();
        let joined = join.connection.rejoin(&nester.environment, own.at(), &former);
        if let (Ok(Some(is_begun)), Some(service)) = (joined, known(&join.border.service)) {
            let rest = take_up(nester, (&mut state, index), (&mut inbox, hand), (service, &join));
            drop(state);
            let reply = rest.unwrap_or_else(|| serve_it(nester, index, (&mut inbox, hand), (service, &join)));
            if let Reply::Bytes { bytes, reference } = reply {
                // A client that is gone, or goes away now, needs no answer.
                let _ = join.connection.answer(&bytes, reference.as_slice(), is_begun);
            }
            state = nester.lock();
            if let Some(servant) = state.servants.get_mut(index) {
                servant.joined = None;
            }
        }
        state.idle_joiners += 1;
    }
}

/// From now on the connection is in the joiner's hands, for whoever takes a checkpoint: so it must be known at once how far it is. The
/// rest of its reply, if the client has some of it.
fn take_up(
    nester: &Nester,
    (state, index): (&mut State, usize),
    (inbox, hand): (&mut ChildMemory, &Hand),
    (service, join): (&'static str, &Join),
) -> Option<Reply> {
    let border = &join.border;
    let servant = state.servants.get_mut(index)?;
    servant.joined = join.connection.again().ok().map(|connection| Joined { service, connection });
    if !border.reply.is_empty() {
        let (request, reply) = (border.request.clone(), border.reply.clone());
        servant.answered = Answered { service, request, reply };
        return Some(rest_of_reply(nester, service, border));
    }
    if border.whole {
        hand_over(inbox, hand, service, &border.request);
    }
    None
}

/// The request is in the inbox, and in the hand.
fn hand_over(inbox: &mut ChildMemory, hand: &Hand, service: &str, request: &[u8]) {
    let alias = NAMES.iter().position(|name| *name == service).unwrap_or(0);
    if let Some(room) = inbox.buffer().get_mut(..request.len()) {
        room.copy_from_slice(request);
        hand.set(alias, request.len());
    }
}

/// Receives what is missing of the request, and finds the answer.
fn serve_it(
    nester: &Nester,
    index: usize,
    (inbox, hand): (&mut ChildMemory, &Hand),
    (service, Join { connection, border }): (&'static str, &Join),
) -> Reply {
    let mut request = border.request.clone();
    if !border.whole {
        let Some(room) = inbox.buffer().get_mut(..ROOM) else { return Reply::None };
        let Some((before, rest)) = room.split_at_mut_checked(request.len()) else { return Reply::None };
        before.copy_from_slice(&request);
        let Ok(count) = connection.receive_rest(rest) else { return Reply::None };
        request.extend_from_slice(rest.get(..count).unwrap_or_default());
        hand_over(inbox, hand, service, &request);
    }
    let reply = serve(nester, service, &request);
    servers::answered(nester, index, service, &request, &reply);
    hand.clear();
    reply
}

/// What the client has not taken of its reply.
fn rest_of_reply(nester: &Nester, service: &str, border: &Border) -> Reply {
    let delivered = usize::try_from(border.delivered).unwrap_or(usize::MAX);
    let bytes = border.reply.get(delivered..).unwrap_or_default().to_vec();
    let name = match postcard::from_bytes(&border.request) {
        Ok(ParentRequest::Lookup { name }) if service == PARENT && wants_reference(nester, border) => {
            Some(name)
        }
        _ => None,
    };
    Reply::Bytes { bytes, reference: name.and_then(|name| nester.desk.reference(name)) }
}

/// Whether the client still has room for a reference.
fn wants_reference(nester: &Nester, border: &Border) -> bool {
    let client = nester.environment.flob::<Thread>(border.client);
    let state = client.get_groups(&Links::NONE, group::CONTROL | group::REGISTERS);
    let Ok(state) = state else { return false };
    if state.flags & flob_abi::state::thread_flag::STOPPED == 0 {
        let _ = flob_checkpointer::resume(&nester.environment, border.client);
    }
    state.registers.r13 > 0
}
