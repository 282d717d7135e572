//! The record of the environment: its flobs, and what crosses its border.

use alloc::{vec, vec::Vec};

use flob_abi::{ExceptionCode, Status, flob::thread_link, state::thread_flag};
use flob_checkpointer::{Bearings, look_at};
use flob_image::{Border, Environment, Flob, Link, Place, State as FlobState, Stream};
use flob_link::{FailureKind, Reply};
use flob_runtime::{
    flob::{FlobAt, OwnedReference, Reference},
    nester::{
        list::Listed,
        serve::{AtHand, at_hand},
    },
};

use super::exceptions::DEBUG;
use super::failure::{Outcome, failure};
use super::state::{Nester, ParkedCall, State};
use super::{catch, save, search, step, watch};

/// For whom the record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// To be looked at: threads that the debugger holds are stopped.
    Live,
    /// To be stored: as if there were no debugger.
    Image,
}

/// The record, with these groups of the threads' states.
pub fn environment(
    nester: &Nester,
    state: &mut State,
    groups: u64,
    view: View,
) -> Result<Environment, Status> {
    let listed = state.environment.flobs()?;
    let seen = see(nester, state, &listed, groups)?;
    Ok(assemble(state, seen, view))
}

/// What can be seen only as long as the threads stand.
pub struct Seen {
    /// All flobs, ascending by place.
    pub flobs: Vec<Flob>,
    borders: Vec<Border>,
}

/// Looks at these flobs, with these groups of the threads' states.
pub fn see(nester: &Nester, state: &mut State, listed: &[Listed], groups: u64) -> Result<Seen, Status> {
    find_bearings(nester, state)?;
    let borders = borders(nester, state)?;
    let clients: Vec<_> = borders.iter().map(|border| (border.client, border.service.as_str())).collect();
    let bearings = state.bearings.as_ref().map(|known| &known.bearings).ok_or(Status::InvalidState)?;
    let flobs = look_at(&state.environment, (bearings, &clients), groups, listed)?;
    Ok(Seen { flobs, borders })
}

/// What lies outside, as it was when the environment came and so many threads of ours were there.
pub struct Known {
    replaced: u32,
    threads: usize,
    bearings: Bearings<'static>,
}

/// Has them ready for the next look, which does not have to make them then.
pub fn find_bearings(nester: &Nester, state: &mut State) -> Result<(), Status> {
    let (replaced, threads) = (state.replaced, state.own.all.len());
    if state.bearings.as_ref().is_some_and(|known| (known.replaced, known.threads) == (replaced, threads)) {
        return Ok(());
    }
    let mut hidden: Vec<_> = state.own.all.iter().map(OwnedReference::at).collect();
    hidden.extend(nester.faults.reference(DEBUG));
    let bearings = Bearings::new(&nester.tags(&state.environment), &hidden)?;
    state.bearings = Some(Known { replaced, threads, bearings });
    Ok(())
}

/// The record of what was seen. Nothing else of the state has changed meanwhile.
pub fn assemble(state: &State, seen: Seen, view: View) -> Environment {
    let Seen { flobs, mut borders } = seen;
    let (consumed, hash) = state.input.consumed();
    let (given, hash_given) = state.input.given();
    let stream = |name: &str, position, hash| Stream { name: name.into(), position, hash };
    let mut record = Environment {
        program: state.program.clone(),
        arguments: state.arguments.clone(),
        build_id: state.build_id.clone(),
        size: state.environment.memory().size(),
        flobs,
        streams: vec![
            stream("stdin", consumed, hash),
            stream(Stream::STDIN_GIVEN, given, hash_given),
            stream("stdout", state.stdout.position, 0),
            stream("stderr", state.stderr.position, 0),
        ],
        borders: Vec::new(),
        clock: state.clock.last,
        exit: state.exit,
    };
    borders.retain(|border| is_connected(&record, border.client));
    record.borders = borders;
    let_go_in(&mut record, &stopped_in_passing(state));
    watch::hide(state, &mut record, view);
    catch::hide(state, &mut record);
    if view == View::Image {
        let_go_in(&mut record, &state.held.iter().copied().collect::<Vec<_>>());
        take_steps_off(state, &mut record);
    }
    record
}

/// A long answer with this record.
pub fn long_answer(state: &mut State, record: &Environment) -> Outcome<Reply> {
    let (answer, size) = kept(state, record)?;
    Ok(Reply::Long { answer, size })
}

/// Keeps this record as a long answer: its number and size.
pub fn kept(state: &mut State, record: &Environment) -> Outcome<(u32, u64)> {
    let bytes = postcard::to_allocvec(record)
        .map_err(|_| failure(FailureKind::Memory, "the record of the environment is too large"))?;
    let size = bytes.len() as u64;
    Ok((state.long_answers.keep(bytes), size))
}

/// Whether this thread is connected with something outside.
fn is_connected(record: &Environment, client: Place) -> bool {
    let link = record.flob(client).and_then(|flob| flob.links.get(thread_link::CLIENT_PEER));
    matches!(link, Some(Link::External(_)))
}

/// Threads that nobody holds, and that stand only while something is done: these look as if they ran.
fn stopped_in_passing(state: &State) -> Vec<Place> {
    let search = state.search.iter().flat_map(search::Search::keeps);
    let all = save::stopped(state).chain(search).chain(step::paused(state));
    all.filter(|place| !state.held.contains(place)).collect()
}

fn let_go_in(record: &mut Environment, threads: &[Place]) {
    for place in threads {
        if let Some(FlobState::Thread(thread)) = record.flob_mut(*place).map(|flob| &mut flob.state) {
            thread.flags &= !thread_flag::STOPPED;
        }
    }
}

/// As if no step were under way.
fn take_steps_off(state: &State, record: &mut Environment) {
    for place in step::stepped(state) {
        if let Some(FlobState::Thread(thread)) = record.flob_mut(place).map(|flob| &mut flob.state) {
            thread.registers.rflags &= !step::TRAP_FLAG;
            if thread.exception.code == ExceptionCode::Debug as u32 {
                thread.exception.code = 0;
            }
        }
    }
}

/// Every request that has crossed the border and has not been answered.
fn borders(nester: &Nester, state: &State) -> Result<Vec<Border>, Status> {
    let waiting = state.parked.iter().chain(state.ready.iter().map(|answer| &answer.call));
    let mut borders: Vec<Border> = waiting.filter_map(|call| whole(state, call)).collect();
    if let Some(answer) = &state.delivering
        && let Some(border) = whole(state, &answer.call)
    {
        let client = OwnedReference::new()?;
        borders.push(match at_hand(state.own.answerer, client.at())? {
            AtHand::Sending { unsent, is_begun: true } => with_reply(border, &answer.bytes, unsent),
            _ => border,
        });
    }
    borders.extend(of_services(nester, state)?);
    Ok(borders)
}

fn whole(state: &State, call: &ParkedCall) -> Option<Border> {
    border(state, call.connection.client(), call.service, call.request.clone())
}

fn border(state: &State, client: FlobAt<Reference>, service: &str, request: Vec<u8>) -> Option<Border> {
    let client = client.locate(state.environment.region()).ok()?;
    Some(Border { client, service: service.into(), request, whole: true, delivered: 0, reply: Vec::new() })
}

fn with_reply(border: Border, reply: &[u8], unsent: usize) -> Border {
    Border { delivered: reply.len().saturating_sub(unsent) as u64, reply: reply.to_vec(), ..border }
}

/// What the services thread has at hand.
fn of_services(nester: &Nester, state: &State) -> Result<Option<Border>, Status> {
    let client = OwnedReference::new()?;
    let at_hand = at_hand(state.own.services, client.at())?;
    let last = &state.last;
    Ok(match (nester.in_hand(), at_hand) {
        (Some((alias, bytes)), _) => {
            let service = nester.desk.name(alias).unwrap_or_default();
            border(state, client.at(), service, nester.inbox.copy(bytes))
        }
        (None, AtHand::Receiving { alias, bytes }) => {
            let service = nester.desk.name(alias).unwrap_or_default();
            let border = border(state, client.at(), service, nester.inbox.copy(bytes));
            border.map(|border| Border { whole: false, ..border })
        }
        (None, AtHand::Sending { unsent, is_begun }) => {
            let border = border(state, client.at(), last.service, last.request.clone());
            border.map(|border| if is_begun { with_reply(border, &last.reply, unsent) } else { border })
        }
        (None, AtHand::Nothing) => None,
    })
}
