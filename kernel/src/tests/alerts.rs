//! Alerts, and the named combinations of steps.

use std::collections::BTreeSet;

use flob_abi::{Call, ExceptionCode, FlobKind, Status, group, ipc, thread_flag};

use super::program::*;
use super::sim::Sim;
use super::talk::*;

/// Gives a thread handlers that say the code on channel 9.
fn listen(sim: &mut Sim, thread: u64) {
    let handler = sim.load(Program::new().output(9, Rsi).call(Call::ReturnFromException, &[]));
    let mut state = sim.stop(thread);
    (state.handlers.client_alert, state.handlers.server_alert) = (handler, handler);
    state.flags = thread_flag::EXCEPTIONS_ENABLED;
    assert_eq!(sim.set_state(thread, &state, group::HANDLERS | group::CONTROL, &[]), Status::Success);
}

/// A client and a server that are connected; each alerts the other once its gate is opened, then waits for it.
fn alerting() -> (Sim, [u64; 2], [u64; 2]) {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(1);
    let to_port = sim.reference(port, FlobKind::Port);
    let page = sim.page();
    let gates = [sim.make(FlobKind::Mutex), sim.make(FlobKind::Mutex)];
    gates.iter().for_each(|gate| sim.ok(Call::MutexLock, &[*gate]));
    let client = Program::new()
        .raw_call(ipc::IPC | ipc::CONNECT, &words(to_port, (0, 0), (0, 0)))
        .call(Call::MutexLock, &[gates[0]])
        .raw_call(ipc::CLIENT_ALERT, &[])
        .output(0, Rax)
        .raw_call(ipc::CLIENT_OVER_RECEIVE, &words(0, (0, 0), (page, 8)));
    let server = Program::new()
        .raw_call(ipc::IPC | ipc::SERVER | ipc::WAIT, &words(set, (0, 0), (0, 0)))
        .call(Call::MutexLock, &[gates[1]])
        .raw_call(ipc::SERVER_ALERT, &[])
        .output(1, Rax)
        .raw_call(ipc::SERVER_RECEIVE, &words(0, (0, 0), (page, 8)));
    let threads = [sim.spawn(5, client.end()), sim.spawn(5, server.end())];
    threads.iter().for_each(|thread| listen(&mut sim, *thread));
    sim.run_out();
    (sim, gates, threads)
}

#[test]
fn each_end_can_alert_the_other_wherever_it_is() {
    let (mut sim, gates, _) = alerting();
    sim.ok(Call::MutexUnlock, &[gates[0]]);
    sim.run_out();
    assert_eq!((&*sim.said(0), &*sim.said(9)), (&[0][..], &[ExceptionCode::ServerAlert as u64][..]));
    sim.output.clear();
    // The client waits in the connection now.
    sim.ok(Call::MutexUnlock, &[gates[1]]);
    sim.run_out();
    assert_eq!((&*sim.said(1), &*sim.said(9)), (&[0][..], &[ExceptionCode::ClientAlert as u64][..]));
}

#[test]
fn without_a_peer_there_is_nobody_to_alert() {
    let mut sim = Sim::new();
    for call in [ipc::CLIENT_ALERT, ipc::SERVER_ALERT] {
        let end = sim.raw_call(call, &[]).expect("a status");
        assert_eq!(end.rax, Status::AlertDisconnected as u64);
    }
}

#[test]
fn a_thread_that_is_destroyed_alerts_its_peers() {
    for (dead, code) in [(0, ExceptionCode::ServerAlert), (1, ExceptionCode::ClientAlert)] {
        let (mut sim, _, threads) = alerting();
        sim.ok(Call::ThreadDestroy, &[threads[dead]]);
        sim.run_out();
        assert_eq!(sim.said(9), [code as u64]);
    }
}

#[test]
fn a_sender_that_disconnects_has_been_heard_and_one_whose_receiver_does_has_not() {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(1);
    let to_port = sim.reference(port, FlobKind::Port);
    let (from, to) = (sim.page(), sim.page());
    sim.write_words(from, &[5]);
    let server = Program::new()
        .raw_call(ipc::SERVER_WAIT, &words(set, (0, 0), (to, 100)))
        .output(0, Rax)
        .output(0, Rbx);
    // The second client sends more than there is room for, and is cut off.
    let server = server.raw_call(ipc::SERVER_WAIT, &words(set, (0, 0), (to, 100))).output(0, Rax);
    sim.spawn(5, server.raw_call(ipc::SERVER_DISCONNECT, &[]).output(0, Rax).end());
    let client = Program::new().raw_call(ipc::CLIENT_CONNECT_SEND, &words(to_port, (from, 8), (0, 0)));
    let client = client.output(1, Rax).raw_call(ipc::CLIENT_DISCONNECT, &[]).output(1, Rax);
    let client = client.raw_call(ipc::CLIENT_CONNECT_SEND, &words(to_port, (from, 200), (0, 0)));
    sim.spawn(5, client.output(1, Rax).output(1, Rdx).end());
    sim.run_out();
    let (gone, more) = (Status::ReceiveDisconnected as u64, Status::ReceiveMoreData as u64);
    assert_eq!(sim.said(0), [gone, 92, more, 0]);
    assert_eq!(sim.said(1), [0, 0, Status::SendDisconnected as u64, 100]);
    assert_eq!(sim.read_word(to), 5);
}

/// A dialogue in which every named combination of a connection is used once by each side that has it.
#[test]
fn the_named_combinations_work_together() {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(1);
    let to_port = sim.reference(port, FlobKind::Port);
    let (from, to) = (sim.page(), sim.page());
    sim.write_words(from, &[1, 2, 3, 4, 5, 6, 7, 8]);
    let send = |index: u64| words(0, (from + 8 * index, 8), (to, 8));
    let say = |program: Program, at: u64, channel: usize| {
        let program =
            program.output(channel, Rax).set(R14, at).op(Op::Load(R15, R14, 0)).output(channel, R15);
        program.set(R14, 0).set(R15, 0)
    };
    let mut first = words(to_port, (from, 8), (0, 0));
    let client = Program::new().raw_call(ipc::CLIENT_CONNECT_SEND, &first).output(0, Rax);
    let client = client.raw_call(ipc::CLIENT_SEND, &send(1)).output(0, Rax);
    let client = say(client.raw_call(ipc::CLIENT_SEND_OVER_RECEIVE, &send(2)), to, 0);
    let client = client.raw_call(ipc::CLIENT_ACK_SEND, &send(3)).output(0, Rax);
    let client = say(client.raw_call(ipc::CLIENT_OVER_RECEIVE, &send(0)), to, 0);
    let client = say(client.raw_call(ipc::CLIENT_ACK_SEND_OVER_RECEIVE, &send(4)), to, 0);
    sim.spawn(5, client.raw_call(ipc::CLIENT_RECEIVE, &send(0)).output(0, Rax).end());
    let room = to + 64;
    let answer = |index: u64| words(0, (from + 8 * index, 8), (room, 24));
    first = words(set, (0, 0), (room, 24));
    // One, two and three in one message; five; six in two parts.
    let server = say(Program::new().raw_call(ipc::SERVER_WAIT_RECEIVE, &first), room + 16, 1);
    let server = say(server.raw_call(ipc::SERVER_ACK_SEND_OVER_RECEIVE, &answer(4)), room, 1);
    let server = server.raw_call(ipc::SERVER_ACK_SEND, &answer(5)).output(1, Rax);
    let server = say(server.raw_call(ipc::SERVER_OVER_RECEIVE, &answer(0)), room, 1);
    let mut last = answer(6);
    last[0] = (Rdi, set);
    sim.spawn(5, server.raw_call(ipc::SERVER_ACK_SEND_WAIT_RECEIVE, &last).say(1, 99).end());
    sim.run_out();
    let gone = Status::ReceiveDisconnected as u64;
    assert_eq!(sim.said(1), [0, 3, 0, 4, 0, 0, 5]);
    assert_eq!(sim.said(0), [0, 0, 0, 5, 0, 0, 6, gone, 7, Status::ReceiveDisconnected as u64]);
}

#[test]
fn every_name_is_one_valid_combination() {
    let mut seen = BTreeSet::new();
    for (name, call) in ipc::NAMED {
        assert!(ipc::is_valid(*call) && ipc::is_valid(call | ipc::SHORT), "{name}");
        assert!(seen.insert(*call), "{name} is there twice");
    }
    assert_eq!(seen.len(), 25);
    for call in
        [ipc::ONE_WAY | ipc::CALL, ipc::CALL | ipc::RECEIVE, ipc::ALERT | ipc::SEND, ipc::SERVER | ipc::CALL]
    {
        assert!(!ipc::is_valid(ipc::IPC | call));
    }
    assert!(!ipc::is_valid(ipc::IPC) && !ipc::is_valid(ipc::CLIENT_CALL | ipc::SHORT << 1));
}
