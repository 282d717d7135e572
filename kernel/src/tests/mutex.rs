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
