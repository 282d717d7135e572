//! Condition variables: signal, broadcast, and what a sleeper's registers say; ranks of waiters.

use std::vec::Vec;

use flob_abi::{Call, FlobKind, Misuse, ThreadState, group};

use super::program::*;
use super::sim::Sim;

fn sleeper(sim: &mut Sim, condition: u64, mutex: u64, number: u64) -> u64 {
    let program =
        Program::new().call(Call::MutexLock, &[mutex]).call(Call::ConditionWait, &[condition, mutex]);
    let thread = sim.spawn(5, program.say(0, number).call(Call::MutexUnlock, &[mutex]).end());
    sim.run_out();
    thread
}

#[test]
fn a_signal_wakes_the_first_and_a_broadcast_all() {
    let mut sim = Sim::new();
    let (mutex, condition) = (sim.make(FlobKind::Mutex), sim.make(FlobKind::Condition));
    for number in 0..100 {
        sleeper(&mut sim, condition, mutex, number);
    }
    sim.ok(Call::ConditionSignal, &[condition]);
    sim.run_out();
    assert_eq!(sim.said(0), [0]);
    sim.ok(Call::ConditionBroadcast, &[condition]);
    sim.run_out();
    assert_eq!(sim.said(0), (0..100).collect::<Vec<_>>());
    sim.ok(Call::ConditionSignal, &[condition]);
}

#[test]
fn a_wait_needs_the_mutex_held() {
    let mut sim = Sim::new();
    let (mutex, condition) = (sim.make(FlobKind::Mutex), sim.make(FlobKind::Condition));
    assert_eq!(sim.wrong(Call::ConditionWait, &[condition, mutex]), Misuse::MutexNotLocked);
    sim.spawn(5, Program::new().call(Call::MutexLock, &[mutex]).end());
    sim.run_out();
    assert_eq!(sim.wrong(Call::ConditionWait, &[condition, mutex]), Misuse::MutexNotOwner);
}

#[test]
fn a_stopped_sleeper_is_signalled_in_its_registers() {
    let mut sim = Sim::new();
    let (mutex, condition) = (sim.make(FlobKind::Mutex), sim.make(FlobKind::Condition));
    let thread = sleeper(&mut sim, condition, mutex, 7);
    assert_eq!(sim.stop(thread).registers.rax, Call::ConditionSleep as u64);
    sim.ok(Call::ConditionSignal, &[condition]);
    assert_eq!(sim.stop(thread).registers.rax, Call::MutexLock as u64);
    sim.run_out();
    assert_eq!(sim.said(0), []);
    sim.resume(thread);
    sim.run_out();
    assert_eq!(sim.said(0), [7]);
}

#[test]
fn a_stopped_waiter_is_given_the_mutex() {
    let mut sim = Sim::new();
    let mutex = sim.make(FlobKind::Mutex);
    sim.ok(Call::MutexLock, &[mutex]);
    let thread = sim.spawn(5, Program::new().call(Call::MutexLock, &[mutex]).end());
    sim.run_out();
    let before = sim.stop(thread).registers;
    sim.ok(Call::MutexUnlock, &[mutex]);
    let after = sim.stop(thread).registers;
    assert_eq!((after.rax, after.rip), (0, before.rip + 2));
}

/// Takes the sleepers out and puts them back, many times, in reverse.
#[test]
fn ranks_keep_their_order_however_often_they_are_restored() {
    let mut sim = Sim::new();
    let (mutex, condition) = (sim.make(FlobKind::Mutex), sim.make(FlobKind::Condition));
    let threads: Vec<u64> = (0..4).map(|number| sleeper(&mut sim, condition, mutex, number)).collect();
    let (waits, null) = (sim.null(), sim.null());
    for _ in 0..100 {
        let states: Vec<ThreadState> =
            threads.iter().map(|thread| sim.get_state(*thread, &[0, waits])).collect();
        for thread in &threads {
            sim.set_state(*thread, &ThreadState::default(), group::REGISTERS, &[0, null]);
        }
        for (thread, state) in threads.iter().zip(&states).rev() {
            assert!(state.rank < 1 << 48, "ranks do not run away");
            sim.set_state(*thread, state, group::ALL, &[0, waits]);
        }
        // An imported thread that runs ends the import.
        sim.spawn(5, Program::new().end());
        sim.run_out();
    }
    sim.ok(Call::ConditionBroadcast, &[condition]);
    sim.run_out();
    assert_eq!(sim.said(0), [0, 1, 2, 3]);
}

#[test]
fn a_forged_rank_does_not_jump_the_queue() {
    let mut sim = Sim::new();
    let (mutex, condition) = (sim.make(FlobKind::Mutex), sim.make(FlobKind::Condition));
    let old = sleeper(&mut sim, condition, mutex, 1);
    let waits = sim.null();
    let state: ThreadState = sim.get_state(old, &[0, waits]);
    sim.resume(old);
    sleeper(&mut sim, condition, mutex, 2);
    sim.ok(Call::ConditionSignal, &[condition]);
    sim.run_out();
    // Back to sleep, with the rank that was first then.
    sim.stop(old);
    sim.set(old, &state, &[0, waits]);
    sim.stop(old);
    sim.set_state(old, &ThreadState { flags: 1, ..state }, group::CONTROL, &[0, waits]);
    sim.resume(old);
    sim.ok(Call::ConditionSignal, &[condition]);
    sim.run_out();
    assert_eq!(sim.said(0), [1, 2]);
}
