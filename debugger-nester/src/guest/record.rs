//! The record of the environment: its flobs, and what crosses its border.

use alloc::{collections::BTreeSet, vec, vec::Vec};

use flob_abi::{ExceptionCode, Status, ThreadState, flob::thread_link, state::thread_flag};
use flob_checkpointer::{
    Bearings, Standing, border, look_at_each,
    record::{Damaged, Writer},
};
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

/// Most flobs that are kept as they were seen until their threads run again. More take too much memory: they are written
/// at once, in a tenth of it.
const FEW: usize = 2048;

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

/// Flobs as they were seen, or as they are to be recorded.
enum SeenFlobs {
    Kept(Vec<Flob>),
    Written(Writer),
}

/// Looks at these flobs, with these groups of the threads' states.
pub fn see(nester: &Nester, state: &mut State, listed: &[Listed], groups: u64, view: View) -> Outcome<Seen> {
    find_bearings(nester, state).map_err(refused)?;
    let borders = borders(nester, state).map_err(refused)?;
    let adapter = Adapter::new(state, view);
    let (mut connected, mut threads) = (BTreeSet::new(), Vec::new());
    let mut flobs = if listed.len() <= FEW {
        SeenFlobs::Kept(Vec::with_capacity(listed.len()))
    } else {
        SeenFlobs::Written(Writer::new(&without_flobs(state), listed.len()).map_err(too_large)?)
    };
    look(state, &borders, groups, listed, |mut flob| {
        threads.extend(Standing::of(&flob));
        match &mut flobs {
            SeenFlobs::Kept(flobs) => flobs.push(flob),
            SeenFlobs::Written(writer) => {
                adapter.adapt(state, &mut flob, &mut connected);
                writer.flob(&flob).map_err(|_| Status::NoMemory)?;
            }
        }
        Ok(())
    })
    .map_err(refused)?;
    Ok(Seen { flobs, borders, connected, threads })
}

fn look(
    state: &State,
    borders: &[Border],
    groups: u64,
    listed: &[Listed],
    act: impl FnMut(Flob) -> Result<(), Status>,
) -> Result<(), Status> {
    let clients: Vec<_> = borders.iter().map(|border| (border.client, border.service.as_str())).collect();
    let bearings = state.bearings.as_ref().map(|known| &known.bearings).ok_or(Status::InvalidState)?;
    look_at_each(&state.environment, (bearings, &clients), groups, listed.iter().copied(), act)
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
pub fn assemble(state: &State, seen: Seen, view: View) -> Outcome<Vec<u8>> {
    let Seen { flobs, mut borders, mut connected, .. } = seen;
    let environment = without_flobs(state);
    let writer = match flobs {
        SeenFlobs::Written(writer) => writer,
        SeenFlobs::Kept(flobs) => {
            let adapter = Adapter::new(state, view);
            let mut writer = Writer::new(&environment, flobs.len()).map_err(too_large)?;
            for mut flob in flobs {
                adapter.adapt(state, &mut flob, &mut connected);
                writer.flob(&flob).map_err(too_large)?;
            }
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
