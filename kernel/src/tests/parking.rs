//! Parked connections: `thread_get_server`, `thread_set_server`, `thread_get_client`, `thread_set_client`.

use flob_abi::{Call, FlobKind, Misuse, Status, ThreadState, ipc};

use super::program::*;
use super::sim::Sim;
use super::talk::*;

/// A server that takes a request and parks its client in a reference.
fn parker(set: u64, page: u64, reference: u64) -> Program {
    Program::new()
        .raw_call(ipc::SERVER_WAIT, &words(set, (0, 0), (page, 8)))
        .call(Call::ThreadGetServer, &[reference])
}

/// Answers with the word at `page`.
fn answer(program: Program, page: u64) -> Program {
    let steps = ipc::IPC | ipc::SERVER | ipc::ACKNOWLEDGE | ipc::SEND | ipc::DISCONNECT;
    program.raw_call(steps, &words(0, (page, 8), (0, 0))).output(9, Rax)
}

#[test]
fn a_parked_client_waits_until_its_server_takes_it_up() {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(1);
    let (page, reference) = (sim.page(), sim.null());
    // Parks the first client, answers the second, then the first.
    let second = sim.null();
    let program =
        parker(set, page, reference).raw_call(ipc::SERVER_WAIT, &words(set, (0, 0), (page, 8))).say(0, 1);
    let program = answer(program, page).call(Call::ThreadSetServer, &[reference]);
    sim.spawn(5, answer(program, page).end());
    let first = sim.client(port, 11, 1);
    sim.run_out();
    assert_eq!(sim.said(1), []);
    assert_eq!(sim.kind_of_target(reference), FlobKind::Thread as u64);
    sim.ok(Call::ThreadReference, &[first, second]);
    assert!(sim.same(reference, second));
    sim.client(port, 22, 2);
    sim.run_out();
    assert_eq!((&*sim.said(2), &*sim.said(1)), (&[22][..], &[22][..]));
}

#[test]
fn another_thread_may_take_a_parked_connection_up() {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(1);
    let (page, reference) = (sim.page(), sim.null());
    sim.spawn(5, parker(set, page, reference).end());
    sim.client(port, 11, 1);
    sim.run_out();
    let other = Program::new().call(Call::ThreadSetServer, &[reference]);
    sim.spawn(5, answer(other, page).end());
    sim.run_out();
    assert_eq!(sim.said(9), [Status::Success as u64]);
    assert_eq!(sim.said(1), [11]);
}

#[test]
fn a_server_that_takes_up_a_client_that_has_left_is_told() {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(1);
    let (page, reference) = (sim.page(), sim.null());
    let program = parker(set, page, reference);
    let gate = sim.make(FlobKind::Mutex);
    sim.ok(Call::MutexLock, &[gate]);
    let program = program.call(Call::MutexLock, &[gate]).call(Call::ThreadSetServer, &[reference]);
    sim.spawn(5, answer(program, page).end());
    let client = sim.client(port, 11, 1);
    sim.run_out();
    // The client goes on with something else.
    let elsewhere = sim.load(Program::new().raw_call(ipc::IPC | ipc::DISCONNECT, &[]).end());
    let mut state = sim.stop(client);
    state.registers.rip = elsewhere;
    state.registers.rax = 0;
    sim.set(client, &state, &[]);
    sim.run_out();
    sim.ok(Call::MutexUnlock, &[gate]);
    sim.run_out();
    assert_eq!(sim.said(9), [Status::AcknowledgeDisconnected as u64]);
}

#[test]
fn a_client_of_a_destroyed_server_is_told_even_if_parked() {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(1);
    let (page, reference) = (sim.page(), sim.null());
    let server = sim.spawn(5, parker(set, page, reference).end());
    let to_port = sim.reference(port, FlobKind::Port);
    let call = Program::new().raw_call(ipc::CLIENT_CALL, &words(to_port, (page, 8), (page, 8)));
    sim.spawn(5, call.output(1, Rax).end());
    sim.run_out();
    sim.ok(Call::ThreadDestroy, &[server]);
    sim.run_out();
    assert_eq!(sim.said(1), [Status::OverDisconnected as u64]);
}

/// Connects and parks its end, as the sender, in `reference`.
fn parking_client(port: u64, reference: u64) -> Program {
    Program::new()
        .raw_call(ipc::IPC | ipc::CONNECT, &words(port, (0, 0), (0, 0)))
        .call(Call::ThreadGetClient, &[reference])
        .output(1, Rsi)
}

/// A client that takes its connection up again sends a word and says the answer.
fn take_up(program: Program, page: u64, reference: u64) -> Program {
    program
        .call(Call::ThreadSetClient, &[reference, 1])
        .raw_call(ipc::IPC | ipc::SEND | ipc::OVER | ipc::RECEIVE, &words(0, (page, 8), (page + 8, 8)))
        .output(1, Rax)
        .set(R14, page)
        .op(Op::Load(R15, R14, 8))
        .output(1, R15)
        .set(R15, 0)
}

#[test]
fn a_client_parks_its_end_talks_to_another_server_and_comes_back() {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(1);
    let (other_set, other) = sim.make_port(2);
    let (to_port, to_other) = (sim.reference(port, FlobKind::Port), sim.reference(other, FlobKind::Port));
    let (page, reference) = (sim.page(), sim.null());
    sim.adder(set, 100);
    sim.adder(other_set, 1000);
    let program = parking_client(to_port, reference);
    let program = ask(program, to_other, page, 2, 2);
    let client = sim.spawn(5, take_up(program, page, reference).end());
    sim.run_out();
    assert_eq!(
        (&*sim.said(2), &*sim.said(1)),
        (&[1002][..], &[1, Status::ReceiveDisconnected as u64, 102][..])
    );
    assert_eq!(sim.stop(client).parked_client_ends, 0);
}

/// A client that has parked its end stands at a gate, its server waits for it.
fn parked_client(after: impl FnOnce(Program, u64, u64) -> Program) -> (Sim, u64, u64) {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(1);
    let to_port = sim.reference(port, FlobKind::Port);
    let (page, reference, gate) = (sim.page(), sim.null(), sim.make(FlobKind::Mutex));
    sim.ok(Call::MutexLock, &[gate]);
    let room = sim.page();
    let server = Program::new().raw_call(ipc::SERVER_WAIT, &words(set, (0, 0), (room, 64))).output(0, Rax);
    sim.spawn(5, server.end());
    let program = parking_client(to_port, reference).call(Call::MutexLock, &[gate]);
    let client = sim.spawn(5, after(program, page, reference).end());
    sim.run_out();
    assert_eq!(sim.said(0), [], "the server waits for the client that is away");
    (sim, gate, client)
}

#[test]
fn a_server_is_told_when_the_client_comes_back_and_leaves_or_dies() {
    let leave = |program: Program, _: u64, reference: u64| {
        let program = program.call(Call::ThreadSetClient, &[reference, 1]);
        program.raw_call(ipc::IPC | ipc::DISCONNECT, &[])
    };
    let (mut sim, gate, _) = parked_client(leave);
    sim.ok(Call::MutexUnlock, &[gate]);
    sim.run_out();
    assert_eq!(sim.said(0), [Status::ReceiveDisconnected as u64]);
    let (mut sim, _, client) = parked_client(leave);
    sim.ok(Call::ThreadDestroy, &[client]);
    sim.run_out();
    assert_eq!(sim.said(0), [Status::ReceiveDisconnected as u64]);
}

/// A client with two parked ends drops one for the other: the server of the one it dropped is told once none is left.
#[test]
fn servers_of_connections_that_nobody_takes_up_are_told_when_the_last_end_is_taken_up() {
    let (mut sim, gate, client) = parked_client(|program, _, reference| {
        let program = program.call(Call::ThreadSetClient, &[reference, 1]);
        program.call(Call::MutexLock, &[0x10_0000_0000])
    });
    // As if it had parked another end, to a thread that is gone.
    let state: ThreadState = sim.get_state(client, &[]);
    let (set, _) = sim.make_port(9);
    let lost = sim.adder(set, 1);
    let to_lost = sim.reference(lost, FlobKind::Thread);
    let program = Program::new().call(Call::ThreadSetClient, &[to_lost, 1]).say(2, 1).end();
    let rip = sim.load(program);
    let mut elsewhere = ThreadState { parked_client_ends: 1, ..state };
    elsewhere.registers.rip = rip;
    let null = sim.null();
    sim.set(client, &elsewhere, &[0, null]);
    sim.run_out();
    assert_eq!((&*sim.said(2), &*sim.said(0)), (&[1][..], &[Status::ReceiveDisconnected as u64][..]));
    let peer = sim.null();
    sim.get_state::<ThreadState>(client, &[0, 0, peer]);
    assert!(sim.is_null(peer), "the other had never had a connection");
    let _ = gate;
}

#[test]
fn a_client_that_comes_back_to_a_server_that_has_left_is_told() {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(1);
    let to_port = sim.reference(port, FlobKind::Port);
    let (page, reference, gate) = (sim.page(), sim.null(), sim.make(FlobKind::Mutex));
    sim.ok(Call::MutexLock, &[gate]);
    let server = Program::new().raw_call(ipc::IPC | ipc::SERVER | ipc::WAIT, &words(set, (0, 0), (0, 0)));
    let server_gate = sim.make(FlobKind::Mutex);
    sim.ok(Call::MutexLock, &[server_gate]);
    let server = server.call(Call::MutexLock, &[server_gate]);
    let server = server.raw_call(ipc::IPC | ipc::SERVER | ipc::DISCONNECT, &[]);
    sim.spawn(5, server.say(0, 1).end());
    let program = parking_client(to_port, reference).call(Call::MutexLock, &[gate]);
    sim.spawn(5, take_up(program, page, reference).end());
    for gate in [server_gate, gate] {
        sim.run_out();
        sim.ok(Call::MutexUnlock, &[gate]);
    }
    sim.run_out();
    assert_eq!((&*sim.said(0), sim.said(1)[1]), (&[1][..], Status::SendDisconnected as u64));
}

#[test]
fn both_ends_can_be_parked_and_taken_up_in_either_order() {
    for client_first in [true, false] {
        let mut sim = Sim::new();
        let (set, port) = sim.make_port(1);
        let to_port = sim.reference(port, FlobKind::Port);
        let (page, room) = (sim.page(), sim.page());
        let (by_client, by_server) = (sim.null(), sim.null());
        let gates = [sim.make(FlobKind::Mutex), sim.make(FlobKind::Mutex)];
        gates.iter().for_each(|gate| sim.ok(Call::MutexLock, &[*gate]));
        let server = Program::new()
            .raw_call(ipc::IPC | ipc::SERVER | ipc::WAIT, &words(set, (0, 0), (0, 0)))
            .call(Call::ThreadGetServer, &[by_server])
            .call(Call::MutexLock, &[gates[0]])
            .call(Call::ThreadSetServer, &[by_server])
            .raw_call(ipc::IPC | ipc::SERVER | ipc::RECEIVE, &words(0, (0, 0), (room, 8)));
        let server = sim.spawn(5, answer(server, room).end());
        sim.write_words(page, &[77]);
        let program = parking_client(to_port, by_client).call(Call::MutexLock, &[gates[1]]);
        let client = sim.spawn(5, take_up(program, page, by_client).end());
        sim.run_out();
        assert_eq!(sim.kind_of_target(by_server), FlobKind::Thread as u64);
        let order = if client_first { [1, 0] } else { [0, 1] };
        for gate in order {
            sim.ok(Call::MutexUnlock, &[gates[gate]]);
            sim.run_out();
        }
        assert_eq!(
            (&*sim.said(1), &*sim.said(9)),
            (&[1, Status::ReceiveDisconnected as u64, 77][..], &[0][..])
        );
        assert_eq!((sim.stop(server).parked_server_ends, sim.stop(client).parked_client_ends), (0, 0));
    }
}

#[test]
fn a_parked_client_end_is_state_and_can_be_made_anew() {
    let (mut sim, gate, client) = parked_client(take_up);
    let links: std::vec::Vec<u64> = (0..6).map(|_| sim.null()).collect();
    let state: ThreadState = sim.get_state(client, &links);
    assert_eq!(state.parked_client_ends, 1);
    // Its server is stopped meanwhile, as in a restore; a thread that dies is no client any more.
    sim.set(client, &ThreadState { parked_client_ends: 0, ..state }, &links);
    sim.set(client, &state, &links);
    sim.ok(Call::MutexUnlock, &[gate]);
    sim.run_out();
    assert_eq!(sim.said(0), [Status::Success as u64]);
}

#[test]
fn misuse_of_parking_is_an_exception() {
    let mut sim = Sim::new();
    let (_, port) = sim.make_port(1);
    let to_port = sim.reference(port, FlobKind::Port);
    let mutex = sim.make(FlobKind::Mutex);
    let driver = sim.driver_address();
    let to_driver = sim.reference(driver, FlobKind::Thread);
    for call in [Call::ThreadSetClient, Call::ThreadSetServer] {
        assert_eq!(sim.wrong(call, &[to_port]), Misuse::WrongReference);
        assert_eq!(sim.wrong(call, &[to_driver]), Misuse::CurrentThread);
        assert_eq!(sim.wrong(call, &[mutex]), Misuse::WrongKind);
    }
    for call in [Call::ThreadGetClient, Call::ThreadGetServer] {
        assert_eq!(sim.wrong(call, &[mutex]), Misuse::WrongKind);
    }
}
