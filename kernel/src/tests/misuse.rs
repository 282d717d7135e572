//! Every call that names a flob, with everything that is not one; every group of a thread's fields by itself; what goes
//! down to other spaces and never up.

use std::vec::Vec;

use flob_abi::{
    Call, DebugRegisters, ExceptionCode, FlobKind, Handlers, Misuse, PAGE_SIZE, PendingException, PortRange,
    Protection, Registers, SavedArea, SpaceState, Status, ThreadState, VECTORS_SIZE, group,
    memory::PHYSICAL_WINDOW, memory::USER_END, space_flag, thread_flag,
};
use zerocopy::IntoBytes;

use super::build::common;
use super::program::*;
use super::sim::{FRAMES, ROOT_SPACE, Sim};
use FlobKind::{Condition, Mapping, Mutex, Port, Reference, Region, Space, Thread};

/// The calls that name flobs by address, beside those that all kinds have: the kind in each argument register.
const NAMING: &[(Call, &[FlobKind])] = &[
    (Call::ThreadInterrupt, &[Thread]),
    (Call::ThreadGetServer, &[Reference]),
    (Call::ThreadSetServer, &[Reference]),
    (Call::ThreadGetClient, &[Reference]),
    (Call::ThreadSetClient, &[Reference]),
    (Call::RegionSearch, &[Region]),
    (Call::RegionProtect, &[Region]),
    (Call::RegionDirty, &[Region]),
    (Call::RegionExport, &[Region]),
    (Call::MappingProtect, &[Mapping]),
    (Call::MutexLock, &[Mutex]),
    (Call::MutexTryLock, &[Mutex]),
    (Call::MutexUnlock, &[Mutex]),
    (Call::ConditionWait, &[Condition, Mutex]),
    (Call::ConditionSleep, &[Condition]),
    (Call::ConditionSignal, &[Condition]),
    (Call::ConditionBroadcast, &[Condition]),
    (Call::ReferenceCopy, &[Reference, Reference]),
    (Call::ReferenceCompare, &[Reference, Reference]),
    (Call::ReferenceType, &[Reference]),
    (Call::ReferenceHash, &[Reference]),
    (Call::ReferenceCheck, &[Reference]),
    (Call::ReferenceLocate, &[Reference, Region]),
];
/// Calls that name none.
const PLAIN: &[Call] = &[
    Call::Null,
    Call::TimerWait,
    Call::InterruptWait,
    Call::KernelLog,
    Call::MachineExit,
    Call::EpochBegin,
    Call::ThreadSelf,
    Call::ReturnFromException,
    Call::ThreadEnableExceptions,
    Call::ThreadDisableExceptions,
    Call::ThreadGetHandlers,
    Call::ThreadSetHandlers,
    Call::ThreadGetSavedState,
    Call::ThreadSetSavedState,
];

/// All calls that name flobs, those of each kind included.
fn naming() -> Vec<(Call, Vec<FlobKind>)> {
    let mut all: Vec<(Call, Vec<FlobKind>)> =
        NAMING.iter().map(|(call, kinds)| (*call, kinds.to_vec())).collect();
    for kind in FlobKind::ALL {
        // create needs no flob there.
        all.push((common(kind, 1), [kind].to_vec()));
        all.push((common(kind, 2), [kind].to_vec()));
        if !matches!(kind, Mapping | Reference) {
            all.push((common(kind, 3), [kind, Reference].to_vec()));
        }
        if kind != Reference {
            all.push((common(kind, 4), [kind].to_vec()));
            all.push((common(kind, 5), [kind].to_vec()));
        }
    }
    all
}

#[test]
fn the_table_has_every_call() {
    let all = naming();
    for call in Call::ALL {
        let create = FlobKind::ALL.into_iter().any(|kind| common(kind, 0) == *call);
        let named = all.iter().filter(|(other, _)| other == call).count();
        let plain = PLAIN.iter().filter(|other| *other == call).count();
        assert_eq!(named + plain + usize::from(create), 1, "{}", call.name());
    }
}

#[test]
fn whatever_is_no_flob_of_the_right_kind_is_misuse_in_every_argument_of_every_call() {
    let mut sim = Sim::new();
    let good: Vec<u64> = FlobKind::ALL.iter().map(|kind| sim.make(*kind)).collect();
    let at = |kind: FlobKind| good[kind as usize - 1];
    let empty = sim.page();
    let nowhere = PHYSICAL_WINDOW + u64::from(FRAMES + 5) * PAGE_SIZE;
    for (call, kinds) in naming() {
        for (place, kind) in kinds.iter().enumerate() {
            let other = if *kind == Thread {
                // A page whose first granule holds something else.
                let page = sim.page();
                sim.create_at(Port, page);
                page
            } else if *kind == Port {
                at(Mutex)
            } else {
                at(Port)
            };
            for (bad, misuse) in [
                (at(*kind) + 8, Misuse::NotAligned),
                (empty, Misuse::NoFlob),
                (other, Misuse::WrongKind),
                (USER_END, Misuse::InvalidAddress),
                (!0 << 12, Misuse::InvalidAddress),
            ] {
                let mut args: Vec<u64> = kinds.iter().map(|kind| at(*kind)).collect();
                args[place] = bad;
                args.resize(4, 0);
                // The mutex of a wait is looked at first or second: it must be held to come to the other.
                assert_eq!(sim.try_call(call, &args), Err((misuse, bad)), "{} argument {place}", call.name());
            }
            let program = kinds.iter().map(|kind| at(*kind)).enumerate();
            let args: Vec<u64> =
                program.map(|(other, good)| if other == place { nowhere } else { good }).collect();
            let thread = sim.spawn(5, Program::new().call(call, &args).end());
            sim.run_out();
            let state = sim.stop(thread);
            assert_eq!(state.exception.code, ExceptionCode::PageFault as u32, "{}", call.name());
            assert_eq!((state.exception.address, state.registers.rax), (nowhere, call as u64));
            sim.ok(Call::ThreadDestroy, &[thread]);
        }
    }
}

#[test]
fn only_its_owner_unlocks_a_mutex() {
    let mut sim = Sim::new();
    let mutex = sim.make(Mutex);
    sim.spawn(5, Program::new().call(Call::MutexLock, &[mutex]).end());
    sim.run_out();
    assert_eq!(sim.wrong(Call::MutexUnlock, &[mutex]), Misuse::MutexNotOwner);
    assert_eq!(sim.call(Call::MutexTryLock, &[mutex]), Status::MutexHeld);
}

#[test]
fn a_flob_is_destroyed_only_with_write_access_and_looked_at_with_read_access() {
    let mut sim = Sim::new();
    let page = sim.page();
    sim.create_at(Port, page);
    sim.create_at(Reference, page + 512);
    let other = sim.page();
    sim.create_at(Reference, other);
    let (_, region) = sim.make_region(ROOT_SPACE, page, PAGE_SIZE, Protection::READ, 0);
    let (_, writable) = sim.make_region(ROOT_SPACE, other, PAGE_SIZE, Protection::ALL, 0);
    let (_, space) = sim.make_space(20, None);
    sim.make_mapping(region, space, (0, 0x40_0000, PAGE_SIZE), Protection::ALL);
    sim.make_mapping(writable, space, (0, 0x40_1000, PAGE_SIZE), Protection::ALL);
    let allowed = Program::new()
        .call(Call::PortReference, &[0x40_0000, 0x40_1000])
        .output(0, Rax)
        .call(Call::ReferenceCheck, &[0x40_1000])
        .output(0, Rax)
        .call(Call::PortGetState, &[0x40_0000, 0, 0, 1])
        .output(0, Rax);
    sim.spawn_in(space, 5, allowed.end());
    sim.run_out();
    assert_eq!(sim.said(0), [0, 0, 0]);
    for call in [Call::PortDestroy, Call::PortSetState, Call::PortMove] {
        let thread = sim.spawn_in(space, 5, Program::new().call(call, &[0x40_0000, 0x40_1200]).end());
        sim.run_out();
        let state = sim.stop(thread);
        assert_eq!(state.exception.code, ExceptionCode::PageFault as u32, "{}", call.name());
        assert_eq!(state.exception.access, Protection::WRITE.0);
    }
}

/// A state in which every field differs from that of a new thread.
fn other_state(sim: &Sim) -> ThreadState {
    let rip = address_of(sim.code.len());
    let mut state = ThreadState {
        flags: thread_flag::STOPPED | thread_flag::EXCEPTIONS_ENABLED | thread_flag::CLIENT_SENDS,
        priority: 3,
        own_address: 0x1234,
        parked_client_ends: 5,
        parked_server_ends: 6,
        registers: Registers {
            rax: 1,
            r15: 2,
            rip,
            rflags: 0x203,
            fs_base: 3,
            gs_base: 4,
            ..Registers::default()
        },
        debug: DebugRegisters { address: [1, 2, 3, 4], dr6: 0xffff_0ff1, dr7: 0x401 },
        handlers: Handlers { trap: 1, interrupt: 0, client_alert: 3, server_alert: 4 },
        saved: SavedArea { rax: 1, rip: 2, rflags: 0x203, ..SavedArea::default() },
        exception: PendingException {
            number: 9,
            code: ExceptionCode::Divide as u32,
            deferred: ExceptionCode::Interrupt.bit(),
            ..PendingException::default()
        },
        ..ThreadState::default()
    };
    state.vectors[100] = 77;
    state
}

/// The part of a state that a group is, as bytes that can be compared.
fn part(state: &ThreadState, mask: u64) -> Vec<u8> {
    let flags = |bits: u32| (state.flags & bits).as_bytes().to_vec();
    match mask {
        group::CONTROL => flags(thread_flag::STOPPED | thread_flag::EXCEPTIONS_ENABLED),
        group::REGISTERS => state.registers.as_bytes().to_vec(),
        group::OWN_ADDRESS => state.own_address.as_bytes().to_vec(),
        group::SCHEDULING => state.priority.as_bytes().to_vec(),
        group::HANDLERS => state.handlers.as_bytes().to_vec(),
        group::SAVED => state.saved.as_bytes().to_vec(),
        group::EXCEPTION => state.exception.as_bytes().to_vec(),
        group::DEBUG => state.debug.as_bytes().to_vec(),
        group::VECTORS => state.vectors.to_vec(),
        group::DIRECTION => {
            let counts = [state.parked_client_ends, state.parked_server_ends];
            [flags(thread_flag::CLIENT_SENDS), counts.as_bytes().to_vec()].concat()
        }
        other => panic!("no group {other:#x}"),
    }
}

#[test]
fn a_mask_sets_its_groups_and_nothing_else() {
    let groups: Vec<u64> = (0..10).map(|bit| 1 << bit).collect();
    assert_eq!(groups.iter().sum::<u64>(), group::ALL);
    for mask in &groups {
        let mut sim = Sim::new();
        let thread = sim.make(Thread);
        let before = sim.stop(thread);
        let wanted = other_state(&sim);
        assert_eq!(sim.set_state(thread, &wanted, *mask, &[]), Status::Success);
        let after = sim.stop(thread);
        for other in &groups {
            let expected = if other == mask { &wanted } else { &before };
            assert_eq!(part(&after, *other), part(expected, *other), "mask {mask:#x}, group {other:#x}");
        }
    }
    // Without vectors the buffer may end where they begin.
    assert_eq!(size_of::<ThreadState>() - flob_abi::THREAD_STATE_HEAD, VECTORS_SIZE);
    let mut sim = Sim::new();
    let thread = sim.make(Thread);
    let end = PHYSICAL_WINDOW + u64::from(FRAMES) * PAGE_SIZE - flob_abi::THREAD_STATE_HEAD as u64;
    sim.ok(Call::ThreadGetState, &[thread, end, 0, group::ALL & !group::VECTORS]);
    sim.ok(Call::ThreadSetState, &[thread, end, 0, group::ALL & !group::VECTORS]);
}

#[test]
fn a_space_is_given_at_most_what_its_setter_has_and_loses_nothing_when_that_loses() {
    let mut sim = Sim::new();
    let parent = sim.make(Space);
    let ports = |first, count| {
        [PortRange { first, count }, PortRange::default(), PortRange::default(), PortRange::default()]
    };
    let state = SpaceState { ceiling: 10, interrupts: 0b110, ports: ports(100, 10), ..SpaceState::default() };
    sim.set(parent, &state, &[]);
    let to_parent = sim.reference(parent, Space);
    let memory = sim.pages(2);
    let (_, region) = sim.make_region(ROOT_SPACE, memory, 2 * PAGE_SIZE, Protection::ALL, 0);
    sim.make_mapping(region, to_parent, (0, 0x40_0000, 2 * PAGE_SIZE), Protection::ALL);
    // Created below, a space begins with the ceiling and no devices.
    let set = Program::new().call(Call::SpaceSetState, &[0x40_0000, 0x40_1000, 0, group::ALL]).output(0, Rax);
    sim.spawn_in(to_parent, 5, Program::new().call(Call::SpaceCreate, &[0x40_0000]).end());
    sim.run_out();
    let new: SpaceState = sim.get_state(memory, &[]);
    assert_eq!((new.ceiling, new.interrupts, new.ports), (10, 0, [PortRange::default(); 4]));
    let ask = |sim: &mut Sim, wanted: SpaceState| {
        sim.write(memory + PAGE_SIZE, wanted.as_bytes());
        sim.output.clear();
        sim.spawn_in(to_parent, 5, set.clone().end());
        sim.run_out();
        sim.said(0)[0]
    };
    let refused = Status::NotPermitted as u64;
    assert_eq!(ask(&mut sim, state), 0);
    assert_eq!(ask(&mut sim, SpaceState { ceiling: 11, ..state }), refused);
    assert_eq!(ask(&mut sim, SpaceState { interrupts: 0b1000, ..state }), refused);
    assert_eq!(ask(&mut sim, SpaceState { ports: ports(99, 2), ..state }), refused);
    assert_eq!(ask(&mut sim, SpaceState { ports: ports(109, 2), ..state }), refused);
    assert_eq!(ask(&mut sim, SpaceState { ports: ports(0xffff, 2), ..state }), refused);
    assert_eq!(ask(&mut sim, SpaceState { ceiling: 32, ..state }), Status::InvalidState as u64);
    assert_eq!(ask(&mut sim, SpaceState { flags: 4, ..state }), Status::InvalidState as u64);
    assert_eq!(sim.get_state::<SpaceState>(memory, &[]), SpaceState { hash: new.hash, ..state });
    // The parent loses its own: what it gave stays, but it can give no more.
    sim.set(parent, &SpaceState { ceiling: 5, ..SpaceState::default() }, &[]);
    assert_eq!(sim.get_state::<SpaceState>(memory, &[]), SpaceState { hash: new.hash, ..state });
    assert_eq!(ask(&mut sim, state), refused);
    assert_eq!(ask(&mut sim, SpaceState { ceiling: 5, ..SpaceState::default() }), 0);
}

#[test]
fn a_space_whose_time_stamp_counter_traps_says_so_to_the_machine_and_a_reflected_call_does_nothing_itself() {
    let mut sim = Sim::new();
    let (_, port) = sim.make_port(1);
    let space = sim.make(Space);
    let flags = space_flag::TRAP_TIME | space_flag::REFLECT_CALLS;
    let to_port = sim.reference(port, Port);
    sim.set(space, &SpaceState { flags, ceiling: 20, ..SpaceState::default() }, &[to_port]);
    let to_space = sim.reference(space, Space);
    let mutex = sim.make(Mutex);
    let trapped = std::cell::Cell::new(0);
    for (number, call) in [Call::MutexLock as u64, flob_abi::ipc::CLIENT_CALL, 12345].into_iter().enumerate()
    {
        let thread = sim.spawn_in(to_space, 5, Program::new().raw_call(call, &[(Rdi, mutex)]).end());
        sim.run_until(100, |sim, _| {
            let runs = sim.kernel.current().is_some();
            let (_, traps) = sim.kernel.machine.running.expect("somebody has run");
            trapped.set(trapped.get() + usize::from(runs && traps));
            false
        });
        assert!(trapped.get() > number, "the machine is told while it runs");
        let state = sim.stop(thread);
        assert_eq!(state.exception.code, ExceptionCode::ReflectedCall as u32);
        assert_eq!((state.registers.rax, state.registers.rdi), (call, mutex));
    }
    assert_eq!(sim.call(Call::MutexTryLock, &[mutex]), Status::Success, "nobody has locked it");
}

#[test]
fn a_thread_watches_what_the_thread_that_makes_it_watches() {
    let mut sim = Sim::new();
    let made = sim.page();
    let create = Call::from_number((Thread as u64) << 4).expect("threads can be created");
    let maker = sim.spawn(5, Program::new().call(create, &[made, 0]).spin());
    let mut state = sim.stop(maker);
    state.debug = DebugRegisters { address: [0x1000, 0, 0, 0], dr6: 0xffff_0ff1, dr7: 0xd_0401 };
    sim.set(maker, &state, &[]);
    sim.resume(maker);
    sim.run(20);
    let state = sim.stop(made);
    assert_eq!((state.debug.address, state.debug.dr7), ([0x1000, 0, 0, 0], 0xd_0401));
    assert_eq!(state.debug.dr6, 0xffff_0ff0, "nothing has happened to it");
}
