//! A program that makes every call there is, and every set of IPC steps from both ends, and is disturbed at every kernel
//! entry and every instruction. What it says must not depend on that, and every stage of every call must have been met.

mod disturbed;
mod plain;
mod stages;
mod steps;

use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

use flob_abi::{FlobKind, Handlers, PAGE_SIZE, Protection, SpaceState, ThreadState, group, thread_flag};
use zerocopy::IntoBytes;

use super::explore::programs::{keeper, kept};
use super::scene::*;
use super::sim::{ROOT_SPACE, Sim};
use crate::Event;

/// A line that fires whenever somebody waits for it and nobody has anything else to do.
pub const LINE: u8 = 3;
/// The thread that runs in the first space.
const ROOT_THREAD: u64 = 5;
/// The pages on which its programs keep what they send and receive.
const PAGES: [u64; 2] = [4, 7];
/// Instructions between two moments at which it fires in any case. (Not in step with the ticks.)
const FIRE_EVERY: u64 = 53;
/// Most instructions of a run.
const ENOUGH: u64 = 200_000;

/// What was said, and what memory was like in the end.
pub type Said = (BTreeMap<usize, Vec<u64>>, Vec<u8>);

/// The program.
pub fn everything() -> Scene {
    let [own, other] = steps::both_ends(PAGES);
    let threads =
        vec![own, other, plain::all(2), plain::beside(), keeper(false), plain::in_the_first_space(5)];
    let size = GUARDED_PAGES.end - GUARDED_PAGES.start;
    let mut scene = kept(threads, Protection::READ, size);
    for page in PAGES {
        let text: Vec<u8> = (1..65).collect();
        scene.write(data(page), &text);
        scene.write(data(page) + 128, [SENT, RECEIVED].as_bytes());
    }
    scene.write(plain::READ_ONLY, plain::read_only_region().as_bytes());
    scene.prepare(|scene, sim| {
        let state = SpaceState { ceiling: 20, interrupts: 1 << LINE, ..SpaceState::default() };
        // Those by which the machine is ended and the console written.
        let ports = [0xf4, 0xe9, 0xe9, 0xe9].map(|first| flob_abi::PortRange { first, count: 1 });
        sim.set(scene.outside(SPACE), &SpaceState { ports, ..state }, &[]);
        // The one end of all connections is always there before the other.
        let state = ThreadState { priority: 6, ..ThreadState::default() };
        sim.set_state(scene.thread(0), &state, group::SCHEDULING, &[]);
        sim.resume(scene.thread(0));
        sim.set_links(FlobKind::Thread, scene.thread(ROOT_THREAD), &[ROOT_SPACE]);
        let (trap, interrupt) = (sim.load(plain::handler()), sim.load(plain::interrupted(3)));
        handle(scene, sim, 2, Handlers { trap, ..Handlers::default() });
        handle(scene, sim, plain::BESIDE, Handlers { interrupt, ..Handlers::default() });
    });
    scene
}

/// Gives a thread handlers.
fn handle(scene: &Scene, sim: &mut Sim, thread: u64, handlers: Handlers) {
    let state = ThreadState { flags: thread_flag::EXCEPTIONS_ENABLED, handlers, ..ThreadState::default() };
    sim.set_state(scene.thread(thread), &state, group::CONTROL | group::HANDLERS, &[]);
}

/// Runs a scene to its end; `disturb` is called after every instruction, with the driver at the processor.
pub fn run(scene: &Scene, mut disturb: impl FnMut(&mut Sim, bool)) -> Said {
    let mut sim = scene.start.clone();
    sim.ticks = true;
    for _ in 0..ENOUGH {
        if sim.kernel.current().is_none() && !something_happens(&mut sim) {
            sim.write(scene.outside(plain::SCRAP), &[0; PAGE_SIZE as usize]);
            let memory = sim.read(scene.outside(data(0)), (14 * PAGE_SIZE) as usize);
            return (sim.output, memory);
        }
        let entered = sim.step();
        if sim.has_only_faulted_softly() {
            continue;
        }
        // A waiter that is put back waits anew each time, so that nobody is ever idle.
        if sim.instructions.is_multiple_of(FIRE_EVERY) {
            fire(&mut sim);
        }
        sim.ring();
        disturb(&mut sim, entered);
        sim.let_others_run();
    }
    panic!("it does not come to an end: {:#x?}", sim.form(scene));
}

/// Nobody has anything to do: an interrupt comes, or time passes. False if nobody waits for that either.
fn something_happens(sim: &mut Sim) -> bool {
    if fire(sim) {
        return true;
    }
    let waits = sim.kernel.timers_wait();
    if waits {
        sim.kernel.machine().pass(1_000_000);
        sim.kernel.event(Event::Tick);
    }
    waits
}

fn fire(sim: &mut Sim) -> bool {
    let fires = sim.kernel.machine().fire(LINE);
    if fires {
        sim.kernel.event(Event::Interrupt { line: LINE });
    }
    fires
}
