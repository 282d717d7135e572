//! The child's services. A request is answered, or parked until it can be; the same function decides for a new request
//! and for a parked one, and for one out of an image.

use alloc::vec::Vec;

use crate::streams::{Output, ReadResult, WriteResult};
use flob_checkpointer::border::Answered;
use flob_image::tags::{self, CLOCK, LOG, PROGRAMS, STDERR, STDIN, STDOUT};
use flob_link::{Event, WaitKind};
use flob_runtime::{
    nester::{
        Parked, Reply,
        serve::{Clerk, Request},
    },
    service::{
        clock,
        messages::{ClockReply, ClockRequest, ParentReply, ParentRequest, StreamReply, StreamRequest},
    },
};
use serde::Serialize;

use super::state::{Nester, ParkedCall, ReadyAnswer, State};
use super::{search, threads, torture, trace, watcher};

/// Name of the parent port.
pub const PARENT: &str = tags::PARENT;
/// All services, by alias.
pub const NAMES: &[&str] = &[PARENT, STDIN, STDOUT, STDERR, CLOCK, PROGRAMS, LOG];

/// What comes of a request.
pub enum Attempt {
    /// This answer, and a service whose port goes with it.
    Answer(Vec<u8>, Option<&'static str>),
    /// It must wait.
    Wait,
    /// It deserves no answer: its connection ends.
    Nothing,
}

/// The services thread.
pub fn serve(nester: &Nester, clerk: Clerk) {
    clerk.serve(&nester.desk, |request| {
        let alias = NAMES.iter().position(|name| *name == request.service).unwrap_or(0);
        nester.received.hand.set(alias, request.bytes.len());
        let mut state = nester.lock();
        nester.received.hand.clear();
        handle(nester, &mut state, &request)
    })
}

fn handle(nester: &Nester, state: &mut State, request: &Request<'_>) -> Reply {
    watcher::stirred(state);
    let holds_back = search::request_came(nester, state, request.service);
    // Before anything comes of it: what ends the program is told before the end.
    let traced = trace::asked(nester, state, None, request.service, request.bytes);
    let attempt =
        if holds_back { Attempt::Wait } else { attempt(nester, state, request.service, request.bytes) };
    match attempt {
        Attempt::Answer(bytes, found) => {
            trace::answered(nester, state, traced, request.service, Some(&bytes));
            state.last =
                Answered { service: request.service, request: request.bytes.to_vec(), reply: bytes.clone() };
            Reply::Bytes { bytes, reference: found.and_then(|name| nester.desk.reference(name)) }
        }
        Attempt::Wait => {
            park(nester, state, request, traced);
            Reply::None
        }
        Attempt::Nothing => {
            trace::answered(nester, state, traced, request.service, None);
            Reply::None
        }
    }
}

fn park(nester: &Nester, state: &mut State, request: &Request<'_>, traced: Option<u64>) {
    let Ok(connection) = Parked::park() else { return };
    let call = ParkedCall { connection, service: request.service, request: request.bytes.to_vec(), traced };
    state.parked.push(call);
    match request.service {
        CLOCK => nester.sleepers.signal(),
        STDIN => announce_input(nester, state),
        _ => {}
    }
}

/// Tells the host once for each position that the program waits for input.
pub fn announce_input(nester: &Nester, state: &mut State) {
    let (from, to) = state.input.wanted();
    if from < to && is_input_wanted(state) && state.input_announced != Some(from) {
        state.input_announced = Some(from);
        state.tell(nester, Event::InputWanted { from, to });
    }
}

/// Whether the program waits for input.
pub fn is_input_wanted(state: &State) -> bool {
    state.parked.iter().any(|call| call.service == STDIN)
}

/// Decides about a request.
pub fn attempt(nester: &Nester, state: &mut State, service: &'static str, bytes: &[u8]) -> Attempt {
    match service {
        PARENT => parent(nester, state, bytes),
        STDIN => input(state, bytes),
        STDOUT => output(nester, state, 1, bytes),
        STDERR => output(nester, state, 2, bytes),
        CLOCK => time(state, bytes),
        PROGRAMS | LOG => pass_up(nester, service, bytes),
        _ => Attempt::Nothing,
    }
}

fn answer(reply: &impl Serialize) -> Attempt {
    postcard::to_allocvec(reply).map_or(Attempt::Nothing, |bytes| Attempt::Answer(bytes, None))
}

fn parent(nester: &Nester, state: &mut State, bytes: &[u8]) -> Attempt {
    match postcard::from_bytes(bytes) {
        Ok(ParentRequest::Lookup { name }) => {
            match NAMES.iter().skip(1).copied().find(|known| *known == name) {
                Some(name) => match answer(&ParentReply::Found) {
                    Attempt::Answer(bytes, _) => Attempt::Answer(bytes, Some(name)),
                    other => other,
                },
                None => answer(&ParentReply::NoService),
            }
        }
        Ok(ParentRequest::Exit { code }) => {
            ended(nester, state, code);
            answer(&ParentReply::Ended)
        }
        Err(_) => Attempt::Nothing,
    }
}

/// The program has ended: nothing of it runs any more, and everything stays to be looked at.
fn ended(nester: &Nester, state: &mut State, code: i32) {
    if state.exit.is_none() {
        state.exit = Some(code);
        search::give_up(state);
        threads::stop_everything(state, 0);
        torture::tell(state);
        state.tell(nester, Event::Exited { code });
    }
}

fn input(state: &mut State, bytes: &[u8]) -> Attempt {
    let Ok(StreamRequest::Read { position, max }) = postcard::from_bytes(bytes) else {
        return answer(&StreamReply::Refused);
    };
    match state.input.read(position, max) {
        ReadResult::Data(bytes) => answer(&StreamReply::Data { bytes: &bytes }),
        ReadResult::Wait => Attempt::Wait,
        ReadResult::Refused => answer(&StreamReply::Refused),
    }
}

fn output(nester: &Nester, state: &mut State, stream: u8, bytes: &[u8]) -> Attempt {
    let Ok(StreamRequest::Write { position, bytes }) = postcard::from_bytes(bytes) else {
        return answer(&StreamReply::Refused);
    };
    let room = state.events.output_room();
    let output: &mut Output = if stream == 1 { &mut state.stdout } else { &mut state.stderr };
    let before = output.position;
    match output.write(position, bytes.len(), room) {
        WriteResult::Written { count, new } => {
            let produced = bytes.get(new..count).unwrap_or_default();
            state.events.push_output(stream, before, produced);
            state.post(nester);
            answer(&StreamReply::Written { count: u32::try_from(count).unwrap_or(u32::MAX) })
        }
        WriteResult::Wait => Attempt::Wait,
        WriteResult::Refused => answer(&StreamReply::Refused),
    }
}

/// The child's time now.
pub fn now(state: &mut State) -> u64 {
    let time = clock::now().map_or(state.clock.last, |now| now.wrapping_add(state.clock.offset));
    state.clock.last = state.clock.last.max(time);
    state.clock.last
}

fn time(state: &mut State, bytes: &[u8]) -> Attempt {
    let nanoseconds = now(state);
    match postcard::from_bytes(bytes) {
        Ok(ClockRequest::Sleep { until }) if until > nanoseconds => Attempt::Wait,
        Ok(_) => answer(&ClockReply::Time { nanoseconds }),
        Err(_) => Attempt::Nothing,
    }
}

/// How long this request still has to wait, if it is a sleep, in nanoseconds.
pub fn sleep_left(call: &ParkedCall, now: u64) -> Option<u64> {
    match postcard::from_bytes(&call.request) {
        Ok(ClockRequest::Sleep { until }) if call.service == CLOCK => Some(until.saturating_sub(now)),
        _ => None,
    }
}

/// Whoever the nester stands on answers; these replies come at once.
fn pass_up(nester: &Nester, service: &str, bytes: &[u8]) -> Attempt {
    nester.around.pass_on(service, bytes).map_or(Attempt::Nothing, |reply| Attempt::Answer(reply, None))
}

/// Something has changed: parked requests that can be answered now are.
pub fn retry_parked(nester: &Nester, state: &mut State) {
    if state.save.is_some() {
        return;
    }
    let mut waiting = Vec::new();
    for call in core::mem::take(&mut state.parked) {
        match attempt(nester, state, call.service, &call.request) {
            Attempt::Answer(bytes, found) => {
                trace::answered(nester, state, call.traced, call.service, Some(&bytes));
                state.ready.push_back(ReadyAnswer { call, bytes, delivered: None, found });
            }
            Attempt::Wait => waiting.push(call),
            Attempt::Nothing => trace::answered(nester, state, call.traced, call.service, None),
        }
    }
    state.parked.append(&mut waiting);
    if !state.ready.is_empty() {
        watcher::stirred(state);
    }
    nester.deliver.signal();
    announce_input(nester, state);
}

/// Whether a request of this service is what a save of this kind waits for.
pub fn is_input(service: &str, kind: WaitKind) -> bool {
    service == STDIN && kind == WaitKind::Input
}
