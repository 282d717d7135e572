//! Memory that a thread watches by its debug registers and that the kernel writes for it, or sends from: it is told once its call is
//! over, or runs again, and no byte is lost or comes twice.

use std::vec::Vec;

use flob_abi::{
    Call, DebugRegisters, ExceptionCode, FlobKind, PAGE_SIZE, PendingException, Protection, ThreadState,
    group, ipc,
};

use super::program::*;
use super::sim::Sim;
use super::talk::*;

/// DR7 for its first register: armed, for writes of eight bytes.
const WRITES_OF_8: u64 = 0b1001 << 16 | 1;
/// The same for whatever reads or writes them.
const ACCESS_TO_8: u64 = 0b1011 << 16 | 1;
/// For one byte that is read or written, in the second register.
const ACCESS_TO_1: u64 = 0b0011 << 20 | 1 << 2;

fn watch(sim: &mut Sim, thread: u64, address: u64, dr7: u64) {
    let debug = DebugRegisters { address: [address; 4], dr7, ..DebugRegisters::default() };
    let state = ThreadState { debug, ..ThreadState::default() };
    assert_eq!(sim.set_state(thread, &state, group::DEBUG, &[]), flob_abi::Status::Success);
}

/// The thread has been told of its first register; it goes on. Whether it stood at its call.
fn told(sim: &mut Sim, thread: u64) -> bool {
    sim.run_out();
    let mut state = sim.stop(thread);
    let exception = state.exception;
    assert_eq!((exception.code, exception.detail), (ExceptionCode::Debug as u32, 1), "it is told");
    assert_eq!(state.debug.dr6 & crate::WATCHED, 0, "and once");
    state.exception = PendingException::default();
    let nobody = sim.null();
    sim.set_state(thread, &state, group::EXCEPTION | group::CONTROL, &[0, nobody]);
    sim.resume(thread);
    state.registers.rax & ipc::IPC != 0
}

fn port() -> (Sim, u64, u64) {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(1);
    (sim, set, port)
}

/// A client asks with the first word of a page and gets the answer into the second. Something of that is watched, and told; it goes on.
fn told_of(server_first: bool, offset: u64, dr7: u64) {
    let (mut sim, set, port) = port();
    if server_first {
        sim.adder(set, 10);
        sim.run_out();
    }
    let reference = sim.reference(port, FlobKind::Port);
    let page = sim.page();
    let client = sim.spawn(5, ask(Program::new(), reference, page, 1, 0).end());
    watch(&mut sim, client, page + offset, dr7);
    if !server_first {
        sim.run_out();
        sim.adder(set, 10);
    }
    told(&mut sim, client);
    assert_eq!(sim.said(0), []);
    sim.run_out();
    assert_eq!(sim.said(0), [11]);
}

#[test]
fn an_answer_in_a_connection_is_told() {
    for server_first in [true, false] {
        told_of(server_first, 8, WRITES_OF_8);
    }
}

#[test]
fn a_question_that_is_sent_is_told_to_who_watches_reads() {
    for server_first in [true, false] {
        told_of(server_first, 0, ACCESS_TO_8);
    }
}

/// By whatever way it goes: in a request that may be put again, in pieces, or into words.
#[test]
fn each_way_of_sending_is_watched() {
    let size = 20 * PAGE_SIZE;
    let once = ipc::IPC | ipc::CONNECT | ipc::SEND | ipc::DISCONNECT;
    for (steps, sent, into_words) in [
        (once, size, false),
        (once, 8, true),
        (ipc::IDEMPOTENT_CALL, 8, false),
        (ipc::IDEMPOTENT_CALL, 8, true),
    ] {
        let (mut sim, set, port) = port();
        let (from, to) = (sim.pages(20), sim.pages(20));
        sim.write(from + sent - 8, &77_u64.to_le_bytes());
        let wait = Program::new();
        let wait = if into_words {
            let wait = wait.set(Rdi, set).set(R14, 0);
            wait.set(Rax, ipc::SERVER_WAIT | ipc::SHORT).op(Op::Syscall).output(0, Rsi)
        } else {
            let wait = wait.raw_call(ipc::SERVER_WAIT, &words(set, (0, 0), (to, size)));
            wait.set(R14, to + sent - 8).op(Op::Load(R15, R14, 0)).output(0, R15).set(R14, 0).set(R15, 0)
        };
        let reply = ipc::IPC | ipc::SERVER | ipc::REPLY;
        sim.spawn(5, wait.raw_call(reply, &words(set, (to, 0), (0, 0))).end());
        sim.run_out();
        let reference = sim.reference(port, FlobKind::Port);
        let ask = Program::new().raw_call(steps, &words(reference, (from, sent), (0, 0)));
        let client = sim.spawn(5, ask.say(1, 1).end());
        watch(&mut sim, client, from + sent - 8, ACCESS_TO_8);
        while told(&mut sim, client) {}
        sim.run_out();
        assert_eq!(sim.said(0), [77], "{steps:#x} {into_words}");
        assert_eq!(sim.said(1), [1]);
    }
}

#[test]
fn what_lies_beside_is_not_told() {
    let (mut sim, set, port) = port();
    sim.adder(set, 10);
    let reference = sim.reference(port, FlobKind::Port);
    let page = sim.page();
    // Behind both words, at the one that is only sent, and with nothing armed.
    for (address, dr7) in [
        (page + 16, WRITES_OF_8),
        (page + 16, ACCESS_TO_1),
        (page, WRITES_OF_8),
        (page + 8, WRITES_OF_8 & !1),
    ] {
        let client = sim.spawn(5, ask(Program::new(), reference, page, 1, 0).end());
        watch(&mut sim, client, address, dr7);
    }
    sim.run_out();
    assert_eq!(sim.said(0), [11; 4]);
}

#[test]
fn in_a_long_message_it_is_told_on_the_way_and_each_byte_comes_once() {
    const PAGES: u64 = 20;
    let (mut sim, set, port) = port();
    let (from, to) = (sim.pages(PAGES as u32), sim.pages(PAGES as u32));
    let bytes: Vec<u8> = (0..PAGES * PAGE_SIZE).map(|index| (index % 251) as u8).collect();
    sim.write(from, &bytes);
    let size = PAGES * PAGE_SIZE;
    let wait = Program::new().raw_call(ipc::SERVER_WAIT, &words(set, (0, 0), (to, size)));
    let server = sim.spawn(5, wait.output(0, Rax).output(0, Rbx).end());
    watch(&mut sim, server, to + 2 * PAGE_SIZE, WRITES_OF_8);
    sim.run_out();
    let reference = sim.reference(port, FlobKind::Port);
    let steps = ipc::IPC | ipc::CONNECT | ipc::SEND | ipc::DISCONNECT;
    sim.spawn(5, Program::new().raw_call(steps, &words(reference, (from, size), (0, 0))).end());
    told(&mut sim, server);
    sim.run_out();
    assert_eq!(sim.said(0)[1], 0, "no room is left");
    assert_eq!(sim.read(to, bytes.len()), bytes);
}

#[test]
fn a_reply_that_must_be_given_twice_is_told_once() {
    let (mut sim, set, port) = port();
    // The client's second page comes only after the first reply.
    let (_, to_space) = sim.make_space(20, None);
    let pages = sim.pages(2);
    let (_, to_region) = sim.make_region(super::sim::ROOT_SPACE, pages, 2 * PAGE_SIZE, Protection::ALL, 0);
    let base = 0x40_0000;
    sim.make_mapping(to_region, to_space, (0, base, PAGE_SIZE), Protection::ALL);
    let flobs = sim.page();
    let (_, to_flobs) = sim.make_region(super::sim::ROOT_SPACE, flobs, PAGE_SIZE, Protection::ALL, 0);
    sim.make_mapping(to_flobs, to_space, (0, base - PAGE_SIZE, PAGE_SIZE), Protection::ALL);
    sim.create_at(FlobKind::Reference, flobs);
    sim.ok(Call::PortReference, &[port, flobs]);
    let send = (base, 8);
    let receive = (base + PAGE_SIZE - 512, 1024);
    let call = Program::new().raw_call(ipc::IDEMPOTENT_CALL, &words(base - PAGE_SIZE, send, receive));
    let client = sim.spawn_in(to_space, 5, call.output(0, Rax).output(0, Rbx).end());
    watch(&mut sim, client, base + PAGE_SIZE - 512, WRITES_OF_8);
    let page = sim.page();
    let wait = Program::new().raw_call(ipc::SERVER_WAIT, &words(set, (0, 0), (page, 8)));
    let again = wait.here();
    let reply = wait.raw_call(ipc::REPLY_WAIT_RECEIVE, &words(set, (page + 16, 1024), (page, 8)));
    sim.spawn(5, reply.op(Op::Jump(again)));
    sim.run_out();
    let state = sim.stop(client);
    assert_eq!(state.exception.code, ExceptionCode::PageFault as u32);
    sim.make_mapping(to_region, to_space, (PAGE_SIZE, base + PAGE_SIZE, PAGE_SIZE), Protection::ALL);
    sim.resume(client);
    assert!(told(&mut sim, client), "before the call runs again");
    told(&mut sim, client);
    sim.run_out();
    assert_eq!(sim.said(0), [0, 0]);
}

#[test]
fn state_that_a_thread_asks_for_is_told() {
    let mut sim = Sim::new();
    let (page, mutex) = (sim.page(), sim.make(FlobKind::Mutex));
    let program = Program::new().call(Call::MutexGetState, &[mutex, page, 0, 0]).say(0, 1).end();
    let thread = sim.spawn(5, program);
    watch(&mut sim, thread, page + 8, WRITES_OF_8);
    assert!(!told(&mut sim, thread), "the call is over");
    sim.run_out();
    assert_eq!(sim.said(0), [1]);
}

#[test]
fn words_that_come_into_memory_are_told() {
    let (mut sim, set, port) = port();
    let page = sim.page();
    let wait = Program::new().raw_call(ipc::SERVER_WAIT, &words(set, (0, 0), (page, 64)));
    let server = sim.spawn(5, wait.output(0, Rax).output(0, Rbx).end());
    watch(&mut sim, server, page + 56, WRITES_OF_8);
    sim.run_out();
    let reference = sim.reference(port, FlobKind::Port);
    let steps = ipc::IPC | ipc::SHORT | ipc::CONNECT | ipc::SEND | ipc::DISCONNECT;
    sim.spawn(
        5,
        Program::new().set(R13, 7).set(R14, 0).set(Rdi, reference).set(Rax, steps).op(Op::Syscall).end(),
    );
    told(&mut sim, server);
    sim.run_out();
    assert_eq!(sim.said(0)[1], 0, "all of it has come");
    assert_eq!(sim.read_word(page + 56), 7);
}
