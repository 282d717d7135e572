//! Stops at kernel calls by name. The space of the thread has its calls reflected: each becomes an exception before the
//! kernel looks at it. A call that somebody waits for is told; every other one is let through, by a step of that thread
//! alone with the reflection off ([`step::Obstacle`]).

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use flob_abi::{FlobKind, SpaceState, Status, ipc, state::space_flag};
use flob_image::Place;
use flob_link::{FailureKind, Reply, StopReason};
use flob_runtime::{
    flob::{Links, OwnedReference, Space},
    nester::Environment,
};

use super::failure::{Outcome, failure, refused};
use super::state::{Nester, State};
use super::step::{self, Obstacle, Purpose};
use super::threads::Seen;

/// Position of the keeper among a space's links.
const KEEPER: usize = 0;

/// Which calls are waited for, and who stands at one that was told.
#[derive(Default)]
pub struct Catching {
    /// Numbers, by spaces; [`ipc::IPC`] stands for all sets of IPC steps.
    spaces: BTreeMap<Place, BTreeSet<u64>>,
    /// Threads that were told of, and where: they pass when they go on.
    told: BTreeMap<Place, u64>,
    /// Threads whose call is let through, however long it takes.
    passing: BTreeSet<Place>,
}

impl Catching {
    /// Whether calls of this space are reflected for us.
    pub fn is_on(&self, space: Place) -> bool {
        self.spaces.contains_key(&space)
    }

    /// A thread's call is let through.
    pub fn passes(&mut self, place: Place) {
        self.told.remove(&place);
        self.passing.insert(place);
    }

    /// It is over.
    pub fn has_passed(&mut self, place: Place) {
        self.passing.remove(&place);
    }

    fn is_wanted(&self, space: Place, call: u64) -> bool {
        let number = if call & ipc::IPC == 0 { call } else { ipc::IPC };
        self.spaces.get(&space).is_some_and(|calls| calls.contains(&number))
    }
}

/// `CatchCalls`: these calls of a space, instead of those before; none: no more.
pub fn set(state: &mut State, space: Place, calls: Vec<u64>) -> Outcome<Reply> {
    if calls.is_empty() {
        if state.catching.spaces.remove(&space).is_some() && exists(&state.environment, space) {
            reflect(&state.environment, space, false).map_err(refused)?;
        }
        return Ok(Reply::Done);
    }
    if !state.catching.is_on(space) {
        check(&state.environment, space)?;
        reflect(&state.environment, space, true).map_err(refused)?;
    }
    state.catching.spaces.insert(space, calls.into_iter().collect());
    Ok(Reply::Done)
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
    step::clear_exception(&state.environment, place, &seen.state.exception)?;
    let (call, rip) = (seen.state.registers.rax, seen.state.registers.rip);
    let purpose = state.stepping.purpose(place);
    // One that is let through already has blocked, and comes back to its instruction.
    let is_new = !state.catching.passing.contains(&place) && state.catching.told.get(&place) != Some(&rip);
    if is_new && state.catching.is_wanted(space, call) {
        step::forget(state, place);
        state.catching.told.insert(place, rip);
        step::report(nester, state, place, seen, StopReason::Call(call));
        return Ok(());
    }
    step::begin_at(state, place, purpose.unwrap_or(Purpose::Continue), Some(Obstacle::Calls(space)))
}

/// The call that a stopped thread was told to stand at, if it does: it must be let through.
pub fn standing_at(state: &State, place: Place, seen: &Seen) -> Option<Obstacle> {
    let told = state.catching.told.get(&place)?;
    let space = seen.space.filter(|space| state.catching.is_on(*space))?;
    (*told == seen.state.registers.rip).then_some(Obstacle::Calls(space))
}

/// The environment is another one.
pub fn environment_replaced(state: &mut State) -> Result<(), Status> {
    state.catching.told.clear();
    state.catching.passing.clear();
    for space in state.catching.spaces.keys().copied().collect::<Vec<_>>() {
        if check(&state.environment, space).is_ok() {
            reflect(&state.environment, space, true)?;
        } else {
            state.catching.spaces.remove(&space);
        }
    }
    Ok(())
}

/// As if nothing were reflected.
pub fn hide(state: &State, place: Place, space: &mut SpaceState) {
    if state.catching.spaces.contains_key(&place) {
        space.flags &= !space_flag::REFLECT_CALLS;
    }
}
