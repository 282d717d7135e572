//! Torture of everything that threads say to each other beyond the standard call: a program that uses one-way messages,
//! idempotent calls, words in registers, scattered buffers, parked ends, alerts and interrupts, stopped, scrambled, made
//! anew and forgotten at random kernel entries. What it says depends on nothing but the program.

use std::collections::BTreeMap;
use std::vec::Vec;

use flob_abi::{
    Call, FlobKind, Handlers, MappingState, PAGE_SIZE, PortState, Protection, Registers, SpaceState,
    ThreadState, ipc, thread_flag,
};

use super::environment::Environment;
use super::program::*;
use super::random::{Random, rounds};
use super::sim::{ROOT_SPACE, Sim};
use super::talk::*;

const AT: u64 = 0x40_0000;
const PAGES: u64 = 48;
const ROUNDS: u64 = 4;
const THREADS: u64 = 9;

const fn flob(page: u64, granule: u64) -> u64 {
    page * PAGE_SIZE + granule * 512
}
const SPACE: u64 = flob(0, 0);
const MAPPING: u64 = flob(0, 1);
/// Three port sets with a port each, and references to the ports.
const SETS: [u64; 3] = [flob(0, 2), flob(0, 3), flob(0, 4)];
const PORTS: [u64; 3] = [flob(0, 5), flob(0, 6), flob(0, 7)];
const TO_PORTS: [u64; 3] = [flob(1, 0), flob(1, 1), flob(1, 2)];
const PARKED: u64 = flob(1, 3);
const GATE: u64 = flob(1, 4);

const fn thread(number: u64) -> u64 {
    (2 + number) * PAGE_SIZE
}

/// A page of data for each thread, and one behind it.
const fn data(thread: u64) -> u64 {
    AT + (16 + 2 * thread) * PAGE_SIZE
}

/// Answers idempotent calls with the word plus 100; one-way messages to it it counts in memory.
fn echo() -> Program {
    let page = data(0);
    let receive = (page, 8);
    let program = Program::new().raw_call(ipc::SERVER_WAIT, &words(AT + SETS[0], (0, 0), receive));
    let again = program.here();
    let program = program.set(R14, page).op(Op::Load(R15, R14, 0)).op(Op::Add(R15, 100));
    let program = program.op(Op::Store(R14, 8, R15)).set(R14, 0).set(R15, 0);
    program
        .raw_call(ipc::REPLY_WAIT_RECEIVE, &words(AT + SETS[0], (page + 8, 8), receive))
        .op(Op::Jump(again))
}

/// Calls the echo and says the answer.
fn caller(number: u64) -> Program {
    let page = data(number);
    Program::new().rounds(page, ROUNDS, |program| {
        let call = words(AT + TO_PORTS[0], (page, 8), (page + 8, 8));
        let program = program.set(R15, 0).raw_call(ipc::IDEMPOTENT_CALL, &call).output(number as usize, Rax);
        program.set(R14, page).op(Op::Load(R15, R14, 8)).output(number as usize, R15)
    })
}

/// Adds up what comes one way, in words; says each new sum.
fn listener() -> Program {
    let page = data(2);
    let wait: Vec<(Reg, u64)> = [(Rdi, AT + SETS[1]), (R14, 0), (R15, 0)].to_vec();
    let program = Program::new();
    let again = program.here();
    let program = program.raw_call(ipc::SERVER_WAIT | ipc::SHORT, &wait).op(Op::Set(R14, page));
    // The first word of all messages is 3; where the sum is kept says how many came.
    program
        .op(Op::Load(R15, R14, 0))
        .op(Op::Add(R15, 3))
        .op(Op::Store(R14, 0, R15))
        .output(2, Rsi)
        .output(2, R15)
        .op(Op::Jump(again))
}

/// Sends threes, one way.
fn sender(number: u64) -> Program {
    Program::new().rounds(data(number), ROUNDS, |program| {
        let words = [(Rdi, AT + TO_PORTS[1]), (Rsi, 3), (R14, 0), (R15, 0)];
        program.raw_call(ipc::ONE_WAY_SEND | ipc::SHORT, &words).output(number as usize, Rax)
    })
}

/// Pieces of the scattered message: over several pages.
const PIECES: [u64; 3] = [5000, 1, 2000];

/// Receives scattered messages, parks its end for a while, answers in words.
fn scattered_server() -> Program {
    let page = data(5);
    let mut wait = words(AT + SETS[2], (0, 0), (page, 1000));
    wait.extend([(R14, 0), (R15, ipc::table(page + 2 * PAGE_SIZE - 64, 3))]);
    let program = Program::new();
    let again = program.here();
    let program = program.raw_call(ipc::SERVER_WAIT, &wait).output(5, Rax).output(5, Rbx);
    let program = program.call(Call::ThreadGetServer, &[AT + PARKED]).call(Call::Null, &[]);
    let program = program.call(Call::ThreadSetServer, &[AT + PARKED]);
    let steps = ipc::SERVER_ACK_SEND | ipc::DISCONNECT | ipc::SHORT;
    program.raw_call(steps, &[(Rsi, 9), (R13, 7), (R14, 0), (R15, 0)]).output(5, Rax).op(Op::Jump(again))
}

/// Sends them, parks its end in between, alerts its server (which does not listen), and says the words of the answer.
fn scattered_client() -> Program {
    let page = data(6);
    let mut send = words(0, (0, 0), (0, 0));
    send.extend([(R14, ipc::table(page + 64, 3)), (R15, 0)]);
    Program::new().rounds(page, ROUNDS, |program| {
        let connect = words(AT + TO_PORTS[2], (0, 0), (0, 0));
        let program = program.set(R14, 0).set(R15, 0).raw_call(ipc::IPC | ipc::CONNECT, &connect);
        let program =
            program.call(Call::ThreadGetClient, &[AT + TO_PORTS[2] + 512 * 3]).call(Call::Null, &[]);
        let program = program.call(Call::ThreadSetClient, &[AT + TO_PORTS[2] + 512 * 3, 1]);
        let program = program.raw_call(ipc::CLIENT_ALERT, &[]).output(6, Rax);
        let program = program.raw_call(ipc::CLIENT_SEND, &send).output(6, Rax);
        program
            .raw_call(ipc::CLIENT_OVER_RECEIVE | ipc::SHORT, &[(R14, 0), (R15, 0)])
            .output(6, Rsi)
            .output(6, R13)
            .output(6, R14)
    })
}

/// Waits for a mutex that it never gets, and counts interrupts in its handler.
fn interrupted() -> (Program, Program) {
    let page = data(7);
    let handler = Program::new().output(7, Rsi).call(Call::ReturnFromException, &[]);
    (Program::new().call(Call::MutexLock, &[AT + GATE]).set(R14, page), handler)
}

/// Interrupts it, once it has taken the one before: each takes a call of the echo to be sure.
fn interrupter() -> Program {
    let page = data(8);
    Program::new().rounds(page, ROUNDS, |program| {
        let program = program.call(Call::ThreadInterrupt, &[AT + thread(7)]).output(8, Rax);
        let call = words(AT + TO_PORTS[0], (page, 8), (page + 8, 8));
        program.set(R14, 0).set(R15, 0).raw_call(ipc::IDEMPOTENT_CALL, &call)
    })
}

fn environment(sim: &mut Sim) -> Environment {
    let memory = sim.pages(PAGES as u32);
    let size = PAGES * PAGE_SIZE;
    let (region, to_region) = sim.make_region(ROOT_SPACE, memory, size, Protection::ALL, 0);
    let at = |offset: u64| memory + offset;
    sim.create_at(FlobKind::Space, at(SPACE));
    sim.create_at(FlobKind::Mapping, at(MAPPING));
    let space = sim.reference(at(SPACE), FlobKind::Space);
    sim.set(at(SPACE), &SpaceState { ceiling: 20, ..SpaceState::default() }, &[]);
    let state = MappingState { start: AT, size, protection: 7, ..MappingState::default() };
    sim.set(at(MAPPING), &state, &[to_region, space]);
    for ((set, port), to_port) in SETS.into_iter().zip(PORTS).zip(TO_PORTS) {
        sim.create_at(FlobKind::PortSet, at(set));
        sim.create_at(FlobKind::Port, at(port));
        sim.create_at(FlobKind::Reference, at(to_port));
        let to_set = sim.reference(at(set), FlobKind::PortSet);
        sim.set(at(port), &PortState { hash: 0, alias: port }, &[to_set]);
        sim.ok(Call::PortReference, &[at(port), at(to_port)]);
    }
    sim.create_at(FlobKind::Reference, at(PARKED));
    sim.create_at(FlobKind::Reference, at(TO_PORTS[2] + 512 * 3));
    sim.create_at(FlobKind::Mutex, at(GATE));
    sim.ok(Call::MutexLock, &[at(GATE)]);
    let physical = |address: u64| memory + address - AT;
    let (from, to) = (data(6) + 300, data(5) + 1000);
    let pieces = [from, PIECES[0], from + PIECES[0], PIECES[1], from + 5001, PIECES[2]];
    sim.write_words(physical(data(6) + 64), &pieces);
    sim.write_words(physical(data(5) + 2 * PAGE_SIZE - 64), &[to, 3000, to, 3000, to, 3000]);
    let (sleeper, handler) = interrupted();
    let programs = [
        echo(),
        caller(1),
        listener(),
        sender(3),
        sender(4),
        scattered_server(),
        scattered_client(),
        sleeper,
        interrupter(),
    ];
    let handler = sim.load(handler);
    for (number, program) in (0..).zip(programs) {
        let place = at(thread(number));
        sim.create_at(FlobKind::Thread, place);
        let rip = sim.load(program.end());
        let handlers = Handlers { interrupt: handler, ..Handlers::default() };
        // The one that is interrupted runs before the one that interrupts.
        let (flags, priority) = if number == 7 { (thread_flag::EXCEPTIONS_ENABLED, 6) } else { (0, 5) };
        let registers = Registers { rip, ..Registers::default() };
        let state = ThreadState {
            flags,
            registers,
            priority,
            handlers,
            own_address: place,
            ..ThreadState::default()
        };
        sim.set(place, &state, &[space]);
    }
    Environment::new(memory, size, region)
}

type Said = BTreeMap<usize, Vec<u64>>;

fn run(mut disturb: impl FnMut(&mut Sim, &mut Environment)) -> Said {
    let mut sim = Sim::new();
    let mut environment = environment(&mut sim);
    for _ in 0..20_000 {
        let mut entered = false;
        let executed = sim.run_until(200, |_, now| {
            entered = now;
            now
        });
        if executed < 200 && !entered {
            return sim.output;
        }
        disturb(&mut sim, &mut environment);
    }
    panic!("the disturbed program does not come to an end: {:?}", sim.output);
}

fn undisturbed() -> Said {
    let said = run(|_, _| ());
    assert_eq!(said[&1], [0, 100, 0, 101, 0, 102, 0, 103]);
    assert_eq!(said[&2], [3, 3, 3, 6, 3, 9, 3, 12, 3, 15, 3, 18, 3, 21, 3, 24]);
    assert_eq!(said[&5], [0, 2999, 0].repeat(ROUNDS as usize));
    assert_eq!(said[&6], [0, 0, 9, 7, 64].repeat(ROUNDS as usize));
    assert_eq!(said[&7], [13; ROUNDS as usize]);
    said
}

fn disturbed(test: &str, quick: u64, disturb: impl Fn(&mut Sim, &mut Environment, &mut Random)) {
    let expected = undisturbed();
    let mut seeds = Random::new(test);
    for _ in 0..rounds(quick) {
        let seed = seeds.next();
        std::println!("round with seed {seed}");
        let mut random = Random::seeded(seed);
        assert_eq!(run(|sim, environment| disturb(sim, environment, &mut random)), expected);
    }
}

#[test]
fn talkers_do_not_notice_that_what_is_derived_is_forgotten() {
    disturbed("talkers, amnesia", 10, |sim, _, random| {
        if random.chance(3) {
            sim.kernel.forget_derived();
        }
    });
}

#[test]
fn talkers_do_not_notice_that_they_are_stopped_and_scrambled() {
    disturbed("talkers, torture", 10, |sim, environment, random| {
        let number = random.below(THREADS);
        environment.scramble(sim, environment.memory + thread(number), random);
    });
}

#[test]
fn talkers_do_not_notice_that_they_are_made_anew() {
    disturbed("talkers, rebuild", 6, |sim, environment, random| {
        if random.chance(6) {
            environment.rebuild(sim, random);
        }
    });
}
