//! No entry's work grows with a number that a program chose: thousands of threads that are ready, wait for a time, or waited for
//! what is gone. What an entry looks at is counted in records: see `Sim::longest`.

use flob_abi::flob::thread_link;
use flob_abi::{Call, FlobKind, Registers, SpaceState, ThreadState, group, thread_flag};

use super::program::*;
use super::sim::{ROOT_SPACE, Sim};

const THREADS: u64 = 2_000;
/// Records that an entry may look at, whatever there is. (A record is looked at several times, and a tree is some twenty high.)
const BOUND: u64 = 1_500;

fn crowded() -> Sim {
    let mut sim = Sim::sized(THREADS as u32 + 100);
    sim.checks = false;
    sim
}

/// Threads of a new space that could run, each at the highest priority it may have: the space, and the program's only word.
fn ready_crowd(sim: &mut Sim, ceiling: u32) -> u64 {
    let (space, to_space) = sim.make_space(ceiling, None);
    for number in 0..THREADS {
        sim.spawn_in(to_space, 4 + number as u32 % 20, Program::new().say(0, number).end());
    }
    sim.longest = 0;
    space
}

fn ceiling(sim: &mut Sim, space: u64, ceiling: u32) {
    sim.set(space, &SpaceState { ceiling, ..SpaceState::default() }, &[]);
    check(sim);
}

/// Not by looks that count.
fn check(sim: &mut Sim) {
    sim.count_looks();
    sim.kernel.check_queues();
    crate::arena::take_looks();
}

#[test]
fn a_ceiling_that_rises_and_falls_over_thousands_of_ready_threads_makes_no_entry_long() {
    let mut sim = crowded();
    let space = ready_crowd(&mut sim, 2);
    sim.spawn(10, Program::new().say(1, 1).spin());
    for height in [30, 3, 20, 1] {
        ceiling(&mut sim, space, height);
    }
    sim.run(20);
    assert_eq!((&*sim.said(0), &*sim.said(1)), (&[][..], &[1][..]), "the ceiling is low");
    ceiling(&mut sim, space, 31);
    sim.run(THREADS * 10);
    let said = sim.said(0);
    let priority = |number: &u64| 4 + number % 20;
    let higher = (0..THREADS).filter(|number| priority(number) >= 10).count();
    assert_eq!(said.len(), higher, "those not below the one that spins");
    assert!(said.is_sorted_by_key(|number| core::cmp::Reverse(priority(number))), "by their own priorities");
    assert!(sim.longest < BOUND, "an entry looked at {} records", sim.longest);
}

#[test]
fn a_ceiling_that_rises_reaches_all_even_if_its_setter_is_stopped_in_the_middle() {
    let mut sim = crowded();
    let space = ready_crowd(&mut sim, 2);
    let state = sim.page();
    sim.write(state, zerocopy::IntoBytes::as_bytes(&SpaceState { ceiling: 31, ..SpaceState::default() }));
    let setter =
        sim.spawn(30, Program::new().call(Call::SpaceSetState, &[space, state, 0, group::ALL]).end());
    sim.spawn(25, Program::new().spin());
    // Some instructions to make the call, and one entry of it.
    sim.run(7);
    assert_eq!(sim.stop(setter).registers.rax, Call::SpaceSetState as u64, "in the middle");
    assert!(sim.kernel.in_arrears());
    assert_eq!(sim.stop(setter).flags & thread_flag::STOPPED, 1);
    // Who spins lets the ticks in, and no more.
    sim.run(200_000);
    assert!(!sim.kernel.in_arrears());
    check(&mut sim);
    assert_eq!(sim.said(0), [], "the one who spins is higher than all of them");
    assert!(sim.longest < BOUND, "an entry looked at {} records", sim.longest);
}

#[test]
fn the_end_of_a_space_with_thousands_of_ready_threads_makes_no_entry_long() {
    let mut sim = crowded();
    let space = ready_crowd(&mut sim, 9);
    sim.ok(Call::SpaceDestroy, &[space]);
    sim.run_out();
    assert_eq!(sim.said(0), []);
    check(&mut sim);
    assert!(sim.longest < BOUND, "an entry looked at {} records", sim.longest);
}

#[test]
fn thousands_of_timers_make_no_entry_long_and_come_in_their_order() {
    let mut sim = crowded();
    // In no good order, and many for the same time.
    let deadline = |number: u64| 1_000_000_000 + (number * 7919 % THREADS / 10) * 1_000_000;
    for number in 0..THREADS {
        let wait = Program::new().call(Call::TimerWait, &[deadline(number)]);
        sim.spawn(5, wait.say(0, number).end());
    }
    sim.longest = 0;
    sim.run_out();
    check(&mut sim);
    assert_eq!(sim.said(0), [], "before their time");
    // All at once, late.
    sim.kernel.machine().pass(10_000_000_000);
    sim.kernel.event(crate::Event::Tick);
    sim.run_out();
    let said = sim.said(0);
    assert_eq!(said.len() as u64, THREADS);
    assert!(said.is_sorted_by_key(|number| deadline(*number)), "in the order of their times");
    assert!(sim.longest < BOUND, "an entry looked at {} records", sim.longest);
}

#[test]
fn thousands_that_waited_for_what_is_gone_hear_of_it_while_the_machine_idles_and_no_entry_is_long() {
    let mut sim = crowded();
    let mutex = sim.make(FlobKind::Mutex);
    sim.ok(Call::MutexLock, &[mutex]);
    let to_mutex = sim.reference(mutex, FlobKind::Mutex);
    let mut threads = std::vec::Vec::new();
    for rank in 0..THREADS {
        let thread = sim.make(FlobKind::Thread);
        let registers = Registers { rax: Call::MutexLock as u64, rdi: mutex, ..Registers::default() };
        let state = ThreadState {
            flags: thread_flag::STOPPED,
            rank,
            own_address: thread,
            registers,
            ..ThreadState::default()
        };
        let mut links = [0; thread_link::WAITING_FOR + 1];
        (links[thread_link::SPACE], links[thread_link::WAITING_FOR]) = (ROOT_SPACE, to_mutex);
        sim.set(thread, &state, &links);
        threads.push(sim.kernel.thread_at(thread));
    }
    sim.longest = 0;
    sim.ok(Call::MutexDestroy, &[mutex]);
    sim.let_others_run();
    let mut entries: u64 = 0;
    while sim.kernel.current().is_none() && sim.kernel.in_arrears() {
        sim.count_looks();
        entries += 1;
    }
    sim.count_looks();
    assert!(entries > THREADS / 10, "{entries} entries told them all");
    assert!(threads.iter().all(|thread| sim.kernel.thread(*thread).waiting_for.is_none()));
    crate::arena::take_looks();
    sim.ring();
    check(&mut sim);
    assert!(sim.longest < BOUND, "an entry looked at {} records", sim.longest);
}
