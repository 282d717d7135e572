//! The record of the environment: its flobs, and what crosses its border.

use alloc::{collections::BTreeSet, vec, vec::Vec};

use flob_abi::{ExceptionCode, Status, ThreadState, flob::thread_link, state::thread_flag};
use flob_checkpointer::{
    Bearings, Sights, Standing, border, look_at_each,
    record::{Damaged, Writer},
};
use flob_debugger_nester::translate::MEMORY_TAG;
use flob_image::{Border, Environment, Flob, Link, Place, State as FlobState, Stream};
use flob_link::{Failure, FailureKind};
use flob_runtime::{
    flob::OwnedReference,
    nester::{
        list::Listed,
        serve::{AtHand, at_hand},
    },
};

use super::exceptions::DEBUG;
use super::failure::{Outcome, failure, refused};
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

/// The record as a whole, with these groups of the threads' states.
pub fn environment(
    nester: &Nester,
    state: &mut State,
    groups: u64,
    view: View,
) -> Result<Environment, Status> {
    find_bearings(nester, state)?;
    let (mut flobs, adapter) = (Vec::new(), Adapter::new(state, view));
    let mut borders = borders(nester, state)?;
    let mut connected = BTreeSet::new();
    look(state, &borders, groups, &state.environment.flobs()?, |mut flob| {
        adapter.adapt(state, &mut flob, &mut connected);
        flobs.push(flob);
        Ok(())
    })?;
    borders.retain(|border| connected.contains(&border.client));
    Ok(Environment { flobs, borders, ..without_flobs(state) })
}

/// The bytes of the record.
pub fn bytes(nester: &Nester, state: &mut State, groups: u64, view: View) -> Outcome<Vec<u8>> {
    let listed = state.environment.flobs().map_err(refused)?;
    let seen = see(nester, state, &listed, groups, view)?;
    assemble(state, seen, view)
}

/// What can be seen only as long as the threads stand.
pub struct Seen {
    flobs: SeenFlobs,
    borders: Vec<Border>,
    connected: BTreeSet<Place>,
    /// All threads, ascending by place.
    pub threads: Vec<Standing>,
}

/// Flobs as they were told all at once, or as they are to be recorded: more take too much memory, and are written one by one, in
/// a tenth of it.
enum SeenFlobs {
    Told(Sights),
    Written(Writer),
}

/// Looks at all flobs at once, if that can be done with this room: they are as they were told.
pub fn see_told(nester: &Nester, state: &mut State, mut sights: Sights) -> Outcome<Seen> {
    find_bearings(nester, state).map_err(refused)?;
    let borders = borders(nester, state).map_err(refused)?;
    let bearings = bearings(state).map_err(refused)?;
    sights.find_bearings(&state.environment, bearings, &clients(&borders)).map_err(refused)?;
    let threads = sights.threads.clone();
    Ok(Seen { flobs: SeenFlobs::Told(sights), borders, connected: BTreeSet::new(), threads })
}

fn bearings(state: &State) -> Result<&Bearings<'static>, Status> {
    state.bearings.as_ref().map(|known| &known.bearings).ok_or(Status::InvalidState)
}

fn clients(borders: &[Border]) -> Vec<(Place, &str)> {
    borders.iter().map(|border| (border.client, border.service.as_str())).collect()
}

/// Looks at these flobs, with these groups of the threads' states.
pub fn see(nester: &Nester, state: &mut State, listed: &[Listed], groups: u64, view: View) -> Outcome<Seen> {
    find_bearings(nester, state).map_err(refused)?;
    let borders = borders(nester, state).map_err(refused)?;
    let adapter = Adapter::new(state, view);
    let (mut connected, mut threads) = (BTreeSet::new(), Vec::new());
    let mut writer = Writer::new(&without_flobs(state), listed.len()).map_err(too_large)?;
    look(state, &borders, groups, listed, |mut flob| {
        threads.extend(Standing::of(&flob));
        adapter.adapt(state, &mut flob, &mut connected);
        writer.flob(&flob).map_err(|_| Status::NoMemory)
    })
    .map_err(refused)?;
    Ok(Seen { flobs: SeenFlobs::Written(writer), borders, connected, threads })
}

fn look(
    state: &State,
    borders: &[Border],
    groups: u64,
    listed: &[Listed],
    act: impl FnMut(Flob) -> Result<(), Status>,
) -> Result<(), Status> {
    let surroundings = (bearings(state)?, &clients(borders)[..]);
    look_at_each(&state.environment, surroundings, groups, listed.iter().copied(), act)
}

fn too_large(_: Damaged) -> Failure {
    failure(FailureKind::Memory, "the record of the environment is too large")
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
pub fn assemble(state: &mut State, seen: Seen, view: View) -> Outcome<Vec<u8>> {
    let Seen { flobs, mut borders, mut connected, .. } = seen;
    let environment = without_flobs(state);
    let writer = match flobs {
        SeenFlobs::Written(writer) => writer,
        SeenFlobs::Told(sights) => {
            let adapter = Adapter::new(state, view);
            let mut writer = Writer::new(&environment, sights.count()).map_err(too_large)?;
            let bearings = bearings(state).map_err(refused)?;
            let written = sights.each((bearings, MEMORY_TAG), &clients(&borders), |mut flob| {
                adapter.adapt(state, &mut flob, &mut connected);
                writer.flob(&flob)
            });
            written.map_err(too_large)?;
            state.sights = sights;
            writer
        }
    };
    borders.retain(|border| connected.contains(&border.client));
    writer.end(&Environment { borders, ..environment }).map_err(too_large)
}

/// Keeps this record as a long answer: its number and size.
pub fn kept(state: &mut State, record: Vec<u8>) -> (u32, u64) {
    let size = record.len() as u64;
    (state.long_answers.keep(record), size)
}

fn without_flobs(state: &State) -> Environment {
    let (consumed, hash) = state.input.consumed();
    let (given, hash_given) = state.input.given();
    let stream = |name: &str, position, hash| Stream { name: name.into(), position, hash };
    Environment {
        program: state.program.clone(),
        arguments: state.arguments.clone(),
        build_id: state.build_id.clone(),
        size: state.environment.size(),
        flobs: Vec::new(),
        streams: vec![
            stream("stdin", consumed, hash),
            stream(Stream::STDIN_GIVEN, given, hash_given),
            stream("stdout", state.stdout.position, 0),
            stream("stderr", state.stderr.position, 0),
        ],
        borders: Vec::new(),
        clock: state.clock.last,
        exit: state.exit,
    }
}

/// What makes a flob that was seen one that is recorded.
struct Adapter {
    /// Threads that look as if they ran.
    to_let_go: BTreeSet<Place>,
    /// Threads that look as if no step were under way.
    stepped: BTreeSet<Place>,
    view: View,
}

impl Adapter {
    fn new(state: &State, view: View) -> Self {
        let (mut to_let_go, mut stepped) = (stopped_in_passing(state), BTreeSet::new());
        if view == View::Image {
            to_let_go.extend(&state.held);
            stepped.extend(step::stepped(state));
        }
        Self { to_let_go, stepped, view }
    }

    /// Notes threads that are connected with something outside.
    fn adapt(&self, state: &State, flob: &mut Flob, connected: &mut BTreeSet<Place>) {
        if let FlobState::Space(space) = &mut flob.state {
            catch::hide(state, flob.place, space);
        }
        let FlobState::Thread(thread) = &mut flob.state else { return };
        if self.to_let_go.contains(&flob.place) {
            thread.flags &= !thread_flag::STOPPED;
        }
        watch::hide(state, flob.place, thread, self.view);
        if self.stepped.contains(&flob.place) {
            take_step_off(thread);
        }
        if matches!(flob.links.get(thread_link::CLIENT_PEER), Some(Link::External(_))) {
            connected.insert(flob.place);
        }
    }
}

/// Threads that nobody holds, and that stand only while something is done: these look as if they ran.
fn stopped_in_passing(state: &State) -> BTreeSet<Place> {
    let search = state.search.iter().flat_map(search::Search::keeps);
    let all = save::stopped(state).chain(search).chain(step::paused(state));
    all.filter(|place| !state.held.contains(place)).collect()
}

/// As if no step were under way.
fn take_step_off(thread: &mut ThreadState) {
    thread.registers.rflags &= !step::TRAP_FLAG;
    if thread.exception.code == ExceptionCode::Debug as u32 {
        thread.exception.code = 0;
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
            AtHand::Sending { unsent, is_begun: true } => border::with_reply(border, &answer.bytes, unsent),
            _ => border,
        });
    }
    borders.extend(of_services(nester, state)?);
    Ok(borders)
}

fn whole(state: &State, call: &ParkedCall) -> Option<Border> {
    border::whole(&state.environment, call.connection.client(), call.service, call.request.clone())
}

/// What the services thread has at hand.
fn of_services(nester: &Nester, state: &State) -> Result<Option<Border>, Status> {
    let name = |alias| nester.desk.name(alias).unwrap_or_default();
    let server = border::Server {
        thread: state.own.services,
        inbox: &nester.inbox,
        in_hand: nester.in_hand().map(|(alias, bytes)| (name(alias), bytes)),
        answered: &state.last,
        name,
    };
    border::of_server(&state.environment, &server)
}
