//! Regions and mappings: levels, limits, faults, flushing, searching, locating.

use flob_abi::call::Found;
use flob_abi::exception::reply_action;
use flob_abi::{
    Call, ExceptionCode, ExceptionMessage, ExceptionReply, FlobKind, MappingState, Misuse, PAGE_SIZE,
    Protection, RegionState, Status, ThreadState, group, ipc,
};
use zerocopy::{FromBytes, IntoBytes};

use super::program::*;
use super::random::{Random, rounds};
use super::sim::{ROOT_SPACE, Sim};
use super::talk::words;

/// Where test programs see their memory.
const AT: u64 = 0x40_0000;
const ALL: Protection = Protection::ALL;

/// A chain of `levels` spaces, each of which sees all of `pages` pages at AT through the one before; the references to
/// the spaces, the regions (the first is over physical memory) and the mappings.
fn chain(sim: &mut Sim, memory: u64, pages: u64, levels: usize) -> (Vec<u64>, Vec<u64>, Vec<u64>) {
    let (mut spaces, mut regions, mut mappings) = (Vec::new(), Vec::new(), Vec::new());
    let (mut outer, mut start) = (ROOT_SPACE, memory);
    for _ in 0..levels {
        let (region, to_region) = sim.make_region(outer, start, pages * PAGE_SIZE, ALL, 0);
        let (_, space) = sim.make_space(20, None);
        mappings.push(sim.make_mapping(to_region, space, (0, AT, pages * PAGE_SIZE), ALL));
        regions.push(region);
        spaces.push(space);
        (outer, start) = (space, AT);
    }
    (spaces, regions, mappings)
}
use std::vec::Vec;

/// Says the word at an address again and again.
fn reader(address: u64, channel: usize) -> Program {
    let program = Program::new().set(R14, address);
    let again = program.here();
    program.op(Op::Load(R15, R14, 0)).output(channel, R15).op(Op::Jump(again))
}

#[test]
fn memory_is_seen_through_thirty_levels_and_not_through_more_than_thirty_two() {
    let mut sim = Sim::new();
    let memory = sim.page();
    sim.write_words(memory, &[42]);
    let (spaces, ..) = chain(&mut sim, memory, 1, 34);
    sim.spawn_in(spaces[29], 5, reader(AT, 0));
    let deep = sim.spawn_in(spaces[33], 5, reader(AT, 1));
    sim.run(2000);
    assert_eq!(sim.said(0)[0], 42);
    assert_eq!(sim.stop(deep).exception.code, ExceptionCode::PageFault as u32);
}

#[test]
fn a_circle_of_mappings_is_a_hard_fault() {
    let mut sim = Sim::new();
    let (_, space) = sim.make_space(20, None);
    let (region, to_region) = sim.make_region(space, AT, PAGE_SIZE, ALL, 0);
    sim.make_mapping(to_region, space, (0, AT, PAGE_SIZE), ALL);
    let thread = sim.spawn_in(space, 5, reader(AT, 0));
    sim.run_out();
    assert_eq!(sim.stop(thread).exception.code, ExceptionCode::PageFault as u32);
    let port = sim.make(FlobKind::Port);
    let reference = sim.reference(port, FlobKind::Port);
    assert_eq!(sim.call(Call::ReferenceLocate, &[reference, region]), Status::NotFound);
}

#[test]
fn a_change_at_any_level_reaches_all_below() {
    for level in 0..5 {
        let mut sim = Sim::new();
        let memory = sim.pages(2);
        sim.write_words(memory, &[1]);
        sim.write_words(memory + PAGE_SIZE, &[2]);
        let (spaces, regions, mappings) = chain(&mut sim, memory, 2, 5);
        let thread = sim.spawn_in(spaces[4], 5, reader(AT, 0));
        sim.run(20);
        assert_eq!(sim.said(0).last(), Some(&1));
        let state: MappingState = sim.get_state(mappings[level], &[]);
        sim.set(mappings[level], &MappingState { offset: PAGE_SIZE, size: PAGE_SIZE, ..state }, &[]);
        sim.output.clear();
        sim.run(20);
        assert_eq!(sim.said(0)[0], 2, "level {level} shows another page now");
        let state: RegionState = sim.get_state(regions[level], &[]);
        sim.set(regions[level], &RegionState { protection: 0, ..state }, &[]);
        sim.run_out();
        assert_eq!(sim.stop(thread).exception.code, ExceptionCode::PageFault as u32, "level {level}");
    }
}

#[test]
fn destroying_a_space_in_between_cuts_off_what_is_below_and_leaves_the_lists_whole() {
    let mut sim = Sim::new();
    let memory = sim.page();
    let (region, to_region) = sim.make_region(ROOT_SPACE, memory, PAGE_SIZE, ALL, 0);
    let doomed = sim.make(FlobKind::Space);
    let to_doomed = sim.reference(doomed, FlobKind::Space);
    let (_, other) = sim.make_space(20, None);
    let orphan = sim.make_mapping(to_region, to_doomed, (0, AT, PAGE_SIZE), ALL);
    sim.make_mapping(to_region, other, (0, AT, PAGE_SIZE), ALL);
    let (_, inner) = sim.make_region(to_doomed, AT, PAGE_SIZE, ALL, 0);
    let (_, below) = sim.make_space(20, None);
    sim.make_mapping(inner, below, (0, AT, PAGE_SIZE), ALL);
    let cut_off = sim.spawn_in(below, 5, reader(AT, 0));
    let thread = sim.spawn_in(other, 5, reader(AT, 1));
    sim.run(3000);
    assert!(!sim.said(0).is_empty());
    sim.ok(Call::SpaceDestroy, &[doomed]);
    sim.run(3000);
    assert_eq!(sim.stop(cut_off).exception.code, ExceptionCode::PageFault as u32);
    // The mapping into the dead space changes hands; the region still knows all of its mappings.
    sim.set(
        orphan,
        &MappingState { start: AT, size: PAGE_SIZE, protection: 7, ..MappingState::default() },
        &[0, below],
    );
    let state: RegionState = sim.get_state(region, &[]);
    sim.set(region, &RegionState { protection: 0, ..state }, &[]);
    sim.run_out();
    assert_eq!(sim.stop(thread).exception.code, ExceptionCode::PageFault as u32);
}

#[test]
fn of_overlapping_mappings_the_lower_start_wins_and_equal_ones_do_not_depend_on_history() {
    let mut sim = Sim::new();
    let memory = sim.pages(3);
    for page in 0..3 {
        sim.write_words(memory + page * PAGE_SIZE, &[page]);
    }
    let (_, region) = sim.make_region(ROOT_SPACE, memory, 3 * PAGE_SIZE, ALL, 0);
    for flip in [false, true] {
        let (_, space) = sim.make_space(20, None);
        let equal = |offset: u64| (offset * PAGE_SIZE, AT, PAGE_SIZE);
        let (first, second) = if flip { (1, 0) } else { (0, 1) };
        sim.make_mapping(region, space, equal(first), ALL);
        sim.make_mapping(region, space, equal(second), ALL);
        sim.spawn_in(space, 5, reader(AT, usize::from(flip)));
        sim.run(3000);
        sim.make_mapping(region, space, (PAGE_SIZE, AT - PAGE_SIZE, 2 * PAGE_SIZE), ALL);
        sim.run(3000);
    }
    assert_eq!(sim.said(0)[0], sim.said(1)[0]);
    assert_eq!((sim.said(0).last(), sim.said(1).last()), (Some(&2), Some(&2)));
}

#[test]
fn bad_ranges_are_a_status() {
    let mut sim = Sim::new();
    let region = sim.make(FlobKind::Region);
    let mapping = sim.make(FlobKind::Mapping);
    for (start, size, protection) in
        [(1, 4096, 7), (0, 1, 7), (u64::MAX - 4095, 8192, 7), (0, 4096, 8), (0, 1 << 48, 1)]
    {
        let state = RegionState { start, size, protection, ..RegionState::default() };
        assert_eq!(sim.set_state(region, &state, group::ALL, &[]), Status::InvalidState);
        let state = MappingState { start, size, protection, ..MappingState::default() };
        assert_eq!(sim.set_state(mapping, &state, group::ALL, &[]), Status::InvalidState);
    }
    let state = MappingState { offset: !4095, size: 8192, protection: 1, ..MappingState::default() };
    assert_eq!(sim.set_state(mapping, &state, group::ALL, &[]), Status::InvalidState);
}

/// A thread below two regions, each with a keeper's port; the inner one denies writing, and after its keeper has the
/// exception in its hands the inner region is opened and the outer one closed. The inner keeper answers with a lift.
fn lift(swap: bool) -> (Sim, u64) {
    let mut sim = Sim::new();
    let memory = sim.page();
    let (inner_set, inner_keeper) = sim.make_port(1);
    let inner_keeper = sim.reference(inner_keeper, FlobKind::Port);
    let (outer, to_outer) = sim.make_region(ROOT_SPACE, memory, PAGE_SIZE, ALL, 0);
    let (_, middle) = sim.make_space(20, None);
    sim.make_mapping(to_outer, middle, (0, AT, PAGE_SIZE), ALL);
    let (inner, to_inner) = sim.make_region(middle, AT, PAGE_SIZE, Protection::READ, inner_keeper);
    let (_, space) = sim.make_space(20, None);
    sim.make_mapping(to_inner, space, (0, AT, PAGE_SIZE), ALL);
    let writer = Program::new().set(R14, AT).set(R15, 9).op(Op::Store(R14, 0, R15)).end();
    let thread = sim.spawn_in(space, 5, writer);
    let (page, gate) = (sim.page(), sim.make(FlobKind::Mutex));
    sim.ok(Call::MutexLock, &[gate]);
    let wait = words(inner_set, (page + 64, 16), (page, 40));
    let keeper = Program::new().raw_call(ipc::SERVER_WAIT, &wait).call(Call::MutexLock, &[gate]);
    sim.spawn(6, keeper.raw_call(ipc::IPC | ipc::SERVER | ipc::REPLY, &wait).end());
    sim.run_out();
    let heard = ExceptionMessage::read_from_bytes(&sim.read(page, 40)).expect("a message");
    assert_eq!((heard.number, heard.code, heard.address, heard.access), (1, 1, AT, 2));
    if swap {
        let state: RegionState = sim.get_state(inner, &[]);
        sim.set(inner, &RegionState { protection: 7, ..state }, &[]);
        let state: RegionState = sim.get_state(outer, &[]);
        sim.set(outer, &RegionState { protection: 1, ..state }, &[]);
    }
    let reply = ExceptionReply { number: 1, action: reply_action::LIFT, access: 2 };
    sim.write(page + 64, reply.as_bytes());
    sim.ok(Call::MutexUnlock, &[gate]);
    sim.run_out();
    let written = sim.read_word(memory);
    assert_eq!(written == 9, sim.stop(thread).exception.code == ExceptionCode::InvalidOpcode as u32);
    (sim, written)
}

#[test]
fn a_keeper_lifts_its_own_regions_denial_and_no_other() {
    assert_eq!(lift(false).1, 9);
    assert_eq!(lift(true).1, 0, "the outer region's denial is not the inner keeper's to lift");
}

/// A keeper that lifts every denial for writing; before that it writes back the word at `touched` in its own space.
pub fn lifter(set: u64, page: u64, touched: Option<u64>) -> Program {
    let write = u64::from(reply_action::LIFT) | u64::from(Protection::WRITE.0) << 32;
    let mut program = Program::new().raw_call(ipc::SERVER_WAIT, &words(set, (0, 0), (page, 40)));
    let again = program.here();
    if let Some(address) = touched {
        program = program.set(R14, address).op(Op::Load(R15, R14, 0)).op(Op::Store(R14, 0, R15));
    }
    program = program.set(R14, page).op(Op::Load(R15, R14, 0)).op(Op::Store(R14, 64, R15));
    program = program.set(R15, write).op(Op::Store(R14, 72, R15)).set(R14, 0).set(R15, 0);
    program.raw_call(ipc::SERVER_REPLY, &words(set, (page + 64, 16), (page, 40))).op(Op::Jump(again))
}

/// A thread below three regions of which each denies writing, and each has its keeper in the space that exports it. What is written
/// after a while.
fn lift_through_all(touch: bool) -> u64 {
    let mut sim = Sim::new();
    let memory = sim.page();
    let (mut outer, mut start) = (ROOT_SPACE, memory);
    for level in 0..3 {
        let (set, port) = sim.make_port(1);
        let (keeper, page) = (sim.reference(port, FlobKind::Port), sim.page());
        sim.spawn_in(outer, 9 - level, lifter(set, page, touch.then_some(start)));
        let (_, region) = sim.make_region(outer, start, PAGE_SIZE, Protection::READ, keeper);
        let (_, space) = sim.make_space(20, None);
        sim.make_mapping(region, space, (0, AT, PAGE_SIZE), ALL);
        // The keepers' own memory is where the first space sees it.
        let (_, own) = sim.make_region(ROOT_SPACE, memory, 40 * PAGE_SIZE, ALL, 0);
        sim.make_mapping(own, space, (0, memory, 40 * PAGE_SIZE), ALL);
        (outer, start) = (space, AT);
    }
    let writer = Program::new().set(R14, AT).set(R15, 9).op(Op::Store(R14, 0, R15));
    sim.spawn_in(outer, 5, writer.call(Call::InterruptWait, &[9]));
    sim.run(3000);
    sim.read_word(memory)
}

#[test]
fn keepers_that_make_the_access_themselves_lift_the_denials_of_all_levels() {
    assert_eq!(lift_through_all(true), 9);
    assert_eq!(lift_through_all(false), 0, "none lifts what another region denies");
}

#[test]
fn region_search_finds_all_flobs_and_can_be_taken_up() {
    let mut sim = Sim::new();
    let memory = sim.pages(40);
    let (region, _) = sim.make_region(ROOT_SPACE, memory, 40 * PAGE_SIZE, Protection::NONE, 0);
    let mut made = Vec::new();
    for (offset, kind) in [
        (512, FlobKind::Port),
        (4096, FlobKind::Thread),
        (8192 + 3584, FlobKind::Mutex),
        (38 * 4096, FlobKind::Space),
    ] {
        sim.create_at(kind, memory + offset);
        made.push((offset, kind as u32));
    }
    let scratch = sim.scratch();
    assert_eq!(search(&mut sim, region, 41 * PAGE_SIZE, 0), made);
    assert_eq!(search(&mut sim, region, 41 * PAGE_SIZE, FlobKind::Mutex as u64), made[2..3]);
    assert_eq!(sim.wrong(Call::RegionSearch, &[region, 8, u64::MAX, scratch, 1]), Misuse::InvalidAddress);
    for none in [10, 1 << 32, u64::MAX] {
        for call in [Call::RegionSearch, Call::RegionExport] {
            assert_eq!(sim.wrong(call, &[region, 0, PAGE_SIZE, scratch, 1, none]), Misuse::WrongKind);
        }
    }
}

#[test]
fn locate_is_the_inverse_of_search_at_any_depth_and_sees_no_hidden_memory() {
    let mut sim = Sim::new();
    let memory = sim.pages(2);
    sim.create_at(FlobKind::Port, memory + PAGE_SIZE + 1024);
    let reference = sim.reference(memory + PAGE_SIZE + 1024, FlobKind::Port);
    let (spaces, regions, _) = chain(&mut sim, memory, 2, 5);
    for region in &regions {
        let end = sim.try_call(Call::ReferenceLocate, &[reference, *region]).expect("a status");
        assert_eq!((end.rax, end.rdi), (0, PAGE_SIZE + 1024));
    }
    // Other memory hides it in the third space, and so in all regions over that one.
    let other = sim.pages(2);
    let (_, to_other) = sim.make_region(ROOT_SPACE, other, 2 * PAGE_SIZE, ALL, 0);
    sim.make_mapping(to_other, spaces[2], (0, AT - PAGE_SIZE, 3 * PAGE_SIZE), ALL);
    assert_eq!(sim.call(Call::ReferenceLocate, &[reference, regions[2]]), Status::Success);
    assert_eq!(sim.call(Call::ReferenceLocate, &[reference, regions[3]]), Status::NotFound);
    sim.ok(Call::PortDestroy, &[memory + PAGE_SIZE + 1024]);
    assert!(sim.is_null(reference), "a reference to a destroyed flob is null");
}

/// A search from here to the end for flobs of this kind, or 0, as (offset, kind).
fn search(sim: &mut Sim, region: u64, size: u64, wanted: u64) -> Vec<(u64, u32)> {
    let (scratch, mut found) = (sim.scratch(), Vec::new());
    let (mut offset, mut left) = (0, size);
    while left > 0 {
        let end = sim.try_call(Call::RegionSearch, &[region, offset, left, scratch, 1, wanted]);
        let end = end.expect("a status");
        (offset, left) = (end.rsi, end.rdx);
        if end.r8 == 0 {
            let entry = Found::read_from_bytes(&sim.read(scratch, 16)).expect("an entry");
            found.push((entry.offset, entry.kind));
        }
    }
    found
}

/// Who stops the threads of a large environment does not pay for all else that there is.
#[test]
fn flobs_of_other_kinds_are_passed_over_at_once() {
    const PAGES: u64 = 60;
    let mut sim = Sim::new();
    let memory = sim.pages(PAGES as u32 + 1);
    for granule in 0..PAGES * 8 {
        sim.create_at(FlobKind::Mutex, memory + granule * 512);
    }
    sim.create_at(FlobKind::Thread, memory + PAGES * PAGE_SIZE);
    let size = (PAGES + 1) * PAGE_SIZE;
    let (region, _) = sim.make_region(ROOT_SPACE, memory, size, Protection::NONE, 0);
    let array = sim.pages(2);
    let mut entries = |kind| {
        sim.ok(Call::RegionSearch, &[region, 0, size, array, 512, kind]);
        sim.entries
    };
    assert_eq!(entries(FlobKind::Thread as u64), 1);
    assert!(entries(0) > 10, "{} at once", entries(0));
}

/// Empty memory is passed over in long steps, and pieces of it lie anywhere: nothing is missed, and nothing is seen where it
/// is not.
#[test]
fn searching_passes_over_nothing_but_empty_memory() {
    const PAGES: u64 = 150;
    let mut random = Random::new("search");
    for _ in 0..rounds(40) {
        let mut sim = Sim::new();
        let memory = sim.pages(PAGES as u32);
        for _ in 0..random.below(24) {
            // Some beside each other, of which one may be destroyed, or moved. Where there is one already, one is enough.
            let kind = FlobKind::ALL[random.below(9) as usize];
            let mut place = || {
                let page = memory + random.below(8) * 19 * PAGE_SIZE;
                page + random.below(PAGE_SIZE / kind.size()) * kind.size()
            };
            let (at, other) = (place(), place());
            let _ = sim.try_call(life(kind, 0), &[at, 0]);
            match random.below(3) {
                0 => drop(sim.try_call(life(kind, 1), &[at])),
                1 => drop(sim.try_call(life(kind, 2), &[at, other])),
                _ => {}
            }
        }
        let (_, whole) = sim.make_region(ROOT_SPACE, memory, PAGES * PAGE_SIZE, ALL, 0);
        let (_, to_space) = sim.make_space(20, None);
        for _ in 0..1 + random.below(6) {
            let (from, at) = (random.below(PAGES), random.below(PAGES));
            let pages = 1 + random.below(70);
            sim.make_mapping(whole, to_space, (from * PAGE_SIZE, at * PAGE_SIZE, pages * PAGE_SIZE), ALL);
        }
        let (start, size) = (random.below(40) * PAGE_SIZE, random.below(PAGES * 8) * 512);
        let (region, _) = sim.make_region(to_space, start, size / PAGE_SIZE * PAGE_SIZE, ALL, 0);
        // The same, a granule at a time.
        let kernel = &mut sim.kernel;
        let root = kernel.root.expect("a first space");
        let id = kernel.find(root, region, FlobKind::Region, Protection::READ).expect("it is there");
        let mut seen = |offset: u64| {
            let spot = kernel.resolve_in_region(id, offset)?;
            let flob = kernel.flob_at(spot.frame, spot.offset / 512)?;
            Some((offset, kernel.kind_of(flob)? as u32))
        };
        let expected: Vec<_> = (0..size).step_by(512).filter_map(&mut seen).collect();
        assert_eq!(search(&mut sim, region, size, 0), expected);
        for kind in FlobKind::ALL {
            let expected: Vec<_> = expected.iter().copied().filter(|found| found.1 == kind as u32).collect();
            assert_eq!(search(&mut sim, region, size, kind as u64), expected, "{kind:?}");
        }
    }
}

/// `X_create` (0), `X_destroy` (1) or `X_move` (2) of a kind.
fn life(kind: FlobKind, which: u64) -> Call {
    Call::from_number((kind as u64) << 4 | which).expect("all kinds have these")
}

/// Only mappings that show a part of the region can lead to the place.
#[test]
fn locate_does_not_mind_how_many_other_mappings_there_are() {
    let mut sim = Sim::new();
    let memory = sim.pages(2);
    sim.create_at(FlobKind::Port, memory + PAGE_SIZE);
    let reference = sim.reference(memory + PAGE_SIZE, FlobKind::Port);
    let (_, to_memory) = sim.make_region(ROOT_SPACE, memory, 2 * PAGE_SIZE, ALL, 0);
    let (_, space) = sim.make_space(20, None);
    for number in 0..600 {
        let at = if number < 300 { number } else { number + 300 };
        sim.make_mapping(to_memory, space, (0, at * PAGE_SIZE, PAGE_SIZE), ALL);
    }
    sim.make_mapping(to_memory, space, (0, 400 * PAGE_SIZE, 2 * PAGE_SIZE), ALL);
    let (region, _) = sim.make_region(space, 399 * PAGE_SIZE, 3 * PAGE_SIZE, ALL, 0);
    let end = sim.try_call(Call::ReferenceLocate, &[reference, region]).expect("a status");
    assert_eq!((end.rax, end.rdi), (0, 2 * PAGE_SIZE));
}

#[test]
fn move_keeps_all_links_and_frees_the_old_place() {
    let mut sim = Sim::new();
    let (set, port) = sim.make_port(3);
    let before = sim.reference(set, FlobKind::PortSet);
    let to = sim.granule();
    sim.ok(Call::PortSetMove, &[set, to]);
    let after = sim.reference(to, FlobKind::PortSet);
    let link = sim.null();
    sim.get_state::<flob_abi::PortState>(port, &[link]);
    assert!(sim.same(before, after) && sim.same(link, after));
    sim.create_at(FlobKind::Mutex, set);
    assert_eq!(sim.wrong(Call::PortSetMove, &[to, set]), Misuse::FlobExists);
    let state: ThreadState = {
        let thread = sim.spawn(1, Program::new().end());
        sim.stop(thread)
    };
    assert_eq!(state.priority, 1);
}
