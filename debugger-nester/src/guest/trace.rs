//! Tracing what the child asks, of us and of the kernel. Kernel calls are seen where they are reflected ([`catch`]), and their
//! ends where the step over them ends.

use crate::trace::{
    decode,
    payload::{self, Buffers},
};
use flob_abi::{Registers, Status, ThreadHead};
use flob_image::Place;
use flob_link::{
    Event, Reply, Tracing,
    trace::{Asked, Outcome as Came, Payload, What},
};
use flob_runtime::{nester::Parked, service::clock};

use super::catch;
use super::failure::{Outcome, refused};
use super::memory::SpaceMemory;
use super::state::{Nester, State};
use super::threads::{Seen, space_in_passing, translator};

/// Bytes of the `syscall` instruction.
const CALL_INSTRUCTION: u64 = 2;

/// A thread in a traced call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Under {
    /// The number of its record.
    number: u64,
    /// The address of its instruction.
    rip: u64,
    space: Place,
    /// Where an IPC call in the long form receives.
    room: Option<Buffers>,
}

/// `SetTrace`.
pub fn set(nester: &Nester, state: &mut State, tracing: Tracing) -> Outcome<Reply> {
    let begins = tracing.services && !state.trace.tracing.services;
    catch::trace(state, tracing.calls.iter().copied().collect()).map_err(refused)?;
    state.trace.tracing = tracing;
    if begins {
        waiting(nester, state);
    }
    Ok(Reply::Done)
}

/// `Trace`.
pub fn read(state: &mut State, from: u64) -> Reply {
    let records = state.trace.read(from);
    Reply::Trace { records, next: state.trace.next() }
}

/// The child's time, without making it pass.
fn now(state: &State) -> u64 {
    let time = clock::now().map_or(state.clock.last, |now| now.wrapping_add(state.clock.offset));
    time.max(state.clock.last)
}

fn tell(nester: &Nester, state: &mut State) {
    if let Some(next) = state.trace.announce() {
        state.tell(nester, Event::Traced { next });
    }
}

/// Requests that wait already have begun, too.
fn waiting(nester: &Nester, state: &mut State) {
    let mut parked = core::mem::take(&mut state.parked);
    for call in &mut parked {
        call.traced = asked(nester, state, Some(&call.connection), call.service, &call.request);
    }
    state.parked = parked;
}

/// A request has come, by the connection that the calling thread serves or by a parked one: the number of its record, if
/// requests are traced.
pub fn asked(
    nester: &Nester,
    state: &mut State,
    connection: Option<&Parked>,
    service: &str,
    bytes: &[u8],
) -> Option<u64> {
    if !state.trace.tracing.services {
        return None;
    }
    let thread = match connection {
        Some(connection) => connection.client().locate(state.environment.region()).ok(),
        None => client_at_hand(state).ok().flatten(),
    };
    let space = thread.and_then(|thread| space_in_passing(state, thread).ok().flatten());
    let asked = Asked::Service { service: service.into(), message: decode::request(service, bytes) };
    let number = state.trace.began(now(state), thread, space, asked);
    tell(nester, state);
    Some(number)
}

/// The client of the connection that the calling thread serves.
fn client_at_hand(state: &State) -> Result<Option<Place>, Status> {
    let connection = Parked::park()?;
    let place = connection.client().locate(state.environment.region()).ok();
    flob_runtime::flob::take_connection(connection.client())?;
    Ok(place)
}

/// A request was answered, or (`None`) will not be.
pub fn answered(
    nester: &Nester,
    state: &mut State,
    traced: Option<u64>,
    service: &str,
    reply: Option<&[u8]>,
) {
    let Some(number) = traced else { return };
    let came = reply.map_or(Came::Refused, |bytes| Came::Reply(decode::reply(service, bytes)));
    state.trace.ended(now(state), number, came);
    tell(nester, state);
}

/// A thread is about to make a kernel call, which may be traced. If it was in one before, the end of that was not seen.
pub fn call_came(nester: &Nester, state: &mut State, place: Place, space: Place, seen: &Seen) {
    let registers = &seen.state.registers;
    call_lost(nester, state, place);
    if !state.catching.is_traced(registers.rax) {
        return;
    }
    let (sent, room) = messages(nester, state, space, registers);
    let asked = Asked::Call { number: registers.rax, registers: listed(registers).to_vec(), sent };
    let number = state.trace.began(now(state), Some(place), Some(space), asked);
    state.catching.under.insert(place, Under { number, rip: registers.rip, space, room });
    tell(nester, state);
}

/// What a call sends out of memory, and where it receives. Only such a call needs a look at the mappings.
fn messages(
    nester: &Nester,
    state: &State,
    space: Place,
    registers: &Registers,
) -> (Option<Payload>, Option<Buffers>) {
    let (sends, receives) = (payload::sends(registers.rax), payload::receives(registers.rax));
    if !sends && !receives {
        return (None, None);
    }
    let Ok(translator) = translator(nester, state) else { return (None, None) };
    let memory = SpaceMemory::new(state, &translator, space);
    let sent = sends.then(|| Buffers::to_send(registers, &memory).all(&memory));
    (sent, receives.then(|| Buffers::to_receive(registers, &memory)))
}

/// A thread has been stopped behind a step. If that was over a traced call, it may be over.
pub fn step_ended(nester: &Nester, state: &mut State, place: Place, seen: &ThreadHead) {
    let registers = &seen.registers;
    let is_over = |under: &Under| registers.rip != under.rip;
    if !state.catching.under.get(&place).is_some_and(is_over) {
        return;
    }
    let Some(Under { number, rip, space, room }) = state.catching.under.remove(&place) else { return };
    // A call that had blocked may be left one instruction late: then its registers may be others.
    let came = if registers.rip == rip.wrapping_add(CALL_INSTRUCTION) {
        let received = room.and_then(|room| {
            let translator = translator(nester, state).ok()?;
            room.filled(registers, &SpaceMemory::new(state, &translator, space))
        });
        Came::Returned { status: registers.rax, registers: listed(registers).to_vec(), received }
    } else {
        Came::Unseen
    };
    state.trace.ended(now(state), number, came);
    tell(nester, state);
}

/// What became of the call that a thread was in is not known.
pub fn call_lost(nester: &Nester, state: &mut State, place: Place) {
    let Some(Under { number, .. }) = state.catching.under.remove(&place) else { return };
    state.trace.ended(now(state), number, Came::Unseen);
    tell(nester, state);
}

/// The environment is another one: its requests that wait are put again.
pub fn environment_replaced(nester: &Nester, state: &mut State, by: What) {
    state.catching.under.clear();
    let at = now(state);
    state.trace.replaced(at, by);
    waiting(nester, state);
    tell(nester, state);
}

fn listed(registers: &Registers) -> [u64; 12] {
    let r = registers;
    [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9, r.rbx, r.r12, r.r13, r.r14, r.r15, r.rbp]
}
