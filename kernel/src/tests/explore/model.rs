//! The model that is checked: any thread that could run makes a step, or the nester does something; after each step the
//! laws are put to the test.

use core::fmt;
use core::hash::{Hash, Hasher};
use std::collections::{BTreeMap, VecDeque};
use std::hash::DefaultHasher;
use std::string::String;
use std::vec::Vec;

use flob_abi::flob::{MAX_LINKS, thread_link};
use flob_abi::{ExceptionCode, FlobKind, Protection, RegionState, Status, ThreadState, group, thread_flag};
use stateright::{Model, Property};

use crate::record::ThreadId;
use crate::tests::build::common;
use crate::tests::laws::Disturbance;
use crate::tests::program::{Op, fetch};
use crate::tests::random::Random;
use crate::tests::scene::{PORT, REGION, SET, Scene};
use crate::tests::sim::Sim;

/// Instructions in which everything comes to its end once nobody disturbs.
const ENOUGH: u64 = 4_000;

/// What can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A thread goes on to its next kernel entry or access to memory.
    Run(u8),
    /// A thread has the processor, and loses it before it has executed anything.
    Preempt(u8),
    /// The nester stops a thread, or lets it go.
    Stop(u8),
    Resume(u8),
    /// The nester takes away or gives all access to the guarded pages.
    Protect(Protection),
    /// The nester destroys a flob.
    Destroy(FlobKind, u64),
    /// The nester clears a link of a thread, and the one that says what it waits for: it looks again.
    Clear(u8, usize),
    /// The nester gives the port its set: whoever waits there is looked for.
    Open,
}

/// What the nester, and the scheduler, may still do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    pub stops: u8,
    pub preempts: u8,
    /// Protections that the guarded region is given, one after the other.
    pub protections: Vec<u32>,
    /// Flobs that may be destroyed: one of them.
    pub destroys: Vec<(FlobKind, u64)>,
    /// Links of threads that may be cleared: one of them.
    pub clears: Vec<(u8, usize)>,
    /// Whether the port is still to get its set.
    pub opens: bool,
}

/// A state of the model.
#[derive(Clone)]
pub struct World {
    pub sim: Sim,
    budget: Budget,
    form: u64,
    /// Who lost the processor, as long as it could go on and has not executed anything since. The form does not show it, and it must not matter.
    preempted: Option<u8>,
    /// Whether it comes to its right end from here. Part of what a state is: two that look the same may differ in what the
    /// kernel has forgotten.
    ends_well: bool,
    /// A law that does not hold.
    wrong: Option<String>,
    /// What the nester destroyed or cleared.
    pub harm: Option<Action>,
}

impl World {
    fn identity(&self) -> (u64, Option<u8>, bool) {
        (self.form, self.preempted, self.ends_well)
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity() && self.budget == other.budget
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.identity().hash(hasher);
        self.budget.hash(hasher);
    }
}

impl fmt::Debug for World {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wrong = self.wrong.as_deref().unwrap_or_default();
        write!(to, "{:?} said {:?} wrong {wrong}", self.budget, self.sim.output)
    }
}

/// A scene to explore.
pub struct Exploration {
    pub scene: Scene,
    pub budget: Budget,
    pub disturbance: Disturbance,
    /// Whether an end is right. The system's driver has the processor.
    pub goal: fn(&Scene, &mut World) -> bool,
}

impl Exploration {
    fn after(&self, mut world: World) -> World {
        let form = world.sim.form(&self.scene);
        world.form = form.number();
        if self.disturbance != Disturbance::Nothing && !world.sim.holds_lift(self.disturbance) {
            let mut random = Random::seeded(world.form);
            world.sim.ring();
            self.disturbance.happen(&mut world.sim, &self.scene, &mut random);
            world.sim.kernel.check_queues();
            world.sim.let_others_run();
            let now = world.sim.form(&self.scene);
            if now != form {
                world.wrong = Some(form.difference(&now));
            }
        }
        world.preempted = world.preempted.filter(|number| {
            let thread = self.named(*number, &world.sim);
            thread.is_some_and(|thread| world.sim.has_something_to_do(thread))
        });
        world.ends_well = self.end(&world).is_ok();
        world
    }

    fn named(&self, number: u8, sim: &Sim) -> Option<ThreadId> {
        self.scene.threads(sim).into_iter().find(|(other, _)| *other == number).map(|(_, thread)| thread)
    }

    /// A thread gets the processor. A server that waits may look whether there is a request at any moment.
    fn choose(sim: &mut Sim, thread: ThreadId) {
        if !sim.kernel.is_runnable(thread) {
            sim.kernel.wake_to_look(thread);
        }
        sim.kernel.run_next(thread);
    }

    /// One thread goes on until it has entered the kernel or touched memory.
    fn run(sim: &mut Sim, thread: ThreadId) {
        Self::choose(sim, thread);
        loop {
            let rip = sim.registers(thread).rip;
            let touches = matches!(fetch(&sim.code, rip), Some(Op::Load(..) | Op::Store(..)));
            let entered = sim.step();
            if !sim.has_only_faulted_softly() && (entered || touches) {
                return;
            }
        }
    }

    /// A thread would execute its next instruction, when something more urgent comes.
    fn preempt(sim: &mut Sim, thread: ThreadId) {
        Self::choose(sim, thread);
        assert_eq!(sim.current(), Some(thread), "it has the processor");
        sim.ring();
        sim.let_others_run();
    }

    fn nester_acts(&self, world: &mut World, action: Action) {
        let World { sim, budget, harm, .. } = world;
        sim.ring();
        match action {
            Action::Run(_) | Action::Preempt(_) => {}
            Action::Stop(thread) => {
                budget.stops -= 1;
                sim.stop(self.scene.thread(thread.into()));
            }
            Action::Resume(thread) => self.resume(sim, thread),
            Action::Protect(protection) => {
                budget.protections.remove(0);
                protect(sim, &self.scene, protection);
            }
            Action::Destroy(kind, place) => {
                budget.destroys.clear();
                *harm = Some(action);
                sim.ok(common(kind, 1), &[self.scene.outside(place)]);
            }
            Action::Clear(thread, link) => {
                budget.clears.clear();
                *harm = Some(action);
                let mut links = [0; MAX_LINKS];
                (links[link], links[thread_link::WAITING_FOR]) = (sim.null_reference(), sim.null_reference());
                let thread = self.scene.thread(thread.into());
                assert_eq!(sim.set_links(FlobKind::Thread, thread, &links), Status::Success);
            }
            Action::Open => {
                budget.opens = false;
                open(sim, &self.scene);
            }
        }
        sim.let_others_run();
    }

    /// The nester lets a stopped thread go on, as it was.
    fn resume(&self, sim: &mut Sim, number: u8) {
        let id = self.named(number, sim).expect("it is there");
        let flags = sim.kernel.thread(id).flags & !thread_flag::STOPPED;
        sim.resume_as(self.scene.thread(number.into()), &ThreadState { flags, ..ThreadState::default() });
    }

    /// All states that can be reached, by their hashes, each with a shortest way to it.
    pub fn ways(&self) -> BTreeMap<u64, Vec<Action>> {
        let hash = |world: &World| {
            let mut hasher = DefaultHasher::new();
            world.hash(&mut hasher);
            hasher.finish()
        };
        let mut ways = BTreeMap::new();
        let mut next: VecDeque<_> = self.init_states().into_iter().map(|world| (world, Vec::new())).collect();
        while let Some((world, way)) = next.pop_front() {
            if ways.insert(hash(&world), way.clone()).is_some() {
                continue;
            }
            let mut actions = Vec::new();
            self.actions(&world, &mut actions);
            next.extend(actions.into_iter().filter_map(|action| {
                let there = self.next_state(&world, action)?;
                let way = way.iter().copied().chain([action]).collect();
                (!ways.contains_key(&hash(&there))).then_some((there, way))
            }));
        }
        ways
    }

    /// Nobody disturbs any more: how it ends; an error if that is not right.
    pub fn end(&self, world: &World) -> Result<(), String> {
        let mut world = world.clone();
        world.sim.ring();
        for (number, id) in self.scene.threads(&world.sim) {
            if world.sim.kernel.thread(id).is_stopped() {
                self.resume(&mut world.sim, number);
            }
        }
        if let Some(bits) = world.budget.protections.last() {
            protect(&mut world.sim, &self.scene, Protection(*bits));
        }
        if world.budget.opens {
            open(&mut world.sim, &self.scene);
        }
        world.sim.ticks = true;
        let executed = world.sim.run(ENOUGH);
        if executed < ENOUGH && (self.goal)(&self.scene, &mut world) {
            return Ok(());
        }
        Err(std::format!("{executed} instructions: {:x?}", world.sim.form(&self.scene)))
    }
}

fn protect(sim: &mut Sim, scene: &Scene, protection: Protection) {
    let region = scene.outside(REGION);
    let state: RegionState = sim.get_state(region, &[]);
    let state = RegionState { protection: protection.0, ..state };
    assert_eq!(sim.set_state(region, &state, group::ALL, &[]), Status::Success);
}

fn open(sim: &mut Sim, scene: &Scene) {
    let to_set = sim.scratch_reference(scene.outside(SET), FlobKind::PortSet);
    assert_eq!(sim.set_links(FlobKind::Port, scene.outside(PORT), &[to_set]), Status::Success);
}

/// Whether a thread has come to the end of its program.
fn has_ended(sim: &Sim, thread: ThreadId) -> bool {
    sim.kernel.thread(thread).exception.code == ExceptionCode::InvalidOpcode as u32
}

impl Model for Exploration {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let sim = self.scene.start.clone();
        let world = World {
            sim,
            budget: self.budget.clone(),
            form: 0,
            preempted: None,
            ends_well: true,
            wrong: None,
            harm: None,
        };
        [self.after(world)].into()
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let World { sim, budget, .. } = &mut world.clone();
        for (number, id) in self.scene.threads(sim) {
            if sim.kernel.is_runnable(id) || sim.can_look(id) {
                actions.push(Action::Run(number));
                if budget.preempts > 0 {
                    actions.push(Action::Preempt(number));
                }
            }
            if sim.kernel.thread(id).is_stopped() {
                actions.push(Action::Resume(number));
            } else if budget.stops > 0 && !has_ended(sim, id) {
                actions.push(Action::Stop(number));
            }
        }
        actions.extend(budget.protections.first().map(|bits| Action::Protect(Protection(*bits))));
        actions.extend(budget.destroys.iter().map(|(kind, place)| Action::Destroy(*kind, *place)));
        actions.extend(budget.clears.iter().map(|(thread, link)| Action::Clear(*thread, *link)));
        actions.extend(budget.opens.then_some(Action::Open));
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        match action {
            Action::Run(number) => {
                let thread = self.named(number, &world.sim)?;
                Self::run(&mut world.sim, thread);
                world.preempted.take_if(|preempted| *preempted == number);
            }
            Action::Preempt(number) => {
                let thread = self.named(number, &world.sim)?;
                Self::preempt(&mut world.sim, thread);
                world.budget.preempts -= 1;
                world.preempted = Some(number);
            }
            _ => self.nester_acts(&mut world, action),
        }
        Some(self.after(world))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        [
            Property::always("the laws hold", |_, world: &World| world.wrong.is_none()),
            Property::always("whatever happened, it ends well", |_, world: &World| world.ends_well),
        ]
        .into()
    }
}
