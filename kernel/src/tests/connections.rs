//! Reliable connections: every step from both ends.

use flob_abi::{Call, FlobKind, Misuse, Status, ipc};

use super::program::*;
use super::sim::Sim;
use super::talk::*;

#[test]
fn a_call_reaches_a_server_and_its_answer_comes_back() {
    for server_first in [true, false] {
        let mut sim = Sim::new();
        let (set, port) = sim.make_port(7);
        if server_first {
            sim.adder(set, 100);
            sim.run_out();
        }
        sim.client(port, 1, 0);
        sim.client(port, 2, 1);
        sim.run_out();
        if !server_first {
            assert_eq!(sim.said(0), []);
            sim.adder(set, 100);
            sim.run_out();
        }
        assert_eq!((&*sim.said(0), &*sim.said(1)), (&[101][..], &[102][..]));
    }
}

#[test]
fn a_server_learns_alias_and_flavour() {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(77);
    let page = sim.page();
    let server = Program::new().raw_call(ipc::SERVER_WAIT, &words(set, (0, 0), (page, 8)));
    sim.spawn(5, server.output(0, Rdi).output(0, Rbp).output(0, Rax).output(0, Rbx).end());
    sim.client(port, 1, 1);
    sim.run_out();
    assert_eq!(sim.said(0), [77, ipc::Flavour::Reliable as u64, Status::Success as u64, 0]);
}

/// A client that sends `sent` bytes and a server that makes room for `room` at a time; what the server's calls end with.
fn receive_in_pieces(sent: u64, room: u64) -> (std::vec::Vec<u64>, std::vec::Vec<u8>) {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(1);
    let reference = sim.reference(port, FlobKind::Port);
    let from = sim.pages(24) + 100;
    let to = sim.pages(24) + 1000;
    let bytes: std::vec::Vec<u8> = (0..sent).map(|index| (index * 7 % 251) as u8).collect();
    sim.write(from, &bytes);
    let mut server =
        Program::new().raw_call(ipc::SERVER_WAIT, &words(set, (0, 0), (to, room))).output(0, Rax);
    let mut at = to + room;
    while at < to + sent + room {
        let receive = ipc::IPC | ipc::SERVER | ipc::RECEIVE;
        server = server.raw_call(receive, &words(0, (0, 0), (at, room))).output(0, Rax);
        at += room;
    }
    sim.spawn(5, server.end());
    let client = Program::new().raw_call(ipc::CLIENT_CALL, &words(reference, (from, sent), (0, 0)));
    sim.spawn(5, client.end());
    sim.run_out();
    (sim.said(0).to_vec(), sim.read(to, sent as usize))
}

#[test]
fn a_long_message_arrives_in_pieces_with_more_data() {
    let (more, success) = (Status::ReceiveMoreData as u64, Status::Success as u64);
    for (sent, room, ends) in [
        (50_000, 20_000, &[more, more, success][..]),
        (40_000, 20_000, &[more, success]),
        (8, 100, &[success]),
    ] {
        let (statuses, bytes) = receive_in_pieces(sent, room);
        assert_eq!(&statuses[..ends.len()], ends);
        assert!((0..sent).zip(bytes).all(|(index, byte)| byte == (index * 7 % 251) as u8));
    }
}

#[test]
fn references_travel_and_more_references_is_told() {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(1);
    let to_port = sim.reference(port, FlobKind::Port);
    let (first, second) = (sim.reference(set, FlobKind::PortSet), sim.reference(port, FlobKind::Port));
    let (into_first, into_second) = (sim.null(), sim.null());
    let page = sim.page();
    sim.write_words(page, &[first, second, into_first, into_second]);
    let receive = |number, at| (number, with_references(set, (0, 0), (0, 0), (0, 0), (at, 1)));
    let (number, registers) = receive(ipc::SERVER_WAIT, page + 16);
    let server = Program::new().raw_call(number, &registers).output(0, Rax);
    let (number, registers) = receive(ipc::IPC | ipc::SERVER | ipc::RECEIVE, page + 24);
    sim.spawn(5, server.raw_call(number, &registers).output(0, Rax).output(0, R13).end());
    let registers = with_references(to_port, (0, 0), (0, 0), (page, 2), (0, 0));
    sim.spawn(5, Program::new().raw_call(ipc::CLIENT_CALL, &registers).end());
    sim.run_out();
    assert_eq!(sim.said(0), [Status::ReceiveMoreReferences as u64, Status::Success as u64, 0]);
    assert!(sim.same(first, into_first) && sim.same(second, into_second));
}

#[test]
fn connect_needs_a_port_that_exists() {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(1);
    let null = sim.null();
    let to_set = sim.reference(set, FlobKind::PortSet);
    for reference in [null, to_set] {
        let end = sim.raw_call(ipc::IPC | ipc::CONNECT, &words(reference, (0, 0), (0, 0))).expect("a status");
        assert_eq!(end.rax, Status::ConnectInvalidDestination as u64);
    }
    let to_port = sim.reference(port, FlobKind::Port);
    let connect = Program::new().raw_call(ipc::IPC | ipc::CONNECT, &words(to_port, (0, 0), (0, 0)));
    sim.spawn(5, connect.output(0, Rax).end());
    sim.run_out();
    assert_eq!(sim.said(0), []);
    sim.ok(Call::PortDestroy, &[port]);
    sim.run_out();
    assert_eq!(sim.said(0), [Status::ConnectInvalidDestination as u64]);
}

#[test]
fn every_step_says_how_it_was_disconnected() {
    for (steps, status) in [
        (ipc::SEND, Status::SendDisconnected),
        (ipc::OVER, Status::OverDisconnected),
        (ipc::ACKNOWLEDGE, Status::AcknowledgeDisconnected),
        (ipc::RECEIVE, Status::ReceiveDisconnected),
    ] {
        let mut sim = Sim::new();
        for side in [0, ipc::SERVER] {
            let end = sim.raw_call(ipc::IPC | side | steps, &words(0, (0, 8), (0, 8))).expect("a status");
            assert_eq!(end.rax, status as u64, "nobody there, steps {steps:#x}, side {side}");
        }
    }
}

#[test]
fn a_blocked_end_is_told_when_the_other_dies_or_disconnects() {
    for destroy in [true, false] {
        let mut sim = Sim::new();
        let (set, port) = sim.make_port(1);
        let page = sim.page();
        let server = Program::new().raw_call(ipc::SERVER_WAIT, &words(set, (0, 0), (page, 8)));
        let server = if destroy {
            server.end()
        } else {
            server.raw_call(ipc::IPC | ipc::SERVER | ipc::DISCONNECT, &[]).end()
        };
        let server = sim.spawn(5, server);
        let reference = sim.reference(port, FlobKind::Port);
        let call = Program::new().raw_call(ipc::CLIENT_CALL, &words(reference, (page, 8), (page, 8)));
        sim.spawn(5, call.output(0, Rax).end());
        sim.run_out();
        if destroy {
            assert_eq!(sim.said(0), []);
            sim.ok(Call::ThreadDestroy, &[server]);
            sim.run_out();
        }
        assert_eq!(sim.said(0), [Status::OverDisconnected as u64]);
    }
}

#[test]
fn against_the_direction_a_client_takes_an_exception_and_a_server_loses_the_connection() {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(1);
    let page = sim.page();
    let connect = ipc::IPC | ipc::SERVER | ipc::WAIT;
    let server = Program::new().raw_call(connect, &words(set, (0, 0), (page, 8)));
    let server = server.raw_call(ipc::IPC | ipc::SERVER | ipc::SEND, &words(0, (page, 8), (0, 0)));
    sim.spawn(5, server.output(0, Rax).end());
    let reference = sim.reference(port, FlobKind::Port);
    let client = Program::new().raw_call(ipc::IPC | ipc::CONNECT, &words(reference, (0, 0), (0, 0)));
    let client = sim.spawn(5, client.raw_call(ipc::IPC | ipc::RECEIVE, &words(0, (0, 0), (page, 8))).end());
    sim.run_out();
    assert_eq!(sim.said(0), [Status::SendDisconnected as u64]);
    assert_eq!(sim.stop(client).exception.detail, Misuse::NotReceiver as u32);
}

#[test]
fn acknowledge_drops_what_is_still_sent() {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(1);
    let (page, other) = (sim.page(), sim.page());
    let server = Program::new().raw_call(ipc::SERVER_WAIT, &words(set, (0, 0), (page, 8))).output(0, Rax);
    let answer = ipc::IPC | ipc::SERVER | ipc::ACKNOWLEDGE | ipc::SEND;
    sim.write_words(page + 8, &[42]);
    sim.spawn(5, server.raw_call(answer, &words(0, (page + 8, 8), (0, 0))).output(0, Rax).end());
    let reference = sim.reference(port, FlobKind::Port);
    let client = Program::new().raw_call(ipc::CLIENT_CALL, &words(reference, (other, 1000), (other, 8)));
    sim.spawn(5, client.output(1, Rax).output(1, Rdx).end());
    sim.run_out();
    assert_eq!(sim.said(0), [Status::ReceiveMoreData as u64, Status::Success as u64]);
    assert_eq!(sim.read_word(other), 42);
}

/// Whatever is left of a valid set of steps after the first ones are done must be valid too: it is executed again.
#[test]
fn what_is_left_of_a_valid_call_is_valid() {
    for steps in 0..=ipc::STEPS {
        let mut call = ipc::IPC | steps;
        while ipc::is_valid(call) {
            let Some(step) = crate::wait::next_step(call) else { break };
            call &= !step;
            assert!(
                crate::wait::next_step(call).is_none() || ipc::is_valid(call),
                "{:#x} left of {steps:#x}",
                call
            );
        }
    }
}
