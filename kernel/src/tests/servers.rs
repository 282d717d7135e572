//! Who gets a request: no wake-up is lost, whatever happens to the server that was woken.

use crate::Event;
use flob_abi::{Call, FlobKind, Protection, ThreadState, group, thread_flag};

use super::program::*;
use super::sim::Sim;

/// How far a server has come that was woken to look for a request.
#[derive(Clone, Copy, Debug)]
enum Woken {
    /// It can run.
    Ready,
    /// It has been given the processor, and has lost it again before it executed anything.
    Chosen,
}

/// Two servers wait at a set, a client at a port of no set; giving the port its set wakes the first server. Then
/// `disturb` happens to that one before it looks, however far it has come.
fn disturb_woken_server(disturb: impl Fn(&mut Sim, u64)) {
    for woken in [Woken::Ready, Woken::Chosen] {
        let (mut sim, first) = with_woken_server();
        if matches!(woken, Woken::Chosen) {
            choose(&mut sim, first);
            sim.ring();
        }
        disturb(&mut sim, first);
        sim.run_out();
        assert_eq!(sim.said(0), [21], "the other server has taken the request; the first was {woken:?}");
    }
}

fn with_woken_server() -> (Sim, u64) {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(1);
    let null = sim.null();
    assert_eq!(sim.set_links(FlobKind::Port, port, &[null]), flob_abi::Status::Success);
    let first = sim.adder(set, 10);
    sim.run_out();
    sim.adder(set, 20);
    sim.client(port, 1, 0);
    sim.run_out();
    let to_set = sim.reference(set, FlobKind::PortSet);
    assert_eq!(sim.set_links(FlobKind::Port, port, &[to_set]), flob_abi::Status::Success);
    (sim, first)
}

/// The server gets the processor.
fn choose(sim: &mut Sim, server: u64) {
    sim.let_others_run();
    let chosen = sim.kernel.thread_at(server);
    assert_eq!(sim.current(), Some(chosen), "the first server was woken");
}

#[test]
fn a_request_goes_to_another_server_when_the_woken_one_is_stopped() {
    disturb_woken_server(|sim, server| {
        sim.stop(server);
    });
    disturb_woken_server(|sim, server| {
        let state = ThreadState { flags: thread_flag::STOPPED, ..ThreadState::default() };
        sim.set_state(server, &state, group::CONTROL, &[]);
    });
}

#[test]
fn a_request_goes_to_another_server_when_the_woken_one_is_destroyed() {
    disturb_woken_server(|sim, server| sim.ok(Call::ThreadDestroy, &[server]));
}

#[test]
fn a_request_goes_to_another_server_when_the_woken_one_is_sent_elsewhere() {
    disturb_woken_server(|sim, server| {
        let elsewhere = sim.load(Program::new().end());
        let mut state = ThreadState::default();
        state.registers.rip = elsewhere;
        sim.set_state(server, &state, group::REGISTERS, &[]);
    });
}

#[test]
fn a_request_goes_to_another_server_when_the_woken_one_loses_its_space() {
    disturb_woken_server(|sim, server| {
        let null = sim.null();
        sim.set_links(FlobKind::Thread, server, &[null]);
    });
}

#[test]
fn a_request_goes_to_another_server_when_the_woken_one_is_interrupted() {
    disturb_woken_server(|sim, server| {
        let handler = sim.load(Program::new().end());
        let mut state = sim.stop(server);
        state.handlers.interrupt = handler;
        state.flags = thread_flag::EXCEPTIONS_ENABLED;
        sim.set_state(server, &state, group::HANDLERS | group::CONTROL, &[]);
        sim.ok(Call::ThreadInterrupt, &[server]);
    });
}

#[test]
fn a_request_goes_to_another_server_when_the_code_of_the_woken_one_is_not_there() {
    let (mut sim, first) = with_woken_server();
    choose(&mut sim, first);
    // Nobody provides it.
    let address = 0x7000_0000_0000;
    sim.kernel.event(Event::Fault { address, access: Protection::EXECUTE });
    sim.ring();
    sim.run_out();
    assert_eq!(sim.said(0), [21]);
}

#[test]
fn a_server_that_has_looked_waits_for_its_set_no_more() {
    let (mut sim, first) = with_woken_server();
    choose(&mut sim, first);
    sim.kernel.event(Event::Call);
    let server = sim.kernel.thread_at(first);
    assert_eq!(sim.kernel.woken_for(server), None);
    sim.ring();
    sim.run_out();
    assert_eq!(sim.said(0), [11]);
}

#[test]
fn servers_without_a_space_get_no_requests() {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(1);
    let spaceless = sim.adder(set, 10);
    sim.run_out();
    let null = sim.null();
    sim.set_links(FlobKind::Thread, spaceless, &[null]);
    sim.adder(set, 20);
    sim.run_out();
    sim.client(port, 1, 0);
    sim.run_out();
    assert_eq!(sim.said(0), [21]);
}

#[test]
fn all_idle_servers_work_when_many_requests_come_at_once() {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(1);
    let null = sim.null();
    sim.set_links(FlobKind::Port, port, &[null]);
    // Each server takes one request and never comes back.
    for _ in 0..3 {
        let page = sim.page();
        let wait = super::talk::words(set, (0, 0), (page, 8));
        sim.spawn(5, Program::new().raw_call(flob_abi::ipc::SERVER_WAIT, &wait).say(9, 1).end());
    }
    for channel in 0..3 {
        sim.client(port, 1, channel);
    }
    sim.run_out();
    let to_set = sim.reference(set, FlobKind::PortSet);
    sim.set_links(FlobKind::Port, port, &[to_set]);
    sim.run_out();
    assert_eq!(sim.said(9), [1, 1, 1]);
}

#[test]
fn a_server_whose_buffer_is_bad_does_not_keep_the_request_from_others() {
    let mut sim = Sim::new();
    let (keeper_set, keeper) = sim.make_port(1);
    let (_, space) = sim.make_space(20, Some(keeper));
    // The first keeper has no memory for the message.
    let wait = super::talk::words(keeper_set, (0, 0), (8, 40));
    sim.spawn(5, Program::new().raw_call(flob_abi::ipc::SERVER_REPLY, &wait).say(0, 1).end());
    sim.run_out();
    let page = sim.page();
    let wait = super::talk::words(keeper_set, (0, 0), (page, 40));
    sim.spawn(4, Program::new().raw_call(flob_abi::ipc::SERVER_WAIT, &wait).say(0, 2).end());
    sim.run_out();
    sim.spawn_in(space, 5, Program::new().end());
    sim.run_out();
    assert_eq!(sim.said(0), [2]);
}

#[test]
fn requests_of_several_ports_are_served_in_the_order_they_came() {
    let mut sim = Sim::new();
    let (set, one) = sim.make_port(1);
    let two = sim.make_port_in(set, 2);
    for (word, port) in [(1, two), (2, one), (3, two), (4, one)] {
        sim.client(port, word, word as usize);
        sim.run_out();
    }
    let page = sim.page();
    let wait = super::talk::words(set, (0, 0), (page, 8));
    let serve = Program::new();
    let again = serve.here();
    sim.spawn(5, serve.raw_call(flob_abi::ipc::SERVER_WAIT, &wait).output(0, Rdi).op(Op::Jump(again)));
    sim.run_out();
    assert_eq!(sim.said(0), [2, 1, 2, 1]);
}
