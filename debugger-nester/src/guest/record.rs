//! The record of the environment: its flobs, and what crosses its border.

use alloc::{collections::BTreeSet, sync::Arc, vec, vec::Vec};

use crate::translate::MEMORY_TAG;
use flob_abi::{
    ExceptionCode, Status, ThreadState,
    state::{space_flag, thread_flag},
};
use flob_checkpointer::{
    Bearings, Draft, Sights, Standing,
    draft::{clients, crosses_border},
    look_at_each,
    pace::Pace,
    record::Damaged,
};
use flob_image::{Border, Environment, Flob, Place, State as FlobState, Stream};
use flob_link::{Failure, FailureKind};
use flob_runtime::{flob::OwnedReference, nester::list::Listed};

use super::borders::borders;
use super::exceptions::DEBUG;
use super::failure::{Outcome, failure, refused};
use super::state::{Nester, Program, State};
use super::{adjustment, save, search, step, watch::Watching};

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
    let (bearings, clients) = (bearings(state)?, clients(&borders));
    look_at_each(
        &state.environment,
        (bearings, &clients),
        groups,
        state.environment.flobs()?,
        |mut flob| {
            adapter.adapt(&mut flob);
            connected.extend(crosses_border(&flob).then_some(flob.place));
            flobs.push(flob);
            Ok(())
        },
    )?;
    borders.retain(|border| connected.contains(&border.client));
    Ok(Environment { flobs, ..Rest::of(state).environment(borders) })
}

/// The bytes of the record.
pub fn bytes(nester: &Nester, state: &mut State, groups: u64, view: View) -> Outcome<Vec<u8>> {
    let listed = state.environment.flobs().map_err(refused)?;
    let seen = see(nester, state, &listed, groups, view)?;
    let (bytes, lent) = assemble(seen, None);
    state.bearings = lent.known;
    bytes
}

/// What can be seen only as long as the threads stand, and all else that a record is made of.
pub struct Seen {
    draft: Draft,
    known: Known,
    adapter: Adapter,
    rest: Rest,
}

impl Seen {
    /// All threads, ascending by place.
    pub fn threads(&self) -> &[Standing] {
        self.draft.threads()
    }
}

/// What is lent to who makes a record: looks meanwhile make it anew.
#[derive(Default)]
pub struct Lent {
    sights: Option<Sights>,
    known: Option<Known>,
}

/// It comes back.
pub fn give_back(state: &mut State, lent: Lent) {
    if let Some(sights) = lent.sights {
        state.sights = sights;
    }
    if state.bearings.is_none() {
        state.bearings = lent.known;
    }
}

/// The flobs are as they were told: finds out what leads out of them.
pub fn see_told(nester: &Nester, state: &mut State, sights: Sights, adapter: Adapter) -> Outcome<Seen> {
    find_bearings(nester, state).map_err(refused)?;
    let borders = borders(nester, state).map_err(refused)?;
    let bearings = bearings(state).map_err(refused)?;
    let draft = Draft::of_told(sights, &state.environment, bearings, borders).map_err(refused)?;
    seen(state, draft, adapter)
}

/// Looks at these flobs, with these groups of the threads' states.
pub fn see(nester: &Nester, state: &mut State, listed: &[Listed], groups: u64, view: View) -> Outcome<Seen> {
    find_bearings(nester, state).map_err(refused)?;
    let borders = borders(nester, state).map_err(refused)?;
    let adapter = Adapter::new(state, view);
    let head = Rest::of(state).environment(Vec::new());
    let bearings = bearings(state).map_err(refused)?;
    let adapt = |flob: &mut Flob| adapter.adapt(flob);
    let draft = Draft::of_listed(&state.environment, bearings, borders, &head, (listed, groups), adapt);
    seen(state, draft.map_err(refused)?, adapter)
}

fn seen(state: &mut State, draft: Draft, adapter: Adapter) -> Outcome<Seen> {
    let rest = Rest::of(state);
    let known = state.bearings.take().ok_or_else(|| refused(Status::InvalidState))?;
    Ok(Seen { draft, known, adapter, rest })
}

/// What lies outside, as was found for this environment.
pub fn bearings(state: &State) -> Result<&Bearings<'static>, Status> {
    state.bearings.as_ref().map(|known| &known.bearings).ok_or(Status::InvalidState)
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

/// The record of what was seen, whatever has become of the environment since; with rests, if it runs.
pub fn assemble(seen: Seen, mut pace: Option<Pace>) -> (Outcome<Vec<u8>>, Lent) {
    let Seen { draft, known, adapter, rest } = seen;
    let (surroundings, head) = ((&known.bearings, MEMORY_TAG), rest.environment(Vec::new()));
    let (bytes, sights) = draft.record(head, surroundings, |flob| {
        adapter.adapt(flob);
        pace.as_mut().map(Pace::keep);
    });
    (bytes.map_err(too_large), Lent { sights, known: Some(known) })
}

/// Keeps this record as a long answer: its number and size.
pub fn kept(state: &mut State, record: Vec<u8>) -> (u32, u64) {
    let size = record.len() as u64;
    (state.long_answers.keep(record), size)
}

/// All of a record but flobs and borders, as it is now: to be put into words later.
struct Rest {
    program: Arc<Program>,
    size: u64,
    input: (u64, u64),
    given: (u64, u64),
    stdout: u64,
    stderr: u64,
    clock: u64,
    exit: Option<i32>,
}

impl Rest {
    fn of(state: &State) -> Self {
        Self {
            program: Arc::clone(&state.program),
            size: state.environment.size(),
            input: state.input.consumed(),
            given: state.input.given(),
            stdout: state.stdout.position,
            stderr: state.stderr.position,
            clock: state.clock.last,
            exit: state.exit,
        }
    }

    fn environment(&self, borders: Vec<Border>) -> Environment {
        let Program { name, arguments, build_id } = &*self.program;
        let stream = |name: &str, (position, hash)| Stream { name: name.into(), position, hash };
        Environment {
            program: name.clone(),
            arguments: arguments.clone(),
            build_id: build_id.clone(),
            size: self.size,
            flobs: Vec::new(),
            streams: vec![
                stream("stdin", self.input),
                stream(Stream::STDIN_GIVEN, self.given),
                stream("stdout", (self.stdout, 0)),
                stream("stderr", (self.stderr, 0)),
            ],
            borders,
            clock: self.clock,
            exit: self.exit,
        }
    }
}

/// What makes a flob that was seen one that is recorded, whatever has become of the debugger's marks since.
pub struct Adapter {
    /// Threads that look as if they ran.
    to_let_go: BTreeSet<Place>,
    /// Threads that look as if no step were under way.
    stepped: BTreeSet<Place>,
    /// Spaces that look as if nothing were reflected.
    reflected: BTreeSet<Place>,
    watching: Watching,
    view: View,
}

impl Adapter {
    /// For a record of this view, of the environment as it is now.
    pub fn new(state: &State, view: View) -> Self {
        let (mut to_let_go, mut stepped) = (BTreeSet::new(), BTreeSet::new());
        to_let_go.extend(stopped_in_passing(state));
        if view == View::Image {
            to_let_go.extend(state.held.iter());
            stepped.extend(step::stepped(state));
        }
        let (reflected, watching) = (state.catching.reflected().clone(), state.watching.clone());
        Self { to_let_go, stepped, reflected, watching, view }
    }

    fn adapt(&self, flob: &mut Flob) {
        if let FlobState::Space(space) = &mut flob.state
            && self.reflected.contains(&flob.place)
        {
            space.flags &= !space_flag::REFLECT_CALLS;
        }
        let FlobState::Thread(thread) = &mut flob.state else { return };
        if self.to_let_go.contains(&flob.place) {
            thread.flags &= !thread_flag::STOPPED;
        }
        self.watching.hide(flob.place, thread, self.view);
        if self.stepped.contains(&flob.place) {
            take_step_off(thread);
        }
    }
}

/// Threads that nobody holds, and that stand only while something is done: these look as if they ran.
fn stopped_in_passing(state: &State) -> impl Iterator<Item = Place> {
    let search = state.search.iter().flat_map(search::Search::keeps);
    let all = save::stopped(state).chain(search).chain(step::paused(state));
    all.filter(|place| !state.held.contains(*place))
}

/// As if no step were under way.
fn take_step_off(thread: &mut ThreadState) {
    thread.registers.rflags &= !adjustment::TRAP_FLAG;
    if thread.exception.code == ExceptionCode::Debug as u32 {
        thread.exception.code = 0;
    }
}
