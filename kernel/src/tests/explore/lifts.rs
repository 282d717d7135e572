//! Keepers that lift a denial of their region for one page and one access, and leave the region as it is.

use std::vec;
use std::vec::Vec;

use flob_abi::exception::reply_action;
use flob_abi::{FlobKind, PAGE_SIZE, Protection, ipc};

use super::model::Budget;
use super::programs::{explore, stops};
use crate::machine::{Machine, Page};
use crate::record::ThreadId;
use crate::tests::laws::Disturbance;
use crate::tests::program::*;
use crate::tests::scene::*;
use crate::tests::sim::Sim;
use crate::tests::talk::words;

impl Sim {
    /// Whether a thread is about to make an access that is denied, and for which its page was lifted; or its keeper has the denial in
    /// its hands, and the disturbance would make a mere retry of the lift. Both are derived: who forgets them each time lets
    /// nobody go on.
    pub fn holds_lift(&mut self, disturbance: Disturbance) -> bool {
        let threads: Vec<_> =
            (0..self.kernel.threads.end()).filter_map(|index| self.kernel.threads.id_at(index)).collect();
        threads.into_iter().map(ThreadId).any(|thread| {
            if disturbance != Disturbance::Forget && self.kernel.thread(thread).lift.is_some() {
                return true;
            }
            if !self.kernel.is_runnable(thread) {
                return false;
            }
            let mut registers = *self.registers(thread);
            let (address, access) = match fetch(&self.code, registers.rip) {
                Some(Op::Load(_, base, offset)) => {
                    (base.of(&mut registers).wrapping_add(offset), Protection::READ)
                }
                Some(Op::Store(base, offset, _)) => {
                    (base.of(&mut registers).wrapping_add(offset), Protection::WRITE)
                }
                _ => return false,
            };
            let Some(space) = self.kernel.space_of(thread) else { return false };
            let key = space.key();
            let at_hand = self.kernel.machine.translation(key, Page(address / PAGE_SIZE));
            at_hand.is_some_and(|(_, allowed)| allowed.allows(access))
                && self.kernel.resolve(space, address, access, None).is_err()
        })
    }
}

/// Lifts each denial for what was tried.
fn lifter() -> Program {
    let at = data(5);
    let program = Program::new().raw_call(ipc::SERVER_WAIT, &words(KEEPER_SET, (0, 0), (at, 40)));
    let again = program.here();
    let program = program.set(R14, at).op(Op::Load(R15, R14, 0)).op(Op::Store(R14, 64, R15));
    let write = u64::from(reply_action::LIFT) | u64::from(Protection::WRITE.0) << 32;
    let program = program.set(R15, write).op(Op::Store(R14, 72, R15)).set(R14, 0).set(R15, 0);
    program.raw_call(ipc::SERVER_REPLY, &words(KEEPER_SET, (at + 64, 16), (at, 40))).op(Op::Jump(again))
}

/// Writes a word to a page of its own that its region lets nobody write.
fn writer(thread: u64) -> Program {
    let program = Program::new().set(R14, GUARDED + thread * PAGE_SIZE).set(R15, 7 + thread);
    program.op(Op::Store(R14, 0, R15)).output(thread as usize, R15)
}

fn written(scene: &Scene, sim: &mut Sim, thread: u64) -> bool {
    let page = data(GUARDED_PAGES.start + thread);
    sim.said(thread as usize) == [7 + thread] && scene.read(sim, page, 1) == [7 + thread as u8]
}

#[test]
fn a_keeper_lifts_the_denials_of_two_writers() {
    let scene = Scene::new(Protection::READ, vec![writer(0), writer(1), lifter()]);
    explore("lift", &scene, &stops(1), |scene, world| {
        (0..2).all(|thread| written(scene, &mut world.sim, thread))
    });
}

#[test]
fn a_lift_meets_a_region_that_changes() {
    let protections = vec![Protection::NONE.0, Protection::READ.0];
    let budget = Budget { protections, ..stops(0) };
    let scene = Scene::new(Protection::READ, vec![writer(0), lifter()]);
    explore("lift, protection", &scene, &budget, |scene, world| written(scene, &mut world.sim, 0));
}

#[test]
fn a_writer_or_the_keepers_port_is_destroyed_during_a_lift() {
    let destroys = vec![(FlobKind::Thread, Scene::address_of(0)), (FlobKind::Port, KEEPER_PORT)];
    let budget = Budget { destroys, ..stops(1) };
    let scene = Scene::new(Protection::READ, vec![writer(0), lifter()]);
    explore("lift, destroyed", &scene, &budget, |scene, world| {
        world.harm.is_some() || written(scene, &mut world.sim, 0)
    });
}
