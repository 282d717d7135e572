//! Stopping all threads of an environment, and letting them go in the order in which they wait.

use alloc::vec::Vec;

use flob_abi::{FlobKind, Status, state::thread_flag};
use flob_image::{Flob, Place, State};
use flob_runtime::{
    flob::{Links, Thread, exceptions},
    nester::Environment,
};

/// How often something is done that was not done in one go. Each time all pages have come that the time before waited for; only who is
/// stepped through it by somebody farther out never gets there.
const TRIES: usize = 64;

/// Does something until it was done in one go. A nester runs above its child, so what it does is done at once for the child; but not
/// if it waits for a page that a nester farther out keeps back: the child and the nester's own servers run meanwhile. Such a wait
/// begins with an exception.
pub fn in_one_go<T, E>(mut act: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    for _ in 1..TRIES {
        let before = exceptions();
        let done = act()?;
        if exceptions() == before {
            return Ok(done);
        }
    }
    act()
}

/// Stops every thread and returns those that were not stopped before. Repeats until a pass finds none running: a
/// thread that ran until it was stopped may have made others.
pub fn stop_all(environment: &Environment) -> Result<Vec<Place>, Status> {
    let mut stopped = Vec::new();
    loop {
        let more = stop_once(environment)?;
        if more.is_empty() {
            return Ok(stopped);
        }
        stopped.extend(more);
    }
}

/// Stops every thread that there is and returns those that were not stopped before. Enough for a nester that runs above all of
/// the environment and does this [`in_one_go`]: none of that runs meanwhile, so there are no others then.
pub fn stop_once(environment: &Environment) -> Result<Vec<Place>, Status> {
    let mut stopped = Vec::new();
    for place in environment.flobs_of(FlobKind::Thread)? {
        if !environment.flob::<Thread>(place).stop()? {
            stopped.push(place);
        }
    }
    Ok(stopped)
}

/// Lets the thread at this place go; nothing happens if there is none.
pub fn resume(environment: &Environment, place: Place) -> Result<(), Status> {
    if environment.kind_at(place) != Some(FlobKind::Thread) {
        return Ok(());
    }
    let thread = environment.flob::<Thread>(place);
    let enabled = thread.head(&Links::NONE)?.flags & thread_flag::EXCEPTIONS_ENABLED != 0;
    thread.resume(enabled)
}

/// Lets these threads go: those that wait, in the order of their ranks.
pub fn release(environment: &Environment, places: &[Place]) -> Result<(), Status> {
    let mut standing = Vec::new();
    for place in places.iter().copied() {
        if environment.kind_at(place) == Some(FlobKind::Thread) {
            let head = environment.flob::<Thread>(place).head(&Links::NONE)?;
            standing.push(Standing::new(place, head.rank, head.flags));
        }
    }
    release_standing(environment, standing)
}

fn release_standing(environment: &Environment, mut standing: Vec<Standing>) -> Result<(), Status> {
    standing.sort_unstable();
    let mut standing = standing.into_iter();
    standing.try_for_each(|Standing { place, enabled, .. }| environment.flob::<Thread>(place).resume(enabled))
}

/// A thread that was looked at while it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Standing {
    /// Among waiters.
    pub rank: u64,
    /// Where it is.
    pub place: Place,
    /// Whether its exceptions are enabled.
    pub enabled: bool,
}

impl Standing {
    const fn new(place: Place, rank: u64, flags: u32) -> Self {
        Self { rank, place, enabled: flags & thread_flag::EXCEPTIONS_ENABLED != 0 }
    }

    /// Of a flob as it was seen, if it is a thread.
    pub fn of(flob: &Flob) -> Option<Self> {
        let State::Thread(state) = &flob.state else { return None };
        Some(Self::new(flob.place, state.rank, state.flags))
    }
}

/// The same for threads that have just been looked at: those of `known` (ascending by place) that are at these places.
pub fn release_known(
    environment: &Environment,
    known: &[Standing],
    places: impl Iterator<Item = Place>,
) -> Result<(), Status> {
    let find = |place: Place| {
        let index = known.binary_search_by_key(&place, |standing| standing.place).ok()?;
        known.get(index).copied()
    };
    release_standing(environment, places.filter_map(find).collect())
}
