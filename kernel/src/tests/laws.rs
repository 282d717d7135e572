//! What may be done to an environment at any moment without anybody noticing.

use std::vec::Vec;

use flob_abi::flob::{MAX_LINKS, thread_link};
use flob_abi::{Call, FlobKind, Status, ThreadState, group, thread_flag};
use zerocopy::FromBytes;

use super::build::common;
use super::random::Random;
use super::scene::{Scene, address};
use super::sim::Sim;

/// What is done after every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disturbance {
    Nothing,
    /// Law 3: everything derived is dropped.
    Forget,
    /// Laws 2 and 4: every thread is stopped, exported, set to garbage, and set back.
    Scramble,
    /// The large form: every flob is exported, destroyed and made anew, in random orders.
    Rebuild,
    /// Law 1: everything is exported and imported, in random order, into a kernel that has just started.
    FreshKernel,
    /// A thread is taken out and put back by the kernel itself, as part of the entry.
    InOneEntry,
}

impl Disturbance {
    /// Does it, in a system whose driver has the processor.
    pub fn happen(self, sim: &mut Sim, scene: &Scene, random: &mut Random) {
        match self {
            Self::Nothing => {}
            Self::Forget => sim.kernel.forget_derived(),
            Self::Scramble => scramble(sim, scene, random),
            Self::Rebuild => rebuild(sim, scene, random),
            Self::FreshKernel => fresh_kernel(sim, scene, random),
            Self::InOneEntry => {
                assert_eq!(sim.kernel.torture(|| random.next()), Ok(()), "it was there before");
            }
        }
    }
}

/// A flob that has been taken out; links by where the first space sees what they lead to.
struct Taken {
    place: u64,
    kind: FlobKind,
    state: Vec<u8>,
    links: Vec<Option<(u64, FlobKind)>>,
}

impl Taken {
    fn hash(&self) -> u64 {
        self.state.first_chunk().map_or(0, |hash| u64::from_le_bytes(*hash))
    }

    fn is_thread(&self) -> bool {
        self.kind == FlobKind::Thread
    }

    fn rank(&self) -> u64 {
        ThreadState::read_from_bytes(&self.state).map_or(0, |state| state.rank)
    }

    /// Its state with the stopped flag on.
    fn stopped(&self) -> Vec<u8> {
        let mut state = self.state.clone();
        if self.is_thread() {
            state[8] |= thread_flag::STOPPED as u8;
        }
        state
    }
}

fn take(sim: &mut Sim, scene: &Scene, place: u64, kind: FlobKind) -> Taken {
    let references = &scene.references[..kind.links().len()];
    let state = if kind == FlobKind::Reference {
        sim.ok(Call::ReferenceCopy, &[place, references[0]]);
        Vec::new()
    } else {
        sim.get_raw(kind, place, references)
    };
    let links = references.iter().map(|reference| sim.target_of(*reference)).collect();
    Taken { place, kind, state, links }
}

fn take_all(
    sim: &mut Sim,
    scene: &Scene,
    wanted: impl Fn(FlobKind) -> bool,
    random: &mut Random,
) -> Vec<Taken> {
    let mut flobs = sim.flobs_in(scene.range());
    random.shuffle(&mut flobs);
    let flobs = flobs.into_iter().filter(|(_, _, kind)| wanted(*kind));
    flobs.map(|(place, _, kind)| take(sim, scene, place, kind)).collect()
}

/// Sets a flob's state and links; a thread stays stopped.
fn put(sim: &mut Sim, scene: &Scene, flob: &Taken) {
    let mut links = Vec::new();
    for (link, reference) in flob.links.iter().zip(&scene.references) {
        links.push(match *link {
            None => sim.null_reference(),
            Some((place, kind)) => {
                sim.ok(common(kind, 3), &[place, *reference]);
                *reference
            }
        });
    }
    if flob.kind == FlobKind::Reference {
        return sim.ok(Call::ReferenceCopy, &[links[0], flob.place]);
    }
    let status = sim.set_raw(flob.kind, flob.place, &flob.stopped(), group::ALL, &links);
    assert_eq!(status, Status::Success, "{:?} {:x?}", flob.kind, flob.links);
}

/// In random order; but threads as they waited: ranks far apart, as single imports leave them, say nothing else.
fn put_all(sim: &mut Sim, scene: &Scene, all: &mut [Taken], random: &mut Random) {
    random.shuffle(all);
    all.sort_by_key(Taken::rank);
    all.iter().for_each(|flob| put(sim, scene, flob));
}

/// Lets the threads go that were not stopped before.
fn release(sim: &mut Sim, all: &[Taken]) {
    for flob in all.iter().filter(|flob| flob.is_thread()) {
        let status = sim.set_raw(flob.kind, flob.place, &flob.state, group::CONTROL, &[]);
        assert_eq!(status, Status::Success);
    }
}

fn scramble(sim: &mut Sim, scene: &Scene, random: &mut Random) {
    let mut all = take_all(sim, scene, |kind| kind == FlobKind::Thread, random);
    // Imported ranks are behind all others: for all threads or for none, or their order would change.
    let ranks = random.chance(2);
    for flob in &all {
        let nonsense = random.thread_state();
        let null = sim.null_reference();
        let mut links: Vec<u64> = (0..MAX_LINKS).map(|_| if random.chance(2) { null } else { 0 }).collect();
        links[thread_link::WAITING_FOR] = if ranks { null } else { 0 };
        let mask = random.below(group::ALL + 1) & !group::SCHEDULING | group::CONTROL;
        let mask = if ranks { mask | group::SCHEDULING } else { mask };
        assert_eq!(sim.set_state(flob.place, &nonsense, mask, &links), Status::Success);
    }
    put_all(sim, scene, &mut all, random);
    random.shuffle(&mut all);
    release(sim, &all);
}

fn rebuild(sim: &mut Sim, scene: &Scene, random: &mut Random) {
    let mut all = take_all(sim, scene, |_| true, random);
    random.shuffle(&mut all);
    all.iter().for_each(|flob| sim.ok(common(flob.kind, 1), &[flob.place]));
    random.shuffle(&mut all);
    all.iter().for_each(|flob| sim.ok(common(flob.kind, 0), &[flob.place, flob.hash()]));
    put_all(sim, scene, &mut all, random);
    random.shuffle(&mut all);
    release(sim, &all);
}

fn fresh_kernel(sim: &mut Sim, scene: &Scene, random: &mut Random) {
    let mut all = take_all(sim, scene, |_| true, random);
    let mut fresh = scene.empty.clone();
    fresh.kernel.machine.adopt_memory(&sim.kernel.machine);
    (fresh.code, fresh.output) = (sim.code.clone(), core::mem::take(&mut sim.output));
    for flob in &all {
        fresh.ok(common(flob.kind, 0), &[flob.place, flob.hash()]);
    }
    put_all(&mut fresh, scene, &mut all, random);
    random.shuffle(&mut all);
    release(&mut fresh, &all);
    *sim = fresh;
}

impl Sim {
    /// Where the target of a reference of the nester is.
    pub fn target_of(&mut self, reference: u64) -> Option<(u64, FlobKind)> {
        let root = self.kernel.root.expect("a first space");
        let target = self.kernel.find_target(root, reference).expect("a reference")?;
        Some((address(self.kernel.place_of(target)?), self.kernel.kind_of(target)?))
    }
}
