//! A program that uses everything: an environment of two spaces whose threads lock, wait, signal, call each other, send
//! references, fault and are lifted. What each thread says depends on nothing but the program.

use flob_abi::exception::reply_action;
use flob_abi::{Call, FlobKind, PAGE_SIZE, Protection, Registers, SpaceState, ThreadState, ipc};
use flob_abi::{MappingState, PortState, RegionState};

use super::environment::Environment;
use super::program::*;
use super::sim::{ROOT_SPACE, Sim};
use super::talk::with_references;

/// Where the environment's programs see its memory.
const AT: u64 = 0x40_0000;
const PAGES: u64 = 40;
/// Where the second space sees its part, and which pages that are.
const INNER: u64 = 0x80_0000;
const INNER_PAGES: core::ops::Range<u64> = 30..34;
const ROUNDS: u64 = 6;

/// Offsets of flobs in the environment.
const fn flob(page: u64, granule: u64) -> u64 {
    page * PAGE_SIZE + granule * 512
}
const SPACE: u64 = flob(0, 0);
const MAPPING: u64 = flob(0, 1);
const MUTEX: u64 = flob(0, 2);
const FULL: u64 = flob(0, 3);
const EMPTY: u64 = flob(0, 4);
const SET: u64 = flob(0, 5);
const PORT: u64 = flob(0, 6);
const TO_PORT: u64 = flob(0, 7);
const INNER_SPACE: u64 = flob(1, 0);
const INNER_REGION: u64 = flob(1, 1);
const INNER_MAPPING: u64 = flob(1, 2);
const KEEPER_SET: u64 = flob(1, 3);
const KEEPER_PORT: u64 = flob(1, 4);
const SENT: u64 = flob(1, 5);
const RECEIVED: u64 = flob(1, 6);
const COUNT_MUTEX: u64 = flob(1, 7);

/// A page of data for each thread.
const fn data(thread: u64) -> u64 {
    AT + (16 + thread) * PAGE_SIZE
}

/// The box that producer and consumer share.
const BOX: u64 = AT + 28 * PAGE_SIZE;
const COUNTER: u64 = AT + 29 * PAGE_SIZE;

/// `while box != wanted { condition_wait }` with the mutex held.
fn until_box(program: Program, empty: bool, condition: u64) -> Program {
    let again = program.here();
    let program = program.set(R14, BOX).op(Op::Load(R15, R14, 0));
    let done = program.here() + 6;
    let jump = if empty { Op::JumpIf(R15, 0, done) } else { Op::JumpUnless(R15, 0, done) };
    program
        .op(jump)
        .call(Call::ConditionWait, &[AT + condition, AT + MUTEX])
        .op(Op::Jump(again))
        .op(Op::Add(R15, 0))
}

fn producer() -> Program {
    Program::new().rounds(data(0), ROUNDS, |program| {
        let program = until_box(program.call(Call::MutexLock, &[AT + MUTEX]), true, EMPTY);
        let program = program.set(R14, data(0)).op(Op::Load(R15, R14, 0)).op(Op::Add(R15, 1));
        let program =
            program.set(R14, BOX).op(Op::Store(R14, 0, R15)).call(Call::ConditionSignal, &[AT + FULL]);
        program.call(Call::MutexUnlock, &[AT + MUTEX])
    })
}

fn consumer() -> Program {
    Program::new().rounds(data(1), ROUNDS, |program| {
        let program = until_box(program.call(Call::MutexLock, &[AT + MUTEX]), false, FULL);
        let program = program.set(R14, BOX).op(Op::Load(R15, R14, 0)).output(1, R15).set(R15, 0);
        let program = program.op(Op::Store(R14, 0, R15)).call(Call::ConditionBroadcast, &[AT + EMPTY]);
        program.call(Call::MutexUnlock, &[AT + MUTEX])
    })
}

/// Bytes of a request: over three pages.
const LONG: u64 = 2 * PAGE_SIZE + 100;
const REQUEST: u64 = AT + 34 * PAGE_SIZE + 8;
const ARRIVED: u64 = AT + 37 * PAGE_SIZE + 16;

fn server() -> Program {
    let receive =
        |send: (u64, u64)| with_references(AT + SET, send, (ARRIVED, LONG), (0, 0), (data(2) + 64, 1));
    let program = Program::new().raw_call(ipc::SERVER_WAIT, &receive((0, 0)));
    let again = program.here();
    let program = program.set(R14, ARRIVED).op(Op::Load(R15, R14, LONG - 8)).op(Op::Add(R15, 1000));
    let program = program.set(R14, data(2)).op(Op::Store(R14, 8, R15));
    program.raw_call(ipc::SERVER_ANSWER, &receive((data(2) + 8, 8))).op(Op::Jump(again))
}

fn client(thread: u64) -> Program {
    let answer = data(thread) + 16;
    let call = with_references(AT + TO_PORT, (REQUEST, LONG), (answer, 8), (data(thread) + 64, 1), (0, 0));
    Program::new().rounds(data(thread), ROUNDS, |program| {
        let program = program.raw_call(ipc::CLIENT_CALL, &call).output(thread as usize, Rax);
        program.set(R14, data(thread)).op(Op::Load(R15, R14, 16)).output(thread as usize, R15)
    })
}

/// Lifts whatever is denied.
fn keeper() -> Program {
    let registers = |send| with_references(AT + KEEPER_SET, send, (data(5), 40), (0, 0), (0, 0));
    let program = Program::new().raw_call(ipc::SERVER_WAIT, &registers((0, 0)));
    let again = program.here();
    let program = program.set(R14, data(5)).op(Op::Load(R15, R14, 0)).op(Op::Store(R14, 64, R15));
    let lift = u64::from(reply_action::LIFT) | u64::from(Protection::WRITE.0) << 32;
    let program = program.set(R15, lift).op(Op::Store(R14, 72, R15));
    program.raw_call(ipc::SERVER_REPLY, &registers((data(5) + 64, 16))).op(Op::Jump(again))
}

/// Counts in memory that it may not write.
fn writer() -> Program {
    Program::new()
        .rounds(INNER, ROUNDS, |program| {
            let program = program.set(R14, INNER + PAGE_SIZE).op(Op::Load(R15, R14, 0)).op(Op::Add(R15, 7));
            program.op(Op::Store(R14, 0, R15)).op(Op::Load(R15, R14, 0)).output(6, R15)
        })
        // Its keeper would answer any exception: it ends asleep.
        .call(Call::ConditionSleep, &[INNER + 3 * PAGE_SIZE, 0])
}

/// Counts under a mutex, with others.
fn counter(thread: u64) -> Program {
    Program::new().rounds(data(thread), ROUNDS, |program| {
        let program = program.call(Call::MutexLock, &[AT + COUNT_MUTEX]).set(R14, COUNTER);
        let program = program.op(Op::Load(R15, R14, 0)).op(Op::Add(R15, 1)).call(Call::Null, &[]);
        program
            .op(Op::Store(R14, 0, R15))
            .call(Call::MutexUnlock, &[AT + COUNT_MUTEX])
            .output(thread as usize, Rax)
    })
}

/// The environment with all its flobs, its threads ready to run, and the offsets of its threads.
pub fn workload(sim: &mut Sim) -> Environment {
    let memory = sim.pages(PAGES as u32);
    let size = PAGES * PAGE_SIZE;
    let (region, to_region) = sim.make_region(ROOT_SPACE, memory, size, Protection::ALL, 0);
    let at = |offset: u64| memory + offset;
    for (kind, places) in [
        (FlobKind::Space, &[SPACE, INNER_SPACE][..]),
        (FlobKind::Mapping, &[MAPPING, INNER_MAPPING]),
        (FlobKind::Mutex, &[MUTEX, COUNT_MUTEX]),
        (FlobKind::Condition, &[FULL, EMPTY, flob(INNER_PAGES.start + 3, 0)]),
        (FlobKind::PortSet, &[SET, KEEPER_SET]),
        (FlobKind::Port, &[PORT, KEEPER_PORT]),
        (FlobKind::Reference, &[TO_PORT, SENT, RECEIVED]),
        (FlobKind::Region, &[INNER_REGION]),
    ] {
        places.iter().for_each(|place| sim.create_at(kind, at(*place)));
    }
    let to = |sim: &mut Sim, offset, kind| sim.reference(at(offset), kind);
    let (space, inner) = (to(sim, SPACE, FlobKind::Space), to(sim, INNER_SPACE, FlobKind::Space));
    let keeper_port = to(sim, KEEPER_PORT, FlobKind::Port);
    let all = Protection::ALL.0;
    sim.set(at(SPACE), &SpaceState { ceiling: 20, ..SpaceState::default() }, &[]);
    sim.set(at(INNER_SPACE), &SpaceState { ceiling: 15, ..SpaceState::default() }, &[keeper_port]);
    let mapping = MappingState { start: AT, size, protection: all, ..MappingState::default() };
    sim.set(at(MAPPING), &mapping, &[to_region, space]);
    let inner_size = (INNER_PAGES.end - INNER_PAGES.start) * PAGE_SIZE;
    let start = AT + INNER_PAGES.start * PAGE_SIZE;
    let state =
        RegionState { start, size: inner_size, protection: Protection::READ.0, ..RegionState::default() };
    sim.set(at(INNER_REGION), &state, &[space, keeper_port]);
    let inner_region = to(sim, INNER_REGION, FlobKind::Region);
    let state = MappingState { start: INNER, size: inner_size, protection: all, ..MappingState::default() };
    sim.set(at(INNER_MAPPING), &state, &[inner_region, inner]);
    for (port, set) in [(PORT, SET), (KEEPER_PORT, KEEPER_SET)] {
        let set = to(sim, set, FlobKind::PortSet);
        sim.set(at(port), &PortState { hash: 0, alias: port }, &[set]);
    }
    sim.ok(Call::PortReference, &[at(PORT), at(TO_PORT)]);
    sim.ok(Call::MutexReference, &[at(MUTEX), at(SENT)]);
    let arrays = memory + 16 * PAGE_SIZE;
    for (thread, reference) in [(2, RECEIVED), (3, SENT), (4, SENT)] {
        sim.write_words(arrays + thread * PAGE_SIZE + 64, &[AT + reference]);
    }
    sim.write_words(memory + REQUEST - AT + LONG - 8, &[77]);
    let programs =
        [producer(), consumer(), server(), client(3), client(4), keeper(), writer(), counter(7), counter(8)];
    for (thread, program) in (0..).zip(programs) {
        let place = at((2 + thread) * PAGE_SIZE);
        sim.create_at(FlobKind::Thread, place);
        let rip = sim.load(program.end());
        let registers = Registers { rip, ..Registers::default() };
        let space = if thread == 6 { inner } else { space };
        sim.set(
            place,
            &ThreadState { registers, priority: 5, own_address: place, ..ThreadState::default() },
            &[space],
        );
    }
    Environment::new(memory, size, region)
}

/// The last words of the environment: values in its memory that must be right at the end.
pub fn last_words(sim: &mut Sim, environment: &Environment) -> (u64, bool) {
    let counter = sim.read_word(environment.memory + COUNTER - AT);
    let (sent, received) = (environment.memory + SENT, environment.memory + RECEIVED);
    (counter, sim.same(sent, received))
}
