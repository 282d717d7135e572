//! Asynchronous exceptions: taken at once where they can be, deferred where not, and never lost; what a thread was doing
//! goes on where it was.

use flob_abi::{
    Call, ExceptionCode, ExceptionReply, FlobKind, Handlers, Misuse, MutexState, ThreadState, group, ipc,
    thread_flag,
};
use zerocopy::IntoBytes;

use super::program::*;
use super::sim::Sim;
use super::talk::*;

const INTERRUPT: u64 = ExceptionCode::Interrupt as u64;

/// A handler that says its code on channel 9 and goes back.
fn handler() -> Program {
    Program::new().output(9, Rsi).call(Call::ReturnFromException, &[])
}

/// Gives a thread handlers for all asynchronous exceptions, and whether it takes them.
fn handle(sim: &mut Sim, thread: u64, enabled: bool) {
    let handler = sim.load(handler());
    let mut state = sim.stop(thread);
    state.handlers = Handlers { trap: 0, interrupt: handler, client_alert: handler, server_alert: handler };
    state.flags = if enabled { thread_flag::EXCEPTIONS_ENABLED } else { 0 };
    let mask = group::HANDLERS | group::CONTROL;
    assert_eq!(sim.set_state(thread, &state, mask, &[]), flob_abi::Status::Success);
}

#[test]
fn a_thread_that_waits_takes_an_interrupt_at_once_and_waits_on() {
    let mut sim = Sim::new();
    let mutex = sim.make(FlobKind::Mutex);
    let (set, port) = sim.make_port(1);
    let reference = sim.reference(port, FlobKind::Port);
    let page = sim.page();
    sim.ok(Call::MutexLock, &[mutex]);
    let wait = words(set, (0, 0), (page, 8));
    let ask = words(reference, (page, 8), (page, 8));
    let calls = [
        Program::new().call(Call::MutexLock, &[mutex]),
        Program::new().raw_call(ipc::SERVER_WAIT, &wait),
        Program::new().call(Call::InterruptWait, &[3]),
        Program::new().call(Call::TimerWait, &[1 << 62]),
        Program::new().raw_call(ipc::CLIENT_CALL, &ask),
    ];
    for program in calls {
        let thread = sim.spawn(5, program.say(0, 1).end());
        handle(&mut sim, thread, true);
        sim.run_out();
        let mut before = sim.stop(thread);
        sim.resume_as(thread, &before);
        sim.output.clear();
        for _ in 0..2 {
            sim.ok(Call::ThreadInterrupt, &[thread]);
            sim.run_out();
        }
        assert_eq!((&*sim.said(9), &*sim.said(0)), (&[INTERRUPT; 2][..], &[][..]));
        let after = sim.stop(thread);
        before.registers.rflags |= crate::wait::RESUME_FLAG;
        let registers = flob_abi::Registers { rflags: before.registers.rflags, ..after.registers };
        assert_eq!(registers, before.registers);
        sim.ok(Call::ThreadDestroy, &[thread]);
    }
}

#[test]
fn a_sleeper_that_is_interrupted_counts_as_signalled() {
    let mut sim = Sim::new();
    let (mutex, condition) = (sim.make(FlobKind::Mutex), sim.make(FlobKind::Condition));
    let program =
        Program::new().call(Call::MutexLock, &[mutex]).call(Call::ConditionWait, &[condition, mutex]);
    let thread = sim.spawn(5, program.say(0, 1).end());
    handle(&mut sim, thread, true);
    sim.run_out();
    sim.ok(Call::MutexLock, &[mutex]);
    sim.ok(Call::ThreadInterrupt, &[thread]);
    // Nobody sleeps now: a signal that comes in the handler would be lost.
    sim.ok(Call::ConditionSignal, &[condition]);
    sim.run_out();
    assert_eq!((&*sim.said(9), &*sim.said(0)), (&[INTERRUPT][..], &[][..]));
    sim.ok(Call::MutexUnlock, &[mutex]);
    sim.run_out();
    assert_eq!(sim.said(0), [1]);
    let owner = sim.null();
    assert_eq!(sim.get_state::<MutexState>(mutex, &[owner]).locked, 1, "it came back with the mutex");
}

#[test]
fn disabled_exceptions_are_deferred_until_they_are_enabled() {
    let mut sim = Sim::new();
    let gate = sim.make(FlobKind::Mutex);
    sim.ok(Call::MutexLock, &[gate]);
    let program = Program::new().call(Call::MutexLock, &[gate]).say(9, 1);
    let program =
        program.call(Call::ThreadEnableExceptions, &[]).say(9, 2).call(Call::ThreadDisableExceptions, &[]);
    let thread = sim.spawn(5, program.call(Call::MutexLock, &[gate]).end());
    handle(&mut sim, thread, false);
    sim.run_out();
    sim.ok(Call::ThreadInterrupt, &[thread]);
    sim.ok(Call::ThreadInterrupt, &[thread]);
    sim.run_out();
    assert_eq!(sim.said(9), []);
    let state = sim.stop(thread);
    assert_eq!(state.exception.deferred, ExceptionCode::Interrupt.bit());
    sim.resume_as(thread, &state);
    sim.ok(Call::MutexUnlock, &[gate]);
    sim.run_out();
    assert_eq!(sim.said(9), [1, INTERRUPT, 2]);
    let state = sim.stop(thread);
    assert_eq!((state.exception.deferred, state.flags & thread_flag::EXCEPTIONS_ENABLED), (0, 0));
}

#[test]
fn what_comes_during_a_handler_is_taken_when_it_returns() {
    let mut sim = Sim::new();
    let gate = sim.make(FlobKind::Mutex);
    sim.ok(Call::MutexLock, &[gate]);
    let thread = sim.spawn(5, Program::new().call(Call::MutexLock, &[gate]).end());
    handle(&mut sim, thread, true);
    sim.run_out();
    sim.ok(Call::ThreadInterrupt, &[thread]);
    // It stands in its handler, with exceptions disabled.
    sim.ok(Call::ThreadInterrupt, &[thread]);
    sim.run_out();
    assert_eq!(sim.said(9), [INTERRUPT; 2]);
}

#[test]
fn a_stopped_thread_takes_an_interrupt_when_it_is_let_go_and_a_new_one_in_its_place_too() {
    let mut sim = Sim::new();
    let gate = sim.make(FlobKind::Mutex);
    sim.ok(Call::MutexLock, &[gate]);
    let thread = sim.spawn(5, Program::new().call(Call::MutexLock, &[gate]).end());
    handle(&mut sim, thread, true);
    sim.run_out();
    let running = sim.stop(thread);
    sim.ok(Call::ThreadInterrupt, &[thread]);
    sim.run_out();
    assert_eq!(sim.said(9), []);
    let (space, waits) = (sim.null(), sim.null());
    let state: ThreadState = sim.get_state(thread, &[space, waits]);
    sim.ok(Call::ThreadDestroy, &[thread]);
    sim.create_at(FlobKind::Thread, thread);
    sim.set(thread, &state, &[space, waits]);
    sim.run_out();
    assert_eq!(sim.said(9), []);
    sim.resume_as(thread, &running);
    sim.run_out();
    assert_eq!(sim.said(9), [INTERRUPT]);
}

#[test]
fn without_a_handler_an_interrupt_waits_for_one_and_asks_no_keeper() {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(1);
    let (_, space) = sim.make_space(20, Some(port));
    let page = sim.page();
    sim.spawn(6, Program::new().raw_call(ipc::SERVER_WAIT, &words(set, (0, 0), (page, 40))).say(0, 1).end());
    let thread = sim.spawn_in(space, 5, Program::new().spin());
    let mut state = sim.stop(thread);
    state.flags = thread_flag::EXCEPTIONS_ENABLED;
    sim.set(thread, &state, &[]);
    sim.ok(Call::ThreadInterrupt, &[thread]);
    sim.run(200);
    assert_eq!(sim.said(0), []);
    handle(&mut sim, thread, true);
    sim.run(200);
    assert_eq!(sim.said(9), [INTERRUPT]);
}

#[test]
fn an_interrupt_comes_after_the_keeper_has_answered() {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(1);
    let (_, space) = sim.make_space(20, Some(port));
    let (page, gate) = (sim.page(), sim.make(FlobKind::Mutex));
    sim.ok(Call::MutexLock, &[gate]);
    let wait = words(set, (page + 64, 16), (page, 40));
    let keeper = Program::new().raw_call(ipc::SERVER_WAIT, &wait).call(Call::MutexLock, &[gate]);
    sim.spawn(6, keeper.raw_call(ipc::SERVER_REPLY, &wait).end());
    let thread = sim.spawn_in(space, 5, Program::new().op(Op::Trap(ExceptionCode::Divide)).end());
    handle(&mut sim, thread, true);
    sim.run_out();
    sim.ok(Call::ThreadInterrupt, &[thread]);
    sim.run_out();
    assert_eq!(sim.said(9), [], "its exception is in the keeper's hands");
    sim.write(page + 64, ExceptionReply { number: 1, ..ExceptionReply::default() }.as_bytes());
    sim.ok(Call::MutexUnlock, &[gate]);
    sim.run_out();
    assert_eq!(sim.said(9), [INTERRUPT]);
}

#[test]
fn posting_is_for_threads_and_never_for_oneself() {
    let mut sim = Sim::new();
    let page = sim.page();
    assert_eq!(sim.wrong(Call::ThreadInterrupt, &[page + 512]), Misuse::NotAligned);
    assert_eq!(sim.wrong(Call::ThreadInterrupt, &[page]), Misuse::NoFlob);
    sim.create_at(FlobKind::Mutex, page);
    assert_eq!(sim.wrong(Call::ThreadInterrupt, &[page]), Misuse::WrongKind);
    let driver = sim.driver_address();
    assert_eq!(sim.wrong(Call::ThreadInterrupt, &[driver]), Misuse::CurrentThread);
    let to = sim.page();
    assert_eq!(sim.wrong(Call::ThreadMove, &[driver, to]), Misuse::CurrentThread);
}

#[test]
fn only_asynchronous_exceptions_can_be_deferred() {
    let mut sim = Sim::new();
    let thread = sim.spawn(5, Program::new().spin());
    let mut state = sim.stop(thread);
    state.exception.deferred = u32::MAX;
    sim.set_state(thread, &state, group::EXCEPTION, &[]);
    assert_eq!(sim.stop(thread).exception.deferred, 0xe000);
    // A pending one without a handler is deferred too.
    state.exception.deferred = 0;
    state.exception.code = ExceptionCode::Interrupt as u32;
    sim.set_state(thread, &state, group::EXCEPTION | group::CONTROL, &[]);
    sim.resume(thread);
    let state = sim.stop(thread);
    assert_eq!((state.exception.code, state.exception.deferred), (0, ExceptionCode::Interrupt.bit()));
}

#[test]
fn a_debuggers_step_goes_on_into_the_handler_and_not_behind_it() {
    for debugged in [true, false] {
        let mut sim = Sim::new();
        let (_, port) = sim.make_port(1);
        let (space, to_space) = sim.make_space(20, None);
        if debugged {
            let to_port = sim.reference(port, FlobKind::Port);
            sim.set_links(FlobKind::Space, space, &[0, to_port]);
        }
        let thread = sim.spawn_in(to_space, 5, Program::new().spin());
        handle(&mut sim, thread, true);
        let mut state = sim.stop(thread);
        state.registers.rflags |= crate::thread::TRAP_FLAG;
        sim.ok(Call::ThreadInterrupt, &[thread]);
        sim.set_state(thread, &state, group::REGISTERS, &[]);
        sim.resume_as(thread, &ThreadState { flags: thread_flag::EXCEPTIONS_ENABLED, ..state });
        let state = sim.stop(thread);
        let steps = |rflags: u64| rflags & crate::thread::TRAP_FLAG != 0;
        assert_eq!(state.registers.rip, state.handlers.interrupt);
        assert_eq!((steps(state.registers.rflags), steps(state.saved.rflags)), (debugged, !debugged));
    }
}
