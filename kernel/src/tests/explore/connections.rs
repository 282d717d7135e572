//! Connections beyond the plain call: alerts of both ends, ends that are parked and taken up again by their thread or another,
//! messages in registers.

use std::vec;
use std::vec::Vec;

use flob_abi::flob::thread_link;
use flob_abi::thread_flag;
use flob_abi::{Call, ExceptionCode, FlobKind, Handlers, Protection, Status, ThreadState, group, ipc};

use super::model::{Action, Budget, World};
use super::programs::{end_of, explore, setter, sleeper, stops, waits_for};
use crate::tests::program::*;
use crate::tests::scene::*;
use crate::tests::talk::words;

/// Where threads say what alerted them, and the statuses of servers.
const ALERTED: usize = 4;
const SERVED: usize = 6;

/// Puts a word into memory, and leaves the registers that a call counts by empty.
fn store(program: Program, at: u64, word: u64) -> Program {
    program.set(R14, at).set(R15, word).op(Op::Store(R14, 0, R15)).set(R14, 0).set(R15, 0)
}

/// Says the word at this place.
fn say_word(program: Program, at: u64, channel: usize) -> Program {
    program.set(R14, at).op(Op::Load(R15, R14, 0)).output(channel, R15).set(R14, 0).set(R15, 0)
}

/// The word behind the one at this place is the next number.
fn add_one(program: Program, at: u64) -> Program {
    let program = program.set(R14, at).op(Op::Load(R15, R14, 0)).op(Op::Add(R15, 1));
    program.op(Op::Store(R14, 8, R15)).set(R14, 0).set(R15, 0)
}

/// Asks for the number behind this word, in one call.
fn asks(thread: u64, word: u64) -> Program {
    let at = data(thread);
    let program = store(Program::new(), at, word);
    let program = program.raw_call(ipc::CLIENT_CALL, &words(TO_PORT, (at, 8), (at + 8, 8)));
    say_word(program.output(thread as usize, Rax), at + 8, thread as usize)
}

/// What a client has said who got this answer.
fn answered(word: u64) -> [u64; 2] {
    [Status::ReceiveDisconnected as u64, word]
}

/// Waits for a request and prepares the answer behind it.
fn takes(program: Program, at: u64) -> Program {
    add_one(program.raw_call(ipc::SERVER_WAIT, &words(SET, (0, 0), (at, 8))), at)
}

fn answers(program: Program, at: u64) -> Program {
    let steps = ipc::IPC | ipc::SERVER | ipc::ACKNOWLEDGE | ipc::SEND | ipc::DISCONNECT;
    program.raw_call(steps, &words(0, (at + 8, 8), (0, 0))).output(SERVED, Rax)
}

/// A scene whose threads hear alerts: each says the code on a channel of its own and goes on.
fn alert(programs: Vec<Program>) -> Scene {
    let count = programs.len() as u64;
    let mut scene = Scene::new(Protection::ALL, programs);
    scene.prepare(|scene, sim| {
        for thread in 0..count {
            let program = Program::new().output(ALERTED + thread as usize, Rsi);
            let handler = sim.load(program.call(Call::ReturnFromException, &[]));
            let handlers = Handlers { client_alert: handler, server_alert: handler, ..Handlers::default() };
            let flags = thread_flag::EXCEPTIONS_ENABLED;
            let state = ThreadState { flags, handlers, ..ThreadState::default() };
            let mask = group::HANDLERS | group::CONTROL;
            assert_eq!(sim.set_state(scene.thread(thread), &state, mask, &[]), Status::Success);
        }
    });
    scene
}

/// A client that alerts its server in the middle of its call, and a server that alerts its client before it answers.
fn alerting() -> Scene {
    let at = data(0);
    let client = store(Program::new(), at, 10);
    let client = client.raw_call(ipc::CLIENT_CONNECT_SEND, &words(TO_PORT, (at, 8), (0, 0)));
    let client = client.raw_call(ipc::CLIENT_ALERT, &[]).output(0, Rax);
    let client = client.raw_call(ipc::CLIENT_OVER_RECEIVE, &words(0, (0, 0), (at + 8, 8)));
    let client = say_word(client.output(0, Rax), at + 8, 0);
    let server = takes(Program::new(), data(1)).raw_call(ipc::SERVER_ALERT, &[]).output(1, Rax);
    let server = server.raw_call(
        ipc::IPC | ipc::SERVER | ipc::ACKNOWLEDGE | ipc::SEND | ipc::DISCONNECT,
        &words(0, (data(1) + 8, 8), (0, 0)),
    );
    alert(vec![client, server.output(1, Rax)])
}

#[test]
fn both_ends_alert_each_other_once_and_the_call_goes_on() {
    explore("alerts", &alerting(), &stops(1), |_, world| {
        let codes = [ExceptionCode::ClientAlert, ExceptionCode::ServerAlert].map(|code| code as u64);
        let [end, answer] = answered(11);
        world.sim.said(0) == [0, end, answer]
            && world.sim.said(1) == [0, 0]
            && world.sim.said(ALERTED) == [codes[0]]
            && world.sim.said(ALERTED + 1) == [codes[1]]
    });
}

/// Client and server are gone, have come to their ends, or wait where the other one is not coming any more.
fn nobody_hangs(scene: &Scene, world: &mut World) -> bool {
    let over = [0, 1].map(|thread| {
        let gone = world.harm == Some(Action::Destroy(FlobKind::Thread, Scene::address_of(thread)));
        gone || end_of(scene, world, thread) == Some(ExceptionCode::InvalidOpcode)
    });
    let mut waits = |thread, on| waits_for(scene, world, thread) == Some(on);
    (over[0] || over[1] && waits(0, PORT)) && (over[1] || over[0] && waits(1, SET))
}

#[test]
fn an_alert_meets_an_end_that_is_destroyed_or_cut_off() {
    let destroys = [0, 1].map(|thread| (FlobKind::Thread, Scene::address_of(thread))).to_vec();
    let budget = Budget { destroys, ..stops(0) };
    explore("alerts, destroyed", &alerting(), &budget, nobody_hangs);
    let clears = vec![(0, thread_link::CLIENT_PEER), (1, thread_link::SERVER_PEER)];
    let budget = Budget { clears, ..stops(0) };
    explore("alerts, cut off", &alerting(), &budget, nobody_hangs);
}

#[test]
fn a_server_parks_one_client_for_another_and_takes_it_up_again() {
    let at = data(3);
    let server = takes(Program::new(), at).call(Call::ThreadGetServer, &[PARKED]);
    let server = answers(takes(server, at + 64), at + 64).call(Call::ThreadSetServer, &[PARKED]);
    let scene = Scene::new(Protection::ALL, vec![asks(0, 10), asks(1, 20), answers(server, at)]);
    explore("parked client", &scene, &stops(1), |_, world| {
        let said = world.sim.said(0) == answered(11) && world.sim.said(1) == answered(21);
        said && world.sim.said(SERVED) == [0, 0]
    });
}

#[test]
fn a_connection_that_one_server_parks_is_taken_up_by_another() {
    let at = data(3);
    let parks = takes(Program::new(), at).call(Call::ThreadGetServer, &[PARKED]);
    // Tells the other that it is there.
    let first = parks.then(setter());
    let second = answers(sleeper(0).call(Call::ThreadSetServer, &[PARKED]), at);
    let scene = Scene::new(Protection::ALL, vec![second, asks(1, 10), first]);
    explore("parked and handed on", &scene, &stops(1), |_, world| {
        world.sim.said(1) == answered(11) && world.sim.said(SERVED) == [0]
    });
}

/// Connects, parks its end, takes it up again and asks then.
fn parking_client(thread: u64, word: u64) -> Program {
    let at = data(thread);
    let program = store(Program::new(), at, word);
    let program = program.raw_call(ipc::IPC | ipc::CONNECT, &words(TO_PORT, (0, 0), (0, 0)));
    let program = program.call(Call::ThreadGetClient, &[OWN]).call(Call::ThreadSetClient, &[OWN, 1]);
    let steps = ipc::IPC | ipc::SEND | ipc::OVER | ipc::RECEIVE;
    let program = program.raw_call(steps, &words(0, (at, 8), (at + 8, 8)));
    say_word(program.output(thread as usize, Rax), at + 8, thread as usize)
}

/// Serves for ever.
fn adder() -> Program {
    crate::tests::talk::adder(SET, data(3), 1)
}

#[test]
fn a_client_parks_its_end_and_takes_it_up_again() {
    let scene = Scene::new(Protection::ALL, vec![parking_client(0, 10), asks(1, 20), adder()]);
    explore("parked client end", &scene, &stops(1), |_, world| {
        world.sim.said(0) == answered(11) && world.sim.said(1) == answered(21)
    });
}

#[test]
fn either_end_is_destroyed_while_an_end_is_parked() {
    let destroys = [0, 1].map(|thread| (FlobKind::Thread, Scene::address_of(thread))).to_vec();
    let budget = Budget { destroys, ..stops(1) };
    let server = takes(Program::new(), data(3)).call(Call::ThreadGetServer, &[PARKED]);
    let server = answers(server.call(Call::ThreadSetServer, &[PARKED]), data(3));
    let scene = Scene::new(Protection::ALL, vec![parking_client(0, 10), server]);
    explore("parked, destroyed", &scene, &budget, nobody_hangs);
}

/// The words of a message in the short form.
fn short(rdi: u64, first: u64) -> Vec<(Reg, u64)> {
    let mut registers: Vec<(Reg, u64)> =
        [Rsi, Rdx, R10, R8, R9, Rbx, R12, R13].into_iter().zip(first..).collect();
    registers.extend([(Rdi, rdi), (R14, 0), (R15, 0)]);
    registers
}

/// A call whose message is in registers; says the status, the count of bytes and two of the words.
fn short_call(thread: usize, steps: u64, first: u64) -> Program {
    let program = Program::new().raw_call(steps | ipc::SHORT, &short(TO_PORT, first));
    program.output(thread, Rax).output(thread, R14).output(thread, Rsi).output(thread, R13)
}

/// Answers each message with its words, the first one more, in registers.
fn short_server(next: u64) -> Program {
    let program = Program::new().raw_call(ipc::SERVER_WAIT | ipc::SHORT, &short(SET, 0));
    let again = program.here();
    let answer = [(Rdi, SET), (R14, 0), (R15, 0)];
    program.op(Op::Add(Rsi, 1)).raw_call(next | ipc::SHORT, &answer).op(Op::Jump(again))
}

#[test]
fn connections_in_registers_of_two_clients() {
    let clients = [short_call(0, ipc::CLIENT_CALL, 10), short_call(1, ipc::CLIENT_CALL, 20)];
    let scene =
        Scene::new(Protection::ALL, clients.into_iter().chain([short_server(ipc::SERVER_ANSWER)]).collect());
    explore("short form, reliable", &scene, &stops(1), |_, world| {
        let end = Status::ReceiveDisconnected as u64;
        world.sim.said(0) == [end, 64, 11, 17] && world.sim.said(1) == [end, 64, 21, 27]
    });
}

#[test]
fn requests_in_registers_of_two_clients() {
    let call = ipc::IPC | ipc::CALL;
    let clients = [short_call(0, call, 10), short_call(1, call, 20)];
    let next = ipc::REPLY_WAIT_RECEIVE;
    let scene = Scene::new(Protection::ALL, clients.into_iter().chain([short_server(next)]).collect());
    explore("short form, idempotent", &scene, &stops(1), |_, world| {
        world.sim.said(0) == [0, 64, 11, 17] && world.sim.said(1) == [0, 64, 21, 27]
    });
}

/// The one end in memory, the other in registers, both ways.
#[test]
fn a_client_in_memory_and_a_server_in_registers() {
    let at = data(0);
    let client = store(Program::new(), at, 10);
    let client = client.raw_call(ipc::CLIENT_CALL, &words(TO_PORT, (at, 8), (at + 64, 64)));
    let client = say_word(client.output(0, Rax), at + 64, 0);
    let scene = Scene::new(Protection::ALL, vec![client, short_server(ipc::SERVER_ANSWER)]);
    explore("short form, mixed", &scene, &stops(2), |_, world| world.sim.said(0) == answered(11));
}
