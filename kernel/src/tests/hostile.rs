//! Hostile children: whatever a program does with what it was given, nester and bystander keep their time.

use flob_abi::{
    Call, FlobKind, MappingState, PAGE_SIZE, Protection, RegionState, Registers, SpaceState, Status,
};
use flob_abi::{ThreadState, group};
use zerocopy::IntoBytes;

use super::bystander::Bystander;
use super::program::*;
use super::sim::{ROOT_SPACE, Sim};

/// Where a child sees its memory.
const AT: u64 = 0x40_0000;
/// No thread of the child runs above this.
const CEILING: u32 = 10;
/// Instructions in which the bystander must have done a round: some more than it needs.
const TIME: u64 = 60;
const ROUNDS: u64 = 200;
/// Levels of mappings, one upon the other.
const LEVELS: u64 = 10_000;

/// A machine with a bystander and a space whose memory is its own.
struct Child {
    sim: Sim,
    bystander: Bystander,
    memory: u64,
    /// A reference to the space.
    space: u64,
}

impl Child {
    fn new(pages: u64) -> Self {
        let mut sim = Sim::sized(pages as u32 + 32);
        sim.checks = false;
        let bystander = Bystander::new(&mut sim);
        let memory = sim.pages(pages as u32);
        let size = pages * PAGE_SIZE;
        let (_, region) = sim.make_region(ROOT_SPACE, memory, size, Protection::ALL, 0);
        let (_, space) = sim.make_space(CEILING, None);
        sim.make_mapping(region, space, (0, AT, size), Protection::ALL);
        Self { sim, bystander, memory, space }
    }

    /// Starts a thread of the child at the highest priority there is.
    fn start(&mut self, program: Program) -> u64 {
        self.sim.spawn_in(self.space, 31, program)
    }

    /// The bystander does its rounds, and the nester its own work, while the child runs.
    fn keep_time(&mut self, work: &str) {
        for round in 0..ROUNDS {
            assert_eq!(self.bystander.round(&mut self.sim, TIME), Ok(()), "{work}, round {round}");
            let reference = self.sim.null_reference();
            assert_eq!(self.sim.call(Call::ReferenceType, &[reference]), Status::Success);
        }
        self.sim.kernel.check_queues();
        std::println!("proof: hostile: {work}: {ROUNDS} rounds of the bystander in time");
    }
}

#[test]
fn a_child_that_spins_at_the_highest_priority_keeps_nobody_from_running() {
    let mut child = Child::new(4);
    // It also sets another thread's priority as high as it can.
    let other = child.memory + PAGE_SIZE;
    child.sim.create_at(FlobKind::Thread, other);
    let spin = child.sim.load(Program::new().spin());
    let registers = Registers { rip: spin, ..Registers::default() };
    let state = ThreadState { registers, priority: 31, ..ThreadState::default() };
    let space = child.space;
    child.sim.set(other, &ThreadState::default(), &[space]);
    child.sim.write(child.memory, &state.as_bytes()[..flob_abi::THREAD_STATE_HEAD]);
    let mask = group::ALL & !group::VECTORS;
    let set = Program::new().call(Call::ThreadSetState, &[AT + PAGE_SIZE, AT, 0, mask]);
    child.start(set.output(0, Rax).spin());
    child.keep_time("spinning");
    assert_eq!(child.sim.said(0), [0], "the other spins too");
    assert_eq!(child.sim.stop(other).priority, 31);
}

#[test]
fn a_child_that_spins_on_calls_keeps_nobody_from_running() {
    let mut child = Child::new(4);
    child.sim.create_at(FlobKind::Condition, child.memory);
    let program = Program::new().call(Call::ConditionBroadcast, &[AT]).call(Call::Null, &[]);
    let (one, other) = (program.clone().op(Op::Jump(0)), program.op(Op::Jump(0)));
    child.start(one);
    child.start(other);
    child.keep_time("calling for ever");
}

#[test]
fn a_child_that_fills_its_memory_with_flobs_leaves_room_for_everybody() {
    const PAGES: u64 = 64;
    let mut child = Child::new(PAGES);
    // The child makes spaces, the largest of records, wherever there is room; r14 says where.
    let end = AT + PAGES * PAGE_SIZE;
    let program = Program::new().set(R14, AT);
    let again = program.here();
    let program =
        program.op(Op::Move(Rdi, R14)).set(Rsi, 0).set(Rax, Call::SpaceCreate as u64).op(Op::Syscall);
    let program = program.op(Op::Add(R14, 512)).op(Op::JumpUnless(R14, end, again)).say(0, 1);
    child.start(program.end());
    child.keep_time("flobs everywhere");
    child.sim.run_out();
    assert_eq!(child.sim.said(0), [1]);
    let made = child.sim.flobs_in(child.memory..child.memory + PAGES * PAGE_SIZE).len() as u64;
    assert_eq!(made, PAGES * 8, "all its memory is full");
    // Everybody else's flobs have their room.
    for kind in FlobKind::ALL {
        child.sim.make(kind);
    }
}

/// A region over a page of the child's own space and a mapping of it: `flobs` says where both are made.
fn layer(child: &mut Child, flobs: u64, from: u64, to: u64) {
    let Child { sim, space, .. } = child;
    for (kind, place) in [(FlobKind::Region, flobs), (FlobKind::Mapping, flobs + 512)] {
        sim.create_at(kind, place);
    }
    let protection = Protection::ALL.0;
    let state = RegionState { start: from, size: PAGE_SIZE, protection, ..RegionState::default() };
    assert_eq!(sim.set_state(flobs, &state, group::ALL, &[*space]), Status::Success);
    let region = sim.scratch_reference(flobs, FlobKind::Region);
    let state = MappingState { start: to, size: PAGE_SIZE, protection, ..MappingState::default() };
    assert_eq!(sim.set_state(flobs + 512, &state, group::ALL, &[region, *space]), Status::Success);
}

/// Reads there for ever. A hard fault goes to a keeper that there is not: the thread waits then.
fn reader(address: u64) -> Program {
    let program = Program::new().set(R14, address);
    let again = program.here();
    program.op(Op::Load(R15, R14, 0)).op(Op::Jump(again))
}

#[test]
fn a_child_that_maps_in_cycles_only_harms_itself() {
    let mut child = Child::new(8);
    let (one, other) = (AT + 0x10_0000, AT + 0x20_0000);
    let memory = child.memory;
    layer(&mut child, memory, one, other);
    layer(&mut child, memory + 1024, other, one);
    let thread = child.start(reader(one));
    // And calls whose arguments lie in the cycle.
    child.start(Program::new().call(Call::MutexLock, &[other]).end());
    child.start(Program::new().call(Call::RegionSearch, &[AT, 0, PAGE_SIZE, one, 8]).end());
    let protect = Program::new().call(Call::RegionProtect, &[AT, 1]).call(Call::RegionProtect, &[AT, 7]);
    child.start(protect.op(Op::Jump(0)));
    child.keep_time("mapping in cycles");
    assert_ne!(child.sim.stop(thread).exception.code, 0, "a hard fault");
}

#[test]
fn a_child_that_maps_ten_thousand_levels_deep_only_harms_itself() {
    let pages = 1 + LEVELS / 4;
    let mut child = Child::new(pages);
    let memory = child.memory;
    let at = |level: u64| AT + 0x1000_0000 + level * PAGE_SIZE;
    for level in 0..LEVELS {
        let from = if level == 0 { AT } else { at(level - 1) };
        layer(&mut child, memory + PAGE_SIZE + level * 1024, from, at(level));
    }
    // As deep as can be seen, one level more, and the deepest.
    let seen = child.start(reader(at(20)));
    let deep = [at(40), at(LEVELS - 1)].map(|address| child.start(reader(address)));
    // It changes what is at the bottom, over and over.
    let bottom = AT + PAGE_SIZE;
    let protect =
        Program::new().call(Call::RegionProtect, &[bottom, 1]).call(Call::RegionProtect, &[bottom, 7]);
    child.start(protect.op(Op::Jump(0)));
    child.keep_time("ten thousand levels");
    assert_eq!(child.sim.stop(seen).exception.code, 0);
    deep.into_iter().for_each(|thread| assert_ne!(child.sim.stop(thread).exception.code, 0, "a hard fault"));
}

#[test]
fn a_child_that_raises_what_it_was_granted_is_refused() {
    let mut child = Child::new(4);
    let state = SpaceState { ceiling: 31, interrupts: 1, ..SpaceState::default() };
    child.sim.write(child.memory + PAGE_SIZE, state.as_bytes());
    let program = Program::new().call(Call::SpaceCreate, &[AT]);
    let program = program.call(Call::SpaceSetState, &[AT, AT + PAGE_SIZE, 0, group::ALL]).output(0, Rax);
    child.start(program.end());
    child.keep_time("asking for more");
    assert_eq!(child.sim.said(0), [Status::NotPermitted as u64]);
}
