//! Stops at kernel calls by name. The space of the thread has its calls reflected: each becomes an exception before the
//! kernel looks at it. A call that somebody waits for is told; every other one is let through, by a step of that thread
//! alone with the reflection off ([`step::Obstacle`]).

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};

use flob_abi::{Call, FlobKind, Status, ThreadHead, ipc, state::space_flag};
use flob_image::Place;
use flob_link::{FailureKind, Reply, StopReason};
use flob_runtime::{
    flob::{Links, OwnedReference, Space},
    nester::Environment,
};

use super::adjustment::Adjustment;
use super::failure::{Outcome, failure, refused};
use super::state::{Nester, State};
use super::step::{self, Obstacle, Purpose};
use super::threads::{Seen, look, space_of};
use super::trace::{self, Under};

/// Position of the keeper among a space's links.
const KEEPER: usize = 0;

/// Which calls are waited for or traced, and who stands at one that was told.
#[derive(Default)]
pub struct Catching {
    /// Numbers, by spaces; [`ipc::IPC`] stands for all sets of IPC steps.
    spaces: BTreeMap<Place, BTreeSet<u64>>,
    /// Numbers of those that are traced, in all spaces.
    traced: BTreeSet<u64>,
    /// Spaces whose calls are reflected.
    reflected: BTreeSet<Place>,
    /// Threads in calls that are traced.
    pub under: BTreeMap<Place, Under>,
    /// Threads that were told of, or wait for their turn, and where: they pass when they go on.
    told: BTreeMap<Place, u64>,
    /// Threads whose call is let through, however long it takes, its number, and where.
    passing: BTreeMap<Place, (u64, u64)>,
}

impl Catching {
    /// Whether calls of this space are reflected for us.
    pub fn is_on(&self, space: Place) -> bool {
        self.reflected.contains(&space)
    }

    /// Spaces whose calls are reflected.
    pub const fn reflected(&self) -> &BTreeSet<Place> {
        &self.reflected
    }

    /// A thread's call is let through.
    pub fn passes(&mut self, place: Place, call: u64, rip: u64) {
        self.told.remove(&place);
        self.passing.entry(place).or_insert((call, rip));
    }

    /// It is over, or nobody waits for its end any more: its number, and where it is.
    pub fn has_passed(&mut self, place: Place) -> Option<(u64, u64)> {
        self.passing.remove(&place)
    }

    fn is_wanted(&self, space: Place, call: u64) -> bool {
        self.spaces.get(&space).is_some_and(|calls| calls.contains(&listed_as(call)))
    }

    /// Whether this call is traced.
    pub fn is_traced(&self, call: u64) -> bool {
        self.traced.contains(&listed_as(call))
    }
}

/// The number under which a call is asked for.
const fn listed_as(call: u64) -> u64 {
    if call & ipc::IPC == 0 { call } else { ipc::IPC }
}

/// `CatchCalls`: these calls of a space, instead of those before; none: no more.
pub fn set(state: &mut State, space: Place, calls: Vec<u64>) -> Outcome<Reply> {
    if calls.is_empty() {
        state.catching.spaces.remove(&space);
    } else {
        if !state.catching.is_on(space) {
            check(&state.environment, space)?;
        }
        state.catching.spaces.insert(space, calls.into_iter().collect());
    }
    settle(state).map_err(refused)?;
    Ok(Reply::Done)
}

/// Spaces some of whose calls are waited for.
pub fn spaces(state: &State) -> Vec<Place> {
    state.catching.spaces.keys().copied().collect()
}

/// These calls are traced, instead of those before.
pub fn trace(state: &mut State, calls: BTreeSet<u64>) -> Result<(), Status> {
    state.catching.traced = calls;
    settle(state)
}

/// Has the calls of those spaces reflected in which somebody is interested, and of no others. Where calls are traced these are
/// all spaces whose exceptions come to us, those too that have just been made.
fn settle(state: &mut State) -> Result<(), Status> {
    let mut wanted: BTreeSet<Place> = state.catching.spaces.keys().copied().collect();
    if !state.catching.traced.is_empty() {
        let spaces = state.environment.flobs_of(FlobKind::Space)?;
        let ours = |space: &Place| state.catching.is_on(*space) || check(&state.environment, *space).is_ok();
        wanted.extend(spaces.into_iter().filter(ours));
    }
    for space in state.catching.reflected.difference(&wanted) {
        if exists(&state.environment, *space) {
            reflect(&state.environment, *space, false)?;
        }
    }
    for space in wanted.difference(&state.catching.reflected) {
        reflect(&state.environment, *space, true)?;
    }
    state.catching.reflected = wanted;
    Ok(())
}

/// A thread has been stopped behind a step: a call that was let through is over. It may have made a space, or given one a keeper.
pub fn call_is_over(state: &mut State, place: Place) -> Result<(), Status> {
    let Some((call, _)) = state.catching.has_passed(place) else { return Ok(()) };
    let may = [Call::SpaceCreate, Call::SpaceSetState, Call::SpaceMove].iter().any(|one| *one as u64 == call);
    if may && !state.catching.traced.is_empty() { settle(state) } else { Ok(()) }
}

/// A stopped thread whose call was to be let through stays where it is for a while.
pub fn stays(state: &mut State, place: Place, rip: u64) {
    state.catching.told.insert(place, rip);
}

/// A thread was stopped in a call that it was let through, and that has not ended: it passes again, as the same call, when it goes
/// on.
pub fn interrupted(state: &mut State, place: Place) -> Result<(), Status> {
    let Some((_, rip)) = state.catching.has_passed(place) else { return Ok(()) };
    let head = look(&state.environment, place)?;
    if head.is_some_and(|head| head.registers.rip == rip) {
        state.catching.told.insert(place, rip);
    }
    Ok(())
}

fn exists(environment: &Environment, space: Place) -> bool {
    environment.kind_at(space) == Some(FlobKind::Space)
}

/// Exceptions go to the space's keeper: that must be ours.
fn check(environment: &Environment, space: Place) -> Outcome<()> {
    if !exists(environment, space) {
        return Err(failure(FailureKind::NotFound, "there is no space at this place"));
    }
    let keeper = OwnedReference::new().map_err(refused)?;
    let links = Links::NONE.with(KEEPER, keeper.at());
    let now = environment.flob::<Space>(space).get_state(&links).map_err(refused)?;
    let is_ours = keeper.at().target_kind().is_some() && keeper.at().locate(environment.region()).is_err();
    if !is_ours || now.flags & space_flag::REFLECT_CALLS != 0 {
        let text = "the exceptions of this space go to a keeper of the program's own or to nobody: its calls cannot be caught";
        return Err(failure(FailureKind::State, text));
    }
    Ok(())
}

/// Turns the reflection of a space's calls on or off.
pub fn reflect(environment: &Environment, space: Place, on: bool) -> Result<(), Status> {
    let flob = environment.flob::<Space>(space);
    let mut now = flob.get_state(&Links::NONE)?;
    now.flags = now.flags & !space_flag::REFLECT_CALLS | if on { space_flag::REFLECT_CALLS } else { 0 };
    flob.set_state(&now, &Links::NONE)
}

/// A call was reflected; the thread is stopped.
pub fn reflected(
    nester: &Nester,
    state: &mut State,
    place: Place,
    space: Place,
    seen: &Seen,
) -> Result<(), Status> {
    let thread = Adjustment::of(place, &seen.state).without_exception();
    let (call, rip) = (seen.state.registers.rax, seen.state.registers.rip);
    let purpose = state.stepping.purpose(place);
    // One that is let through already has blocked, and comes back to its instruction.
    let is_new =
        !state.catching.passing.contains_key(&place) && state.catching.told.get(&place) != Some(&rip);
    if is_new {
        trace::call_came(nester, state, place, space, seen);
    }
    if is_new && state.catching.is_wanted(space, call) {
        thread.apply(&state.environment)?;
        step::forget(state, place);
        state.catching.told.insert(place, rip);
        step::report(nester, state, place, seen, StopReason::Call(call));
        return Ok(());
    }
    let obstacle = Obstacle::Calls { space, call, rip };
    step::begin_at(state, thread, purpose.unwrap_or(Purpose::Continue), Some(obstacle))
}

/// The call that a stopped thread was told to stand at, if it does: it must be let through.
pub fn standing_at(state: &State, place: Place, head: &ThreadHead) -> Result<Option<Obstacle>, Status> {
    let (call, rip) = (head.registers.rax, head.registers.rip);
    if state.catching.told.get(&place) != Some(&rip) {
        return Ok(None);
    }
    let space = space_of(state, place)?.filter(|space| state.catching.is_on(*space));
    Ok(space.map(|space| Obstacle::Calls { space, call, rip }))
}

/// The environment is another one.
pub fn environment_replaced(state: &mut State) -> Result<(), Status> {
    state.catching.told.clear();
    state.catching.passing.clear();
    state.catching.reflected.clear();
    let environment = Arc::clone(&state.environment);
    state.catching.spaces.retain(|space, _| check(&environment, *space).is_ok());
    settle(state)
}
