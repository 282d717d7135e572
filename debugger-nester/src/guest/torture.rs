//! Torture: threads, or the whole environment, are taken out of the kernel and put back at random moments, and the program
//! must not notice. Asked for on the command line; what was done is told when the program ends.
//!
//! | form | at | what |
//! |---|---|---|
//! | [`small`] | random moments, and every instruction of stretches that are single-stepped | one thread or all: stop, get everything, set garbage, set everything back, let go |
//! | [`large`] | random moments | stop all, record, destroy every flob, create and set all of them in random orders, let go |
//!
//! The nester's other threads run one priority lower than usual where threads are tortured: between garbage and what was
//! there before, no server may look at its client.

mod large;
mod small;

use alloc::{format, string::String, vec::Vec};
use core::time::Duration;

use crate::{
    stages::{CALL_INSTRUCTION, Points, Stage},
    translate::Translator,
};
use flob_abi::{ExceptionCode, ThreadState};
use flob_image::Place;
use flob_runtime::{nester::Environment, random::Random, service::clock};

pub use small::step_came;

use super::state::{Nester, State};
use super::step;

/// What is taken out and put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Threads.
    Small,
    /// Everything.
    Large,
}

/// Most time between two moments, in nanoseconds.
const PAUSE: [(Size, u64); 2] = [(Size::Small, 2_000_000), (Size::Large, 8_000_000)];

/// A torture that is on.
pub struct Torture {
    size: Size,
    seed: u64,
    random: Random,
    points: Points,
    /// How often everything was taken out at once.
    rounds: u64,
    /// Instructions that were stepped.
    steps: u64,
    /// What could not be put back, or must not be taken out.
    complaints: Vec<String>,
    small: small::Small,
}

impl Torture {
    /// What `--torture=SIZE,SEED` asks for.
    pub fn parse(text: &str) -> Option<Self> {
        let (size, seed) = text.split_once(',')?;
        let size = match size {
            "small" => Size::Small,
            "large" => Size::Large,
            _ => return None,
        };
        let seed = seed.parse().ok()?;
        Some(Self {
            size,
            seed,
            random: Random::new(seed),
            points: Points::default(),
            rounds: 0,
            steps: 0,
            complaints: Vec::new(),
            small: small::Small::default(),
        })
    }

    /// Its size.
    pub const fn size(&self) -> Size {
        self.size
    }

    fn complain(&mut self, complaint: String) {
        const MOST: usize = 8;
        if self.complaints.len() < MOST {
            self.complaints.push(complaint);
        }
    }

    /// What was done, in lines.
    fn report(&self) -> String {
        let Self { size, seed, rounds, steps, points, complaints, .. } = self;
        let size = if *size == Size::Small { "small" } else { "large" };
        let total = points.total();
        let head = format!(
            "torture: {size}, seed {seed}: {total} points, {rounds} rounds, {steps} steps, {} complaints\n",
            complaints.len()
        );
        let complaints = complaints.iter().map(|complaint| format!("torture: complaint: {complaint}\n"));
        [head, points.table("torture: ")].into_iter().chain(complaints).collect()
    }
}

/// The torturer's thread.
pub fn run(nester: &Nester) {
    loop {
        let Some(pause) = pause(&mut nester.lock()) else { return };
        let _ = clock::sleep(Duration::from_nanos(pause));
        let mut state = nester.lock();
        let state = &mut *state;
        if !is_free(state) {
            continue;
        }
        let Some(mut torture) = state.torture.take() else { return };
        match torture.size {
            Size::Small => small::moment(nester, state, &mut torture),
            Size::Large => large::moment(nester, state, &mut torture),
        }
        state.torture = Some(torture);
    }
}

/// How long to let the child run now.
fn pause(state: &mut State) -> Option<u64> {
    let torture = state.torture.as_mut()?;
    let (_, most) = PAUSE.into_iter().find(|(size, _)| *size == torture.size)?;
    Some(torture.random.below(most))
}

/// Nobody else has a hand on the child's threads, and it has not ended.
fn is_free(state: &State) -> bool {
    state.exit.is_none()
        && state.save.is_none()
        && state.search.is_none()
        && state.restore.is_none()
        && state.held.is_empty()
        && step::stepped(state).is_empty()
}

/// The program has ended: what was done goes to its standard error.
pub fn tell(state: &mut State) {
    let Some(torture) = &state.torture else { return };
    let report = torture.report();
    state.events.push_output(2, state.stderr.position, report.as_bytes());
    state.stderr.position += report.len() as u64;
}

/// What a thread in this state was doing. `space` is its space's place.
fn stage(
    environment: &Environment,
    translator: &Translator,
    space: Option<Place>,
    state: &ThreadState,
) -> Stage {
    let is_step = state.exception.code == ExceptionCode::Debug as u32;
    if state.exception.code != 0 && !is_step {
        return Stage::Exception;
    }
    let mut instruction = [0; 2];
    let place = space.and_then(|space| translator.place(space, state.registers.rip));
    let is_read = place.is_some_and(|place| environment.memory().read(place, &mut instruction));
    if is_read && instruction == CALL_INSTRUCTION { Stage::Call(state.registers.rax) } else { Stage::Running }
}
