//! Mutexes and condition variables.

use flob_abi::{Call, FlobKind, Misuse, MutexState, Status};

use super::program::*;
use super::sim::Sim;

#[test]
fn lock_and_unlock_show_in_the_exported_state() {
    let mut sim = Sim::new();
    let mutex = sim.make(FlobKind::Mutex);
    let owner = sim.null();
    assert_eq!(sim.get_state::<MutexState>(mutex, &[owner]).locked, 0);
    sim.ok(Call::MutexLock, &[mutex]);
    assert_eq!(sim.get_state::<MutexState>(mutex, &[owner]).locked, 1);
    assert!(!sim.is_null(owner));
    sim.ok(Call::MutexUnlock, &[mutex]);
    assert_eq!(sim.get_state::<MutexState>(mutex, &[owner]).locked, 0);
    assert!(sim.is_null(owner));
}

#[test]
fn misuse_of_a_mutex_is_an_exception() {
    let mut sim = Sim::new();
    let mutex = sim.make(FlobKind::Mutex);
    assert_eq!(sim.wrong(Call::MutexUnlock, &[mutex]), Misuse::MutexNotLocked);
    sim.ok(Call::MutexLock, &[mutex]);
    assert_eq!(sim.wrong(Call::MutexLock, &[mutex]), Misuse::MutexLocked);
    assert_eq!(sim.call(Call::MutexTryLock, &[mutex]), Status::MutexHeld);
    assert_eq!(sim.wrong(Call::MutexLock, &[mutex + 8]), Misuse::NotAligned);
    assert_eq!(sim.wrong(Call::MutexLock, &[mutex + 512]), Misuse::NoFlob);
    assert_eq!(sim.wrong(Call::ConditionSignal, &[mutex]), Misuse::WrongKind);
}

#[test]
fn waiters_get_the_mutex_in_order() {
    let mut sim = Sim::new();
    let mutex = sim.make(FlobKind::Mutex);
    sim.ok(Call::MutexLock, &[mutex]);
    for number in 0..3 {
        let program =
            Program::new().call(Call::MutexLock, &[mutex]).say(0, number).call(Call::MutexUnlock, &[mutex]);
        sim.spawn(5, program.end());
        sim.run_out();
    }
    assert_eq!(sim.said(0), []);
    sim.ok(Call::MutexUnlock, &[mutex]);
    sim.run_out();
    assert_eq!(sim.said(0), [0, 1, 2]);
}

/// A mutex whose owner is destroyed, with this many threads that wait for it: they say their number, and free it again.
fn orphaned(sim: &mut Sim, waiters: u64) -> u64 {
    let mutex = sim.make(FlobKind::Mutex);
    let owner = sim.spawn(5, Program::new().call(Call::MutexLock, &[mutex]).spin());
    sim.run(20);
    for number in 0..waiters {
        let lock = Program::new().call(Call::MutexLock, &[mutex]).say(0, number);
        sim.spawn(5, lock.call(Call::MutexUnlock, &[mutex]).output(0, Rax).end());
    }
    sim.run(60);
    sim.ok(Call::ThreadDestroy, &[owner]);
    sim.run_out();
    mutex
}

#[test]
fn a_mutex_whose_owner_is_gone_stays_locked_and_says_so_until_somebody_frees_it() {
    let mut sim = Sim::new();
    let mutex = orphaned(&mut sim, 2);
    assert_eq!(sim.said(0), [], "what it protects may be half changed: nobody gets it by accident");
    assert_eq!(sim.call(Call::MutexTryLock, &[mutex]), Status::MutexHeld);
    assert_eq!(sim.wrong(Call::MutexUnlock, &[mutex]), Misuse::MutexNotOwner);
    // Whoever sees its state sees what has happened, and can put it back as it was.
    let owner = sim.null();
    let state = sim.get_state::<MutexState>(mutex, &[owner]);
    assert!(state.locked == 1 && sim.is_null(owner), "locked by nobody");
    sim.set(mutex, &state, &[owner]);
    sim.kernel.forget_derived();
    sim.run_out();
    assert_eq!(sim.said(0), []);
    assert_eq!(sim.get_state::<MutexState>(mutex, &[owner]), state);
    sim.set(mutex, &MutexState { locked: 0, ..state }, &[]);
    sim.run_out();
    assert_eq!(sim.said(0), [0, 0, 1, 0], "free, and in the order in which they came");
}

#[test]
fn a_mutex_whose_owner_is_gone_can_be_handed_to_one_who_puts_things_right() {
    let mut sim = Sim::new();
    let mutex = orphaned(&mut sim, 1);
    let heir = sim.spawn(5, Program::new().call(Call::MutexUnlock, &[mutex]).output(1, Rax).end());
    sim.stop(heir);
    let to_heir = sim.reference(heir, FlobKind::Thread);
    assert_eq!(sim.set_links(FlobKind::Mutex, mutex, &[to_heir]), Status::Success);
    sim.run_out();
    assert_eq!(sim.said(0), []);
    sim.resume(heir);
    sim.run_out();
    assert_eq!((&*sim.said(0), &*sim.said(1)), (&[0, 0][..], &[0][..]));
}
