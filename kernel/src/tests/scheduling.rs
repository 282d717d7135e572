//! Priorities and ceilings, time, interrupts, grants, and what a thread's state may hold.

use flob_abi::{
    Call, ExceptionCode, FlobKind, Misuse, PortRange, Protection, SpaceState, Status, ThreadState, group,
};

use super::program::*;
use super::random::Random;
use super::sim::{ROOT_SPACE, Sim};
use crate::{Event, Machine};

fn talker(channel: usize) -> Program {
    let program = Program::new();
    let again = program.here();
    program.say(channel, 1).op(Op::Jump(again))
}

#[test]
fn the_higher_priority_runs_and_equal_ones_take_turns() {
    let mut sim = Sim::new();
    sim.spawn(3, talker(0));
    sim.spawn(5, talker(1));
    sim.spawn(5, talker(2));
    sim.run(5000);
    assert_eq!(sim.said(0), []);
    assert!(sim.said(1).len() > 300 && sim.said(2).len() > 300);
}

#[test]
fn a_ceiling_holds_and_raising_it_reaches_threads_that_are_ready() {
    let mut sim = Sim::new();
    let space = sim.make(FlobKind::Space);
    sim.set(space, &SpaceState { ceiling: 2, ..SpaceState::default() }, &[]);
    let to_space = sim.reference(space, FlobKind::Space);
    sim.spawn_in(to_space, 31, talker(0));
    sim.spawn(5, talker(1));
    sim.run(2000);
    assert_eq!(sim.said(0), []);
    sim.set(space, &SpaceState { ceiling: 9, ..SpaceState::default() }, &[]);
    sim.run(2000);
    assert!(sim.said(0).len() > 100);
    sim.set(space, &SpaceState { ceiling: 1, ..SpaceState::default() }, &[]);
    sim.output.clear();
    sim.run(2000);
    assert_eq!(sim.said(0), []);
}

#[test]
fn time_and_interrupts_wake_those_who_wait() {
    let mut sim = Sim::new();
    for (channel, deadline) in [(0, 5_000_000), (1, 2_000_000)] {
        sim.spawn(5, Program::new().call(Call::TimerWait, &[deadline]).output(2, Rdi).say(channel, 1).end());
    }
    sim.spawn(5, Program::new().call(Call::InterruptWait, &[3]).say(3, 1).end());
    sim.spawn(1, Program::new().spin());
    sim.run(150);
    assert_eq!((&*sim.said(0), &*sim.said(1)), (&[][..], &[1][..]));
    assert!(sim.kernel.machine().fire(3), "the line is unmasked while a thread waits");
    sim.kernel.event(Event::Interrupt { line: 3 });
    sim.run(500);
    assert_eq!((&*sim.said(0), &*sim.said(3)), (&[1][..], &[1][..]));
    assert!(sim.said(2)[0] >= 2_000_000 && sim.said(2)[1] >= 5_000_000);
    assert!(!sim.kernel.machine().fire(3), "and masked when it has fired");
}

#[test]
fn a_line_can_fire_only_while_somebody_waits_for_it() {
    let mut sim = Sim::new();
    let waiter = sim.spawn(5, Program::new().call(Call::InterruptWait, &[3]).say(3, 1).end());
    sim.run_out();
    sim.kernel.forget_derived();
    assert!(!sim.kernel.machine().fire(3), "forgotten: an interrupt now would be lost");
    sim.run_out();
    assert!(sim.kernel.machine().fire(3), "and awaited again without anybody's help");
    sim.kernel.machine().unmask_interrupt(3);
    sim.stop(waiter);
    let state = sim.stop(waiter);
    assert_eq!(state.registers.rax, Call::InterruptWait as u64);
    sim.resume(waiter);
    sim.run_out();
    assert!(sim.kernel.machine().fire(3));
    sim.kernel.event(Event::Interrupt { line: 3 });
    sim.run_out();
    assert_eq!(sim.said(3), [1]);
}

#[test]
fn grants_are_handed_down_and_never_up() {
    let mut sim = Sim::new();
    let (space, to_space) = sim.make_space(20, None);
    for call in [Call::TimerWait, Call::InterruptWait, Call::KernelLog, Call::MachineExit] {
        let thread = sim.spawn_in(to_space, 5, Program::new().call(call, &[1]).end());
        sim.run_out();
        assert_eq!(sim.stop(thread).exception.detail, Misuse::NotGranted as u32, "{}", call.name());
    }
    let ports = [
        PortRange { first: 0xf4, count: 4 },
        PortRange::default(),
        PortRange::default(),
        PortRange::default(),
    ];
    sim.set(space, &SpaceState { ceiling: 20, interrupts: 2, ports, ..SpaceState::default() }, &[]);
    // A child with what it has may hand it on, but no more.
    let memory = sim.pages(2);
    let (_, region) = sim.make_region(ROOT_SPACE, memory, 8192, Protection::ALL, 0);
    sim.make_mapping(region, to_space, (0, 0x40_0000, 8192), Protection::ALL);
    let state = SpaceState { ceiling: 20, interrupts: 2, ports, ..SpaceState::default() };
    let more = [
        SpaceState { ceiling: 21, ..state },
        SpaceState { interrupts: 4, ..state },
        SpaceState { ports: [PortRange { first: 0xf3, count: 1 }; 4], ..state },
    ];
    let mut program = Program::new().call(Call::SpaceCreate, &[0x40_0000]);
    for (index, wanted) in (0..).zip([state].iter().chain(&more)) {
        sim.write(memory + 4096 + index * 64, zerocopy::IntoBytes::as_bytes(wanted));
        let at = 0x40_1000 + index * 64;
        program = program.call(Call::SpaceSetState, &[0x40_0000, at, 0, group::ALL]).output(0, Rax);
    }
    sim.spawn_in(to_space, 5, program.call(Call::MachineExit, &[9]).end());
    sim.run_out();
    assert_eq!(sim.said(0), [0, 3, 3, 3]);
    assert_eq!(sim.kernel.machine().ended, Some(9));
}

#[test]
fn bad_contents_of_a_thread_are_a_status_and_the_rest_is_masked() {
    let mut sim = Sim::new();
    let thread = sim.spawn(5, Program::new().spin());
    let good = sim.stop(thread);
    let bad: [fn(&mut ThreadState); 9] = [
        |state| state.flags = 8,
        |state| state.priority = 32,
        |state| state.registers.rip = 1 << 47,
        |state| state.registers.fs_base = 1 << 63,
        |state| state.registers.gs_base = 0x8000_0000_0000,
        |state| state.handlers.interrupt = 1 << 50,
        |state| state.saved.rip = 1 << 50,
        |state| state.exception.code = 99,
        |state| state.debug.address[2] = flob_abi::memory::USER_END,
    ];
    for spoil in bad {
        let mut state = good;
        spoil(&mut state);
        assert_eq!(sim.set_state(thread, &state, group::ALL, &[]), Status::InvalidState);
    }
    assert_eq!(sim.set_state(thread, &good, group::ALL + 1, &[]), Status::InvalidState);
    let mut state = good;
    state.registers.rflags = !crate::thread::TRAP_FLAG;
    state.debug.dr6 = u64::MAX;
    state.debug.dr7 = u64::MAX;
    state.vectors.fill(0xff);
    sim.set(thread, &state, &[]);
    sim.run(10);
    let state = sim.stop(thread);
    assert_eq!(state.debug.dr7 & 1 << 13, 0, "no general detect");
    assert_eq!(state.vectors[26..28], [0, 0], "no reserved bits of MXCSR");
}

#[test]
fn a_thread_may_not_stop_or_destroy_itself_and_state_says_whether_it_was_stopped() {
    let mut sim = Sim::new();
    let thread = sim.page();
    sim.create_at(FlobKind::Thread, thread);
    let scratch = sim.scratch();
    for call in [Call::ThreadGetState, Call::ThreadSetState, Call::ThreadDestroy] {
        let rip = sim.load(Program::new().call(call, &[thread, scratch + 3000, 0, 0]).end());
        let mut state = ThreadState { priority: 5, ..ThreadState::default() };
        state.registers.rip = rip;
        sim.set(thread, &state, &[ROOT_SPACE]);
        sim.run_out();
        let state = sim.stop(thread);
        assert_eq!(
            (state.exception.detail, state.flags & 1),
            (Misuse::CurrentThread as u32, 0),
            "{}",
            call.name()
        );
        assert_eq!(state.exception.code, ExceptionCode::Misuse as u32);
        assert_eq!(sim.stop(thread).flags & 1, 1);
    }
}

#[test]
fn links_of_the_wrong_kind_are_a_status() {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(1);
    let to_port = sim.reference(port, FlobKind::Port);
    assert_eq!(sim.set_links(FlobKind::Port, port, &[to_port]), Status::InvalidState);
    let to_set = sim.reference(set, FlobKind::PortSet);
    assert_eq!(sim.set_links(FlobKind::Port, port, &[to_set]), Status::Success);
    let mutex = sim.make(FlobKind::Mutex);
    assert_eq!(sim.set_links(FlobKind::Mutex, mutex, &[to_set]), Status::InvalidState);
}

#[test]
fn every_kind_is_created_once_and_destroyed_once() {
    let mut sim = Sim::new();
    let mut random = Random::new("kinds");
    for kind in FlobKind::ALL {
        let place = sim.page();
        let hash = random.next() | 1;
        let number = |call| super::build::common(kind, call);
        sim.ok(number(0), &[place, hash]);
        assert_eq!(sim.wrong(number(0), &[place]), Misuse::FlobExists);
        if !matches!(kind, FlobKind::Reference | FlobKind::Mapping) {
            let reference = sim.reference(place, kind);
            assert_eq!(sim.kind_of_target(reference), kind as u64);
            assert_eq!(sim.try_call(Call::ReferenceHash, &[reference]).expect("a hash").rdi, hash);
        }
        let to = sim.page();
        sim.ok(number(2), &[place, to]);
        assert_eq!(sim.wrong(number(1), &[place]), Misuse::NoFlob);
        sim.ok(number(1), &[to]);
        assert_eq!(sim.wrong(number(1), &[to]), Misuse::NoFlob);
    }
    assert_eq!(sim.wrong(Call::PortCreate, &[flob_abi::memory::USER_END]), Misuse::InvalidAddress);
    assert_eq!(sim.raw_call(0x9f, &[]).map(|end| end.rax), Err((Misuse::UnknownCall, 0x9f)));
}

#[test]
fn equals_share_the_processor_however_often_they_are_interrupted() {
    let mut sim = Sim::new();
    let counts = [sim.page(), sim.page()];
    for count in counts {
        sim.spawn(5, Program::new().rounds(count, u64::MAX, |program| program));
    }
    // The driver comes more often than a turn lasts.
    for _ in 0..400 {
        sim.run(60);
    }
    let [one, other] = counts.map(|count| sim.read_word(count));
    assert!(one.abs_diff(other) < one.max(other) / 4, "{one} and {other} rounds");
}
