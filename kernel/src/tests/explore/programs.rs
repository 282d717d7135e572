//! What is explored.

use std::string::String;
use std::vec;
use std::vec::Vec;

use flob_abi::flob::thread_link;
use flob_abi::{Call, ExceptionCode, ExceptionMessage, FlobKind, PAGE_SIZE, Protection, RegionState};
use flob_abi::{Status, ThreadState, group, ipc};
use stateright::{Checker, Model};
use zerocopy::IntoBytes;

use super::model::{Action, Budget, Exploration, World};
use crate::tests::laws::Disturbance;
use crate::tests::program::*;
use crate::tests::random::rounds;
use crate::tests::scene::*;
use crate::tests::talk::with_references;

/// What is done after each step of an exploration.
const EXPLORED: [Disturbance; 5] = [
    Disturbance::Nothing,
    Disturbance::Forget,
    Disturbance::Scramble,
    Disturbance::Rebuild,
    Disturbance::FreshKernel,
];

pub type Goal = fn(&Scene, &mut World) -> bool;

/// Explores a scene under every disturbance. Each time there must be as many states: what is forgotten or put back
/// leaves no trace, and what the kernel hides opens no way.
pub fn explore(name: &str, scene: &Scene, budget: &Budget, goal: Goal) {
    let counts = EXPLORED.map(|disturbance| {
        let budget = budget.clone();
        let exploration = Exploration { scene: scene.clone(), budget, disturbance, goal };
        let begin = std::time::Instant::now();
        let checker = exploration.checker().threads(2).spawn_dfs().join();
        std::println!(
            "explored: {name}, {disturbance:?}: {} states, {} transitions, {:.1} s",
            checker.unique_state_count(),
            checker.state_count(),
            begin.elapsed().as_secs_f32()
        );
        if let Some((property, path)) = checker.discoveries().into_iter().next() {
            let (states, actions): (Vec<_>, Vec<_>) = path.into_vec().into_iter().unzip();
            let end = states.last().map(|world| (world, checker.model().end(world)));
            panic!("{name}, {disturbance:?}: not so: {property}, after {actions:?}: {end:#?}");
        }
        checker.unique_state_count()
    });
    assert_eq!(counts, [counts[0]; 5], "{name}: {}", odd_path(scene, budget, goal));
}

/// A way to a state that one of the disturbances alone leads to.
fn odd_path(scene: &Scene, budget: &Budget, goal: Goal) -> String {
    let ways = EXPLORED.map(|disturbance| {
        let (scene, budget) = (scene.clone(), budget.clone());
        Exploration { scene, budget, disturbance, goal }.ways()
    });
    let odd = ways.iter().zip(EXPLORED).find_map(|(these, disturbance)| {
        let missing = |state: &&u64| ways.iter().any(|others| !others.contains_key(*state));
        Some((disturbance, &these[these.keys().filter(missing).min_by_key(|state| these[*state].len())?]))
    });
    std::format!("not with every disturbance: {odd:?}")
}

/// The nester may stop threads this often: in the long form once more. Once a thread is preempted.
pub fn stops(quick: u8) -> Budget {
    Budget { stops: quick + u8::from(is_long()), preempts: 1, ..Budget::default() }
}

pub fn is_long() -> bool {
    rounds(1) >= 100
}

/// Adds to a number in memory under the mutex.
fn counter(thread: u64) -> Program {
    Program::new()
        .call(Call::MutexLock, &[MUTEX])
        .set(R14, data(0))
        .op(Op::Load(R15, R14, 0))
        .op(Op::Add(R15, 1))
        .op(Op::Store(R14, 0, R15))
        .call(Call::MutexUnlock, &[MUTEX])
        .output(thread as usize, Rax)
}

#[test]
fn three_threads_and_a_mutex() {
    let scene = Scene::new(Protection::ALL, (0..3).map(counter).collect());
    explore("mutex", &scene, &stops(2), |scene, world| {
        let said = (0..3).all(|thread| world.sim.said(thread) == [0]);
        said && scene.read(&mut world.sim, data(0), 1) == [3]
    });
}

/// `while (box != 0) == full { condition_wait }`.
pub fn until_box(program: Program, full: bool, condition: u64) -> Program {
    let again = program.here();
    let program = program.set(R14, data(0)).op(Op::Load(R15, R14, 0));
    let done = program.here() + 6;
    let jump = if full { Op::JumpIf(R15, 0, done) } else { Op::JumpUnless(R15, 0, done) };
    program.op(jump).call(Call::ConditionWait, &[condition, MUTEX]).op(Op::Jump(again)).op(Op::Add(R15, 0))
}

pub fn producer() -> Program {
    (1..=2).fold(Program::new(), |program, number| {
        let program = until_box(program.call(Call::MutexLock, &[MUTEX]), true, OTHER_CONDITION);
        let program = program.set(R14, data(0)).set(R15, number).op(Op::Store(R14, 0, R15));
        program.call(Call::ConditionSignal, &[CONDITION]).call(Call::MutexUnlock, &[MUTEX])
    })
}

pub fn consumer(program: Program, channel: usize) -> Program {
    (1..=2).fold(program, |program, _| {
        let program = until_box(program.call(Call::MutexLock, &[MUTEX]), false, CONDITION);
        let program = program.set(R14, data(0)).op(Op::Load(R15, R14, 0)).output(channel, R15).set(R15, 0);
        let program = program.op(Op::Store(R14, 0, R15)).call(Call::ConditionBroadcast, &[OTHER_CONDITION]);
        program.call(Call::MutexUnlock, &[MUTEX])
    })
}

#[test]
fn a_mutex_and_two_conditions_around_a_box() {
    let scene = Scene::new(Protection::ALL, vec![producer(), consumer(Program::new(), 0)]);
    explore("condition", &scene, &stops(2), |_, world| world.sim.said(0) == [1, 2]);
}

/// Sleeps until the flag is set.
pub fn sleeper(number: usize) -> Program {
    let program = until_box(Program::new().call(Call::MutexLock, &[MUTEX]), false, CONDITION);
    program.call(Call::MutexUnlock, &[MUTEX]).output(number, Rax)
}

pub fn setter() -> Program {
    let program = Program::new().call(Call::MutexLock, &[MUTEX]).set(R14, data(0)).set(R15, 1);
    let program = program.op(Op::Store(R14, 0, R15)).call(Call::ConditionBroadcast, &[CONDITION]);
    program.call(Call::MutexUnlock, &[MUTEX]).output(2, Rax)
}

#[test]
fn a_broadcast_to_two_sleepers() {
    let scene = Scene::new(Protection::ALL, vec![sleeper(0), sleeper(1), setter()]);
    explore("broadcast", &scene, &stops(1), |_, world| (0..3).all(|number| world.sim.said(number) == [0]));
}

/// How a thread came to its end: the code of the exception that it is left with.
pub fn end_of(scene: &Scene, world: &mut World, thread: u64) -> Option<ExceptionCode> {
    let state: ThreadState = world.sim.get_state(scene.thread(thread), &[]);
    ExceptionCode::from_number(state.exception.code)
}

#[test]
fn what_threads_wait_for_is_destroyed() {
    let scene = Scene::new(Protection::ALL, vec![sleeper(0), setter()]);
    let destroys = vec![(FlobKind::Mutex, MUTEX), (FlobKind::Condition, CONDITION)];
    let budget = Budget { destroys, ..stops(1) };
    explore("destroyed mutex or condition", &scene, &budget, |scene, world| {
        let ends = [0, 1].map(|thread| end_of(scene, world, thread));
        match (world.harm, ends) {
            (_, [Some(ExceptionCode::InvalidOpcode), Some(ExceptionCode::InvalidOpcode)]) => true,
            // The one could not signal any more: the other sleeps.
            // The one could not go on: the other sleeps, or waits for what the one holds.
            (Some(_), ends) => (0..2).all(|thread| {
                let mut waits = || matches!(waits_for(scene, world, thread), Some(CONDITION | MUTEX));
                ends[thread as usize].is_some() || waits()
            }),
            (None, _) => false,
        }
    });
}

/// Asks for the number behind this word, with a reference beside it.
fn client(thread: u64, word: u64) -> Program {
    let at = data(thread);
    let registers = with_references(TO_PORT, (at, 8), (at + 8, 8), (at + 16, 1), (0, 0));
    let program =
        Program::new().set(R14, at).set(R15, word).op(Op::Store(R14, 0, R15)).set(R14, 0).set(R15, 0);
    let program = program.raw_call(ipc::CLIENT_CALL, &registers).output(thread as usize, Rax);
    program.set(R14, at).op(Op::Load(R15, R14, 8)).output(thread as usize, R15)
}

fn server() -> Program {
    server_with(3)
}

/// Answers with the next number; receives a reference. Its messages are on this page.
fn server_with(page: u64) -> Program {
    let at = data(page);
    let registers = |send| with_references(SET, send, (at, 8), (0, 0), (at + 16, 1));
    let program = Program::new().raw_call(ipc::SERVER_WAIT, &registers((0, 0)));
    let again = program.here();
    let program =
        program.set(R14, at).op(Op::Load(R15, R14, 0)).op(Op::Add(R15, 1)).op(Op::Store(R14, 8, R15));
    let program = program.set(R14, 0).set(R15, 0);
    let program = program.raw_call(ipc::SERVER_ANSWER, &registers((at + 8, 8)));
    // Nobody is there to be answered: from the beginning.
    program.op(Op::JumpIf(Rax, 0, again)).op(Op::Jump(0))
}

/// A scene whose threads talk: the arrays of references are in place.
fn talk(programs: Vec<Program>) -> Scene {
    let mut scene = Scene::new(Protection::ALL, programs);
    for (page, reference) in [(0, SENT), (1, SENT), (3, RECEIVED)] {
        scene.write(data(page) + 16, &u64::to_le_bytes(reference));
    }
    scene
}

#[test]
fn reliable_calls_of_two_clients() {
    let scene = talk(vec![client(0, 10), client(1, 20), server()]);
    explore("reliable", &scene, &stops(1), |scene, world| {
        let end = Status::ReceiveDisconnected as u64;
        let said = world.sim.said(0) == [end, 11] && world.sim.said(1) == [end, 21];
        said && world.sim.same(scene.outside(SENT), scene.outside(RECEIVED))
    });
}

/// A server of requests without a connection: answers with the next number, adds up what it has heard.
fn request_server(reply: bool) -> Program {
    let at = data(3);
    let registers = |send| with_references(SET, send, (at, 8), (0, 0), (at + 16, 1));
    let program = Program::new().raw_call(ipc::SERVER_WAIT, &registers((0, 0)));
    let again = program.here();
    let program =
        program.set(R14, at).op(Op::Load(R15, R14, 0)).op(Op::Add(R15, 1)).op(Op::Store(R14, 8, R15));
    let program = if reply { program } else { program.output(2, R15) };
    let next = if reply { ipc::SERVER_REPLY } else { ipc::SERVER_WAIT };
    program.set(R14, 0).set(R15, 0).raw_call(next, &registers((at + 8, 8))).op(Op::Jump(again))
}

/// Puts a request without a connection, in which both words and a reference travel.
fn request(thread: u64, word: u64, step: u64) -> Program {
    let at = data(thread);
    let registers = with_references(TO_PORT, (at, 8), (at + 8, 8), (at + 16, 1), (0, 0));
    let program =
        Program::new().set(R14, at).set(R15, word).op(Op::Store(R14, 0, R15)).set(R14, 0).set(R15, 0);
    let program = program.raw_call(ipc::IPC | step, &registers).output(thread as usize, Rax);
    program.set(R14, at).op(Op::Load(R15, R14, 8)).output(thread as usize, R15)
}

#[test]
fn idempotent_requests_of_two_clients() {
    let scene = talk(vec![request(0, 10, ipc::CALL), request(1, 20, ipc::CALL), request_server(true)]);
    explore("idempotent", &scene, &stops(1), |scene, world| {
        let said = world.sim.said(0) == [0, 11] && world.sim.said(1) == [0, 21];
        said && world.sim.same(scene.outside(SENT), scene.outside(RECEIVED))
    });
}

#[test]
fn one_way_requests_of_two_clients() {
    let clients = [request(0, 10, ipc::ONE_WAY), request(1, 20, ipc::ONE_WAY)];
    let scene = talk(clients.into_iter().chain([request_server(false)]).collect());
    explore("one-way", &scene, &stops(1), |scene, world| {
        let mut heard = world.sim.said(2).to_vec();
        heard.sort_unstable();
        let sent = world.sim.said(0) == [0, 0] && world.sim.said(1) == [0, 0];
        // At most once, and here nothing is lost.
        sent && heard == [11, 21] && world.sim.same(scene.outside(SENT), scene.outside(RECEIVED))
    });
}

#[test]
fn either_end_of_an_idempotent_request_is_destroyed() {
    let thread = |number| (FlobKind::Thread, Scene::address_of(number));
    let destroys = vec![thread(0), thread(1), (FlobKind::Port, PORT)];
    let budget = Budget { destroys, ..stops(1) };
    let scene = talk(vec![request(0, 10, ipc::CALL), request_server(true)]);
    explore("idempotent, destroyed", &scene, &budget, nobody_hangs);
}

/// Each step a call of its own; says the status of each.
fn single_steps(side: u64, steps: &[u64], rdi: u64, page: u64) -> Program {
    steps.iter().fold(Program::new(), |program, step| {
        let registers = with_references(rdi, (data(page), 8), (data(page) + 8, 8), (0, 0), (0, 0));
        program.raw_call(ipc::IPC | side | step, &registers).output(page as usize, Rax)
    })
}

#[test]
fn reliable_steps_one_by_one() {
    let steps = [ipc::CONNECT, ipc::SEND, ipc::OVER, ipc::RECEIVE, ipc::DISCONNECT];
    let client = single_steps(0, &steps, TO_PORT, 0);
    let steps = [ipc::WAIT, ipc::RECEIVE, ipc::ACKNOWLEDGE, ipc::SEND, ipc::OVER];
    let server = single_steps(ipc::SERVER, &steps, SET, 1);
    let scene = Scene::new(Protection::ALL, vec![client, server]);
    explore("reliable steps", &scene, &stops(2), |_, world| {
        // The client hangs up where the server would turn the connection once more.
        let over = Status::OverDisconnected as u64;
        world.sim.said(0) == [0; 5] && world.sim.said(1) == [0, 0, 0, 0, over]
    });
}

/// Sends over two pages; the receiver has room for half of it and hangs up then.
fn hanging_up() -> Scene {
    let sender = Program::new()
        .raw_call(
            ipc::IPC | ipc::CONNECT | ipc::SEND | ipc::OVER,
            &with_references(TO_PORT, (data(4), 0x1800), (0, 0), (0, 0), (0, 0)),
        )
        .output(0, Rax);
    let receiver = Program::new()
        .raw_call(ipc::SERVER_WAIT, &with_references(SET, (0, 0), (data(8), 0xc00), (0, 0), (0, 0)))
        .output(1, Rax)
        .raw_call(ipc::IPC | ipc::SERVER | ipc::DISCONNECT, &[])
        .output(1, Rax);
    Scene::new(Protection::ALL, vec![sender, receiver])
}

#[test]
fn the_receiver_disconnects_during_a_transfer() {
    explore("disconnect by the receiver", &hanging_up(), &stops(2), |_, world| {
        let (more, gone) = (Status::ReceiveMoreData as u64, Status::SendDisconnected as u64);
        world.sim.said(0) == [gone] && world.sim.said(1) == [more, 0]
    });
}

#[test]
fn the_sender_disconnects_after_a_transfer() {
    let all = [ipc::CONNECT | ipc::SEND | ipc::DISCONNECT];
    let sender = single_steps(0, &all, TO_PORT, 0);
    let receiver = single_steps(ipc::SERVER, &[ipc::WAIT | ipc::RECEIVE], SET, 1);
    let mut scene = Scene::new(Protection::ALL, vec![sender, receiver]);
    scene.write(data(0), &[1, 2, 3, 4, 5, 6, 7, 8]);
    explore("disconnect by the sender", &scene, &stops(2), |scene, world| {
        let end = Status::ReceiveDisconnected as u64;
        let arrived = scene.read(&mut world.sim, data(1) + 8, 8) == [1, 2, 3, 4, 5, 6, 7, 8];
        world.sim.said(0) == [0] && world.sim.said(1) == [end] && arrived
    });
}

/// What a thread waits for at the end, as an address of the environment.
pub fn waits_for(scene: &Scene, world: &mut World, thread: u64) -> Option<u64> {
    let reference = scene.references[0];
    world.sim.get_state::<ThreadState>(scene.thread(thread), &[0, reference]);
    let (place, _) = world.sim.target_of(reference)?;
    Some(place - scene.memory + AT)
}

/// The client has heard that all went well or that it did not, or waits at a port that nobody serves any more; the server has
/// nobody to serve.
fn nobody_hangs(scene: &Scene, world: &mut World) -> bool {
    let gone = |world: &World, thread| {
        world.harm == Some(Action::Destroy(FlobKind::Thread, Scene::address_of(thread)))
    };
    let client = gone(world, 0)
        || !world.sim.said(0).is_empty()
        || gone(world, 1) && waits_for(scene, world, 0) == Some(PORT);
    let set_gone = world.harm == Some(Action::Destroy(FlobKind::PortSet, SET));
    let server = gone(world, 1) || set_gone || waits_for(scene, world, 1) == Some(SET);
    (client || set_gone && waits_for(scene, world, 0) == Some(PORT)) && server
}

#[test]
fn either_end_or_the_port_is_destroyed_during_a_transfer() {
    let thread = |number| (FlobKind::Thread, Scene::address_of(number));
    let destroys = vec![thread(0), thread(1), (FlobKind::Port, PORT), (FlobKind::PortSet, SET)];
    let budget = Budget { destroys, ..stops(1) };
    explore("destroyed end or port", &talk(vec![client(0, 10), server()]), &budget, nobody_hangs);
}

#[test]
fn one_of_two_servers_is_destroyed() {
    let servers = [1, 2].map(|thread| (FlobKind::Thread, Scene::address_of(thread)));
    let budget = Budget { destroys: servers.to_vec(), opens: true, ..stops(1) };
    let mut scene = talk(vec![client(0, 10), server_with(3), server_with(4)]);
    scene.write(data(4) + 16, &u64::to_le_bytes(RECEIVED));
    scene.prepare(|scene, sim| {
        let null = sim.null_reference();
        assert_eq!(sim.set_links(FlobKind::Port, scene.outside(PORT), &[null]), Status::Success);
    });
    // Whoever was woken for the client and is gone before it has looked: the other one serves it.
    explore("one of two servers", &scene, &budget, |_, world| !world.sim.said(0).is_empty());
}

#[test]
fn the_nester_disconnects_during_a_transfer() {
    let clears = vec![(0, thread_link::CLIENT_PEER), (1, thread_link::SERVER_PEER)];
    let budget = Budget { clears, ..stops(1) };
    explore("disconnect by the nester", &talk(vec![client(0, 10), server()]), &budget, nobody_hangs);
}

/// Serves faults at the guarded region by making it end behind the page that is missing, or `all` at once.
pub fn keeper(grows: bool) -> Program {
    let at = data(5);
    let registers = |send| with_references(KEEPER_SET, send, (at, 40), (0, 0), (0, 0));
    let program = Program::new().raw_call(ipc::SERVER_WAIT, &registers((0, 0)));
    let again = program.here();
    let program = program.set(R14, at).op(Op::Load(R15, R14, 0)).op(Op::Store(R14, 64, R15));
    let program = if grows {
        let state = core::mem::offset_of!(RegionState, size) as u64 + 128;
        let offset = core::mem::offset_of!(ExceptionMessage, offset) as u64;
        program
            .op(Op::Load(R15, R14, offset))
            .op(Op::And(R15, !(PAGE_SIZE - 1)))
            .op(Op::Add(R15, PAGE_SIZE))
            .op(Op::Store(R14, state, R15))
    } else {
        program
    };
    let program =
        program.set(R14, 0).set(R15, 0).call(Call::RegionSetState, &[REGION, at + 128, 0, group::ALL]);
    program.raw_call(ipc::SERVER_REPLY, &registers((at + 64, 16))).op(Op::Jump(again))
}

/// A scene with a keeper of the guarded pages, which are all there or none of them.
pub fn kept(programs: Vec<Program>, protection: Protection, size: u64) -> Scene {
    let mut scene = Scene::new(protection, programs);
    let size = size * PAGE_SIZE;
    let start = data(GUARDED_PAGES.start);
    let state = RegionState { start, size, protection: Protection::ALL.0, ..RegionState::default() };
    scene.write(data(5) + 128, state.as_bytes());
    scene
}

#[test]
fn protection_changes_during_a_fault() {
    let writer = |thread: u64| {
        let program =
            Program::new().set(R14, GUARDED + thread * PAGE_SIZE).set(R15, 7).op(Op::Store(R14, 0, R15));
        program.op(Op::Load(R15, R14, 0)).output(thread as usize, R15)
    };
    let programs = vec![writer(0), writer(1), keeper(false)];
    let scene = kept(programs, Protection::READ, GUARDED_PAGES.end - GUARDED_PAGES.start);
    let all = [Protection::NONE.0, Protection::READ.0, Protection::ALL.0];
    let protections = all[usize::from(!is_long())..].to_vec();
    let budget = Budget { protections, ..stops(0) };
    explore("protection", &scene, &budget, |_, world| world.sim.said(0) == [7] && world.sim.said(1) == [7]);
}

/// By name: Mach's old problem.
#[test]
fn a_long_transfer_over_page_faults_is_stopped_exported_and_goes_on() {
    let send = with_references(TO_PORT, (GUARDED, 2 * PAGE_SIZE), (0, 0), (0, 0), (0, 0));
    let sender =
        Program::new().raw_call(ipc::IPC | ipc::CONNECT | ipc::SEND | ipc::DISCONNECT, &send).output(0, Rax);
    let receive = with_references(SET, (0, 0), (GUARDED + 2 * PAGE_SIZE, 2 * PAGE_SIZE), (0, 0), (0, 0));
    let receiver = Program::new().raw_call(ipc::SERVER_WAIT, &receive).output(1, Rax);
    let mut scene = kept(vec![sender, receiver, keeper(true)], Protection::NONE, 0);
    let bytes: Vec<u8> = (0..2 * PAGE_SIZE).map(|index| (index * 7 % 251) as u8).collect();
    scene.write(data(GUARDED_PAGES.start), &bytes);
    explore("Mach's old problem", &scene, &stops(1), |scene, world| {
        let len = 2 * PAGE_SIZE as usize;
        let sent = scene.read(&mut world.sim, data(GUARDED_PAGES.start), len);
        let arrived = scene.read(&mut world.sim, data(GUARDED_PAGES.start + 2), len);
        world.sim.said(0) == [0]
            && world.sim.said(1) == [Status::ReceiveDisconnected as u64]
            && sent == arrived
    });
}
