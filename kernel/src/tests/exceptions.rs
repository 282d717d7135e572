//! Exceptions: who is asked, how they are answered, and that nothing is lost or handled twice.

use flob_abi::{
    Call, ExceptionCode, ExceptionMessage, ExceptionReply, FlobKind, Handlers, PAGE_SIZE, Protection,
    RegionState, Registers, SpaceState, Status, ThreadState, group, ipc, thread_flag,
};
use zerocopy::{FromBytes, IntoBytes};

use super::program::*;
use super::sim::Sim;
use super::talk::*;

/// What a keeper heard last.
fn message(sim: &mut Sim, page: u64) -> ExceptionMessage {
    ExceptionMessage::read_from_bytes(&sim.read(page, size_of::<ExceptionMessage>())).expect("a message")
}

/// A keeper that waits once, says the flavour, and then waits at `gate` before it answers with the reply at page + 64 and
/// waits again.
fn keeper(set: u64, page: u64, gate: u64) -> Program {
    let wait = words(set, (page + 64, 16), (page, 40));
    Program::new()
        .raw_call(ipc::SERVER_WAIT, &wait)
        .output(9, Rbp)
        .call(Call::MutexLock, &[gate])
        .raw_call(ipc::SERVER_REPLY, &wait)
        .output(9, Rbp)
        .end()
}

struct Kept {
    sim: Sim,
    page: u64,
    gate: u64,
    space: u64,
    keeper: u64,
}

/// A space with a keeper whose gate is closed.
fn kept() -> Kept {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(5);
    let (_, space) = sim.make_space(20, Some(port));
    let (page, gate) = (sim.page(), sim.make(FlobKind::Mutex));
    sim.ok(Call::MutexLock, &[gate]);
    let keeper = sim.spawn(6, keeper(set, page, gate));
    sim.run_out();
    Kept { sim, page, gate, space, keeper }
}

#[test]
fn a_keeper_hears_of_an_exception_and_its_reply_ends_it() {
    let Kept { mut sim, page, gate, space, .. } = kept();
    let thread = sim.spawn_in(space, 5, Program::new().op(Op::Trap(ExceptionCode::Divide)).end());
    sim.run_out();
    assert_eq!(sim.said(9), [ipc::Flavour::Idempotent as u64]);
    let heard = message(&mut sim, page);
    assert_eq!((heard.number, heard.code), (1, ExceptionCode::Divide as u32));
    // Skip the instruction, then answer.
    let mut state = sim.stop(thread);
    assert_eq!(state.flags & thread_flag::STOPPED, 0);
    state.registers.rip += 2;
    sim.set(thread, &state, &[]);
    sim.write(page + 64, ExceptionReply { number: 1, ..ExceptionReply::default() }.as_bytes());
    sim.ok(Call::MutexUnlock, &[gate]);
    sim.run_out();
    let heard = message(&mut sim, page);
    assert_eq!((heard.number, heard.code), (2, ExceptionCode::InvalidOpcode as u32));
}

#[test]
fn a_thread_is_told_how_many_exceptions_it_has_had() {
    let Kept { mut sim, page, gate, space, .. } = kept();
    let count = |program: Program| program.call(Call::ThreadSelf, &[]).output(0, Rsi);
    let program = count(count(count(Program::new())).op(Op::Trap(ExceptionCode::Divide)));
    let thread = sim.spawn_in(space, 5, program.end());
    sim.run_out();
    let mut state = sim.stop(thread);
    state.registers.rip += 2;
    sim.set(thread, &state, &[]);
    sim.write(page + 64, ExceptionReply { number: 1, ..ExceptionReply::default() }.as_bytes());
    sim.ok(Call::MutexUnlock, &[gate]);
    sim.run_out();
    assert_eq!(sim.said(0), [0, 0, 1]);
}

#[test]
fn a_reply_with_another_number_answers_nothing_and_the_exception_comes_again() {
    let Kept { mut sim, page, gate, space, .. } = kept();
    sim.spawn_in(space, 5, Program::new().end());
    sim.run_out();
    sim.write(page, &[0; 40]);
    sim.write(page + 64, ExceptionReply { number: 99, ..ExceptionReply::default() }.as_bytes());
    sim.ok(Call::MutexUnlock, &[gate]);
    sim.run_out();
    let heard = message(&mut sim, page);
    assert_eq!((heard.number, heard.code), (1, ExceptionCode::InvalidOpcode as u32));
}

#[test]
fn a_request_whose_server_end_is_cleared_is_put_again() {
    let Kept { mut sim, page, space, keeper, .. } = kept();
    sim.spawn_in(space, 5, Program::new().end());
    sim.run_out();
    let null = sim.null();
    assert_eq!(sim.set_links(FlobKind::Thread, keeper, &[0, 0, 0, 0, null]), Status::Success);
    sim.write(page, &[0; 40]);
    // The same keeper asks again from the start.
    let mut state = sim.stop(keeper);
    state.registers.rip = address_of_keeper(&state.registers);
    sim.set(keeper, &state, &[0, null]);
    sim.run_out();
    assert_eq!(message(&mut sim, page).number, 1);
    assert_eq!(sim.said(9).len(), 2);
}

/// The keeper stands at its `mutex_lock`: behind the instructions of its first call (nine registers, number, `syscall`), its
/// output, and two for the lock.
fn address_of_keeper(registers: &Registers) -> u64 {
    registers.rip - 2 * (9 + 2 + 1 + 2)
}

#[test]
fn a_destroyed_keeper_thread_gives_the_exception_back() {
    let Kept { mut sim, page, space, keeper: dead, .. } = kept();
    let thread = sim.spawn_in(space, 5, Program::new().end());
    sim.run_out();
    let waits = sim.null();
    sim.get_state::<ThreadState>(thread, &[0, waits]);
    assert_eq!(sim.kind_of_target(waits), FlobKind::Thread as u64);
    sim.resume(thread);
    sim.ok(Call::ThreadDestroy, &[dead]);
    sim.write(page, &[0; 40]);
    sim.get_state::<ThreadState>(thread, &[0, waits]);
    assert_eq!(sim.kind_of_target(waits), FlobKind::Port as u64, "it waits for the keeper's port again");
}

#[test]
fn handlers_come_before_the_keeper_and_return_restores_registers_and_flags() {
    let Kept { mut sim, space, .. } = kept();
    let handler = Program::new().output(0, Rsi).call(Call::ReturnFromException, &[]).end();
    let handler = sim.load(handler);
    let program = Program::new().set(Rdx, 7).set(Rsi, 8).op(Op::Trap(ExceptionCode::Floating)).end();
    let thread = sim.spawn_in(space, 5, program);
    let mut state = sim.stop(thread);
    state.flags = thread_flag::EXCEPTIONS_ENABLED;
    state.handlers = Handlers { trap: handler, ..Handlers::default() };
    state.registers.rflags = 0x400 | 0x1;
    sim.set(thread, &state, &[]);
    sim.run(4);
    let now = sim.stop(thread);
    assert_eq!(sim.said(0), [ExceptionCode::Floating as u64]);
    assert_eq!(now.registers.rflags & 0x400, 0, "the direction flag is clear in a handler");
    assert_eq!(now.flags & thread_flag::EXCEPTIONS_ENABLED, 0);
    sim.resume(thread);
    sim.run(2);
    let now = sim.stop(thread);
    assert_eq!((now.registers.rdx, now.registers.rsi, now.registers.rflags), (7, 8, 0x603));
}

#[test]
fn without_a_keeper_a_thread_waits_until_its_space_has_one() {
    let mut sim = Sim::new();
    let (space, to_space) = sim.make_space(20, None);
    let (set, port) = sim.make_port(1);
    let page = sim.page();
    sim.spawn(6, Program::new().raw_call(ipc::SERVER_WAIT, &words(set, (0, 0), (page, 40))).say(0, 1).end());
    sim.spawn_in(to_space, 5, Program::new().end());
    sim.run_out();
    assert_eq!(sim.said(0), []);
    let to_port = sim.reference(port, FlobKind::Port);
    sim.set_links(FlobKind::Space, space, &[to_port]);
    sim.run_out();
    assert_eq!(sim.said(0), [1]);
}

#[test]
fn a_debug_exception_goes_to_a_debug_port_that_comes_later() {
    let mut sim = Sim::new();
    let (space, to_space) = sim.make_space(20, None);
    let (set, port) = sim.make_port(1);
    let page = sim.page();
    sim.spawn(6, Program::new().raw_call(ipc::SERVER_WAIT, &words(set, (0, 0), (page, 40))).say(0, 1).end());
    sim.spawn_in(to_space, 5, Program::new().end());
    sim.spawn_in(to_space, 5, Program::new().op(Op::Trap(ExceptionCode::Breakpoint)));
    sim.run_out();
    let to_port = sim.reference(port, FlobKind::Port);
    sim.set_links(FlobKind::Space, space, &[0, to_port]);
    sim.run_out();
    assert_eq!(sim.said(0), [1]);
    assert_eq!(message(&mut sim, page).code, ExceptionCode::Breakpoint as u32);
}

#[test]
fn a_new_space_inherits_the_debug_port_and_the_ceiling() {
    let mut sim = Sim::new();
    let (_, port) = sim.make_port(1);
    let root = flob_abi::memory::PHYSICAL_WINDOW + 2 * PAGE_SIZE;
    let to_port = sim.reference(port, FlobKind::Port);
    assert_eq!(sim.set_links(FlobKind::Space, root, &[0, to_port]), Status::Success);
    let space = sim.make(FlobKind::Space);
    let link = sim.null();
    assert_eq!(sim.get_state::<SpaceState>(space, &[0, link]).ceiling, 31);
    assert!(sim.same(link, to_port));
}

#[test]
fn a_step_over_a_blocking_call_stops_directly_behind_it() {
    let mut sim = Sim::new();
    let mutex = sim.make(FlobKind::Mutex);
    sim.ok(Call::MutexLock, &[mutex]);
    let thread = sim.spawn(5, Program::new().call(Call::MutexLock, &[mutex]).say(0, 1).end());
    sim.run_out();
    let mut state = sim.stop(thread);
    let at = state.registers.rip;
    state.registers.rflags |= crate::thread::TRAP_FLAG;
    sim.set_state(thread, &state, group::REGISTERS, &[]);
    sim.ok(Call::MutexUnlock, &[mutex]);
    let state = sim.stop(thread);
    assert_eq!((state.registers.rip, state.exception.code), (at + 2, ExceptionCode::Debug as u32));
}

#[test]
fn a_reflected_call_goes_to_the_keeper() {
    let mut sim = Sim::new();
    let (_, port) = sim.make_port(2);
    let space = sim.make(FlobKind::Space);
    let state =
        SpaceState { flags: flob_abi::space_flag::REFLECT_CALLS, ceiling: 20, ..SpaceState::default() };
    let to_port = sim.reference(port, FlobKind::Port);
    sim.set(space, &state, &[to_port]);
    let to_space = sim.reference(space, FlobKind::Space);
    let thread = sim.spawn_in(to_space, 5, Program::new().call(Call::Null, &[]).end());
    sim.run_out();
    let state = sim.stop(thread);
    assert_eq!(state.exception.code, ExceptionCode::ReflectedCall as u32);
}

/// A thread waits for a busy keeper with a fault that is over by now.
#[test]
fn forgetting_the_queues_answers_no_exception() {
    let mut sim = Sim::new();
    let root = super::sim::ROOT_SPACE;
    let (_, port) = sim.make_port(1);
    let keeper = sim.reference(port, FlobKind::Port);
    let page = sim.page();
    let (region, to_region) = sim.make_region(root, page, PAGE_SIZE, Protection::NONE, keeper);
    let (_, space) = sim.make_space(20, None);
    sim.make_mapping(to_region, space, (0, 0x40_0000, PAGE_SIZE), Protection::ALL);
    let program = Program::new().set(R14, 0x40_0000).op(Op::Load(R15, R14, 0)).say(0, 1).end();
    let thread = sim.spawn_in(space, 5, program);
    sim.run_out();
    let state =
        RegionState { start: page, size: PAGE_SIZE, protection: Protection::ALL.0, ..RegionState::default() };
    sim.set(region, &state, &[root, keeper]);
    sim.kernel.forget_derived();
    sim.run_out();
    assert_eq!(sim.said(0), []);
    assert_eq!(sim.stop(thread).exception.code, ExceptionCode::PageFault as u32);
}
