//! Parked connections: `thread_get_server` and `thread_set_server`.

use flob_abi::{Call, FlobKind, Status, ipc};

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
    assert_eq!((sim.said(2), sim.said(1)), (&[22][..], &[22][..]));
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
