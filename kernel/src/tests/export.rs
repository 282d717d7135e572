//! `region_export` against what `get_state` and `reference_locate` tell of the same flobs.

use std::vec::Vec;

use flob_abi::call::Exported;
use flob_abi::{
    Call, FlobKind, Misuse, PAGE_SIZE, Protection, Status, ThreadState, group, state_size, thread_flag,
};
use zerocopy::FromBytes;

use super::program::*;
use super::random::{Random, rounds};
use super::regions::lifter;
use super::sim::{ROOT_SPACE, Sim};

const PAGES: u64 = 24;
const HEAD: usize = size_of::<Exported>();

/// What was exported of a flob: the head, and the state.
type Record = (Exported, Vec<u8>);

/// All of a region, or what is of one kind, in rounds with so much room each.
fn export(sim: &mut Sim, region: u64, size: u64, room: u64, wanted: u64) -> Vec<Record> {
    let (buffer, mut records) = (sim.pages(2), Vec::new());
    let (mut offset, mut left) = (0, size);
    while left > 0 {
        // Across the end of a page.
        let at = buffer + PAGE_SIZE - 200;
        let end =
            sim.try_call(Call::RegionExport, &[region, offset, left, at, room, wanted]).expect("a status");
        assert_eq!(end.rax, 0);
        let bytes = sim.read(at, (room - end.r8) as usize);
        assert_eq!(end.r10, at + bytes.len() as u64);
        assert!(end.rdx < left, "there was room for a thread");
        (offset, left) = (end.rsi, end.rdx);
        let mut rest = &bytes[..];
        while let Ok((head, _)) = Exported::read_from_prefix(rest) {
            let (record, behind) = rest.split_at(head.size as usize);
            records.push((head, record[HEAD..].to_vec()));
            rest = behind;
        }
        assert!(rest.is_empty());
    }
    records
}

/// Flobs in a region's memory, some of which name each other and some others outside.
fn populate(sim: &mut Sim, memory: u64, random: &mut Random) -> Vec<(u64, FlobKind)> {
    let threads: Vec<u64> = (0..3).map(|index| memory + index * PAGE_SIZE).collect();
    for thread in &threads {
        sim.create_at(FlobKind::Thread, *thread);
    }
    let (port, to_outside) = (memory + 4 * PAGE_SIZE, sim.make_port(random.next()).1);
    sim.create_at(FlobKind::Port, port);
    let mut flobs: Vec<(u64, FlobKind)> = threads.iter().map(|thread| (*thread, FlobKind::Thread)).collect();
    flobs.push((port, FlobKind::Port));
    for granule in 5 * 8..PAGES * 8 {
        let place = memory + granule * 512;
        let kind = match random.below(8) {
            0 => FlobKind::Mutex,
            1 => FlobKind::Reference,
            _ => continue,
        };
        sim.create_at(kind, place);
        flobs.push((place, kind));
        let thread = threads[random.below(3) as usize];
        match (kind, random.below(3)) {
            (FlobKind::Mutex, 0) => {
                let owner = sim.scratch_reference(thread, FlobKind::Thread);
                sim.set(place, &flob_abi::MutexState { locked: 1, ..Default::default() }, &[owner]);
            }
            (FlobKind::Reference, 0) => sim.ok(Call::PortReference, &[port, place]),
            (FlobKind::Reference, 1) => sim.ok(Call::PortReference, &[to_outside, place]),
            _ => {}
        }
    }
    let state = ThreadState { flags: 0, priority: 3, ..ThreadState::default() };
    let links = [ROOT_SPACE, sim.scratch_reference(port, FlobKind::Port)];
    sim.set_state(threads[0], &state, group::SCHEDULING, &[]);
    sim.set_links(FlobKind::Thread, threads[0], &links);
    let vectors: Vec<u8> = (0..512).map(|byte| if byte < 32 { 0 } else { byte as u8 }).collect();
    let mut other: ThreadState = sim.get_state(threads[1], &[]);
    other.vectors.copy_from_slice(&vectors);
    assert_eq!(sim.set_state(threads[1], &other, group::VECTORS, &[]), Status::Success);
    flobs
}

/// What the other calls tell of a flob.
fn told(sim: &mut Sim, memory: u64, region: u64, (place, kind): (u64, FlobKind)) -> Record {
    let offset = place - memory;
    let mut head =
        Exported { offset, kind: kind as u32, size: (HEAD + state_size(kind)) as u32, ..Exported::default() };
    let links: Vec<u64> = kind.links().iter().map(|_| sim.null()).collect();
    let state = if kind == FlobKind::Reference {
        sim.ok(Call::ReferenceCopy, &[place, links[0]]);
        Vec::new()
    } else {
        sim.get_raw(kind, place, &links)
    };
    for (index, reference) in links.into_iter().enumerate().filter(|(_, reference)| *reference != 0) {
        let end = sim.try_call(Call::ReferenceLocate, &[reference, region]).expect("a status");
        let hash = sim.try_call(Call::ReferenceHash, &[reference]).expect("a status").rdi;
        let is_inside = end.rax == Status::Success as u64;
        head.links[index] = if is_inside { end.rdi } else { hash };
        head.inside |= u64::from(is_inside) << index;
        sim.ok(Call::ReferenceDestroy, &[reference]);
    }
    (head, state)
}

#[test]
fn what_is_exported_is_what_other_calls_tell() {
    let mut random = Random::new("export");
    for _ in 0..rounds(20) {
        let mut sim = Sim::new();
        let memory = sim.pages(PAGES as u32);
        let (region, to_region) = sim.make_region(ROOT_SPACE, memory, PAGES * PAGE_SIZE, Protection::NONE, 0);
        let flobs = populate(&mut sim, memory, &mut random);
        let [.., (last, FlobKind::Reference)] = flobs[..] else { continue };
        sim.ok(Call::ReferenceCopy, &[to_region, last]);
        let room = Exported::size_of(FlobKind::Thread) as u64 + random.below(3000);
        let records = export(&mut sim, region, PAGES * PAGE_SIZE, room, 0);
        assert_eq!(records.len(), flobs.len());
        for kind in FlobKind::ALL {
            let of_kind: Vec<_> =
                records.iter().filter(|(head, _)| head.kind == kind as u32).cloned().collect();
            assert_eq!(export(&mut sim, region, PAGES * PAGE_SIZE, room, kind as u64), of_kind, "{kind:?}");
        }
        for (flob, (head, state)) in flobs.into_iter().zip(records) {
            let (mut wanted, wanted_state) = told(&mut sim, memory, region, flob);
            if flob.0 == last {
                (wanted.inside, wanted.links[0]) = (1, Exported::ITSELF);
            }
            assert_eq!(head, wanted);
            if flob.1 != FlobKind::Reference {
                assert_eq!(state, wanted_state, "{flob:?}");
            }
        }
    }
}

#[test]
fn exporting_stops_threads_and_tells_who_ran() {
    let mut sim = Sim::new();
    let thread = sim.spawn(3, Program::new().op(Op::Jump(0)));
    let (region, _) = sim.make_region(ROOT_SPACE, thread, PAGE_SIZE, Protection::NONE, 0);
    let flags = |sim: &mut Sim| {
        let (_, state) = &export(sim, region, PAGE_SIZE, 2000, 0)[0];
        ThreadState::read_from_bytes(state).expect("a state").flags & thread_flag::STOPPED
    };
    sim.resume(thread);
    assert_eq!((flags(&mut sim), flags(&mut sim)), (0, thread_flag::STOPPED));
}

/// Where it cannot be told from one piece of memory, a link inside is one whose offset is to be asked for.
#[test]
fn in_memory_of_several_pieces_links_are_hashes() {
    let mut sim = Sim::new();
    let memory = sim.pages(4);
    let (_, to_memory) = sim.make_region(ROOT_SPACE, memory, 4 * PAGE_SIZE, Protection::ALL, 0);
    let (_, space) = sim.make_space(20, None);
    for (from, to) in [(2, 1), (0, 2)] {
        sim.make_mapping(to_memory, space, (from * PAGE_SIZE, to * PAGE_SIZE, PAGE_SIZE), Protection::ALL);
    }
    let (region, _) = sim.make_region(space, PAGE_SIZE, 2 * PAGE_SIZE, Protection::ALL, 0);
    sim.ok(Call::PortCreate, &[memory, 77]);
    sim.create_at(FlobKind::Reference, memory + 2 * PAGE_SIZE);
    sim.ok(Call::PortReference, &[memory, memory + 2 * PAGE_SIZE]);
    let records = export(&mut sim, region, 2 * PAGE_SIZE, 2000, 0);
    let [(reference, _), (port, _)] = &records[..] else { panic!("{records:?}") };
    assert_eq!((reference.offset, reference.inside, reference.links[0]), (0, 0, 77));
    assert_eq!((port.offset, port.kind), (PAGE_SIZE, FlobKind::Port as u32));
}

#[test]
fn bad_ranges_rooms_and_oneself_are_told() {
    let mut sim = Sim::new();
    let memory = sim.pages(2);
    sim.create_at(FlobKind::Port, memory);
    let (region, _) = sim.make_region(ROOT_SPACE, memory, 2 * PAGE_SIZE, Protection::ALL, 0);
    let (scratch, driver) = (sim.scratch(), sim.driver_address());
    assert_eq!(sim.wrong(Call::RegionExport, &[region, 8, u64::MAX, scratch, 1000]), Misuse::InvalidAddress);
    assert_eq!(sim.wrong(Call::RegionExport, &[region, 0, PAGE_SIZE, 1 << 50, 1000]), Misuse::InvalidAddress);
    // Too little room: nothing is done.
    let room = Exported::size_of(FlobKind::Port) as u64 - 1;
    let end = sim.try_call(Call::RegionExport, &[region, 0, PAGE_SIZE, scratch, room]).expect("a status");
    assert_eq!((end.rax, end.rsi, end.rdx, end.r8), (0, 0, PAGE_SIZE, room));
    let (own, _) = sim.make_region(ROOT_SPACE, driver, PAGE_SIZE, Protection::ALL, 0);
    assert_eq!(sim.wrong(Call::RegionExport, &[own, 0, PAGE_SIZE, scratch, 2000]), Misuse::CurrentThread);
}

/// A region that can be read only does not show states: who may not write the flob may not have them.
#[test]
fn who_may_only_read_the_region_may_search_it_and_not_export() {
    let mut sim = Sim::new();
    let (region, page) = (sim.page(), sim.page());
    sim.create_at(FlobKind::Region, region);
    let links = [ROOT_SPACE];
    let state = flob_abi::RegionState { start: page, size: PAGE_SIZE, ..Default::default() };
    sim.set(region, &state, &links);
    let (_, to_page) = sim.make_region(ROOT_SPACE, region, PAGE_SIZE, Protection::READ, 0);
    let (_, space) = sim.make_space(20, None);
    let (_, to_code) = sim.make_region(ROOT_SPACE, page, PAGE_SIZE, Protection::ALL, 0);
    sim.make_mapping(to_page, space, (0, 0x40_0000, PAGE_SIZE), Protection::ALL);
    sim.make_mapping(to_code, space, (0, 0x50_0000, PAGE_SIZE), Protection::ALL);
    let call =
        |call| Program::new().call(call, &[0x40_0000, 0, PAGE_SIZE, 0x50_0000, 64]).output(1, Rax).end();
    sim.spawn_in(space, 3, call(Call::RegionSearch));
    let exporter = sim.spawn_in(space, 3, call(Call::RegionExport));
    sim.run_out();
    assert_eq!(sim.output.get(&1), Some(&Vec::from([0])), "only the search has come to an end");
    assert_eq!(sim.stop(exporter).exception.code, flob_abi::ExceptionCode::PageFault as u32);
}

/// What the levels above a region do not let be written cannot be exported either: a region of one's own opens nothing.
#[test]
fn memory_that_may_only_be_read_is_not_exported() {
    for (protection, count) in [(Protection::READ, 0), (Protection::READ_WRITE, 1)] {
        let mut sim = Sim::new();
        let thread = sim.spawn(3, Program::new().op(Op::Jump(0)));
        sim.resume(thread);
        let (_, to_thread) = sim.make_region(ROOT_SPACE, thread, PAGE_SIZE, Protection::ALL, 0);
        let (_, space) = sim.make_space(20, None);
        sim.make_mapping(to_thread, space, (0, PAGE_SIZE, PAGE_SIZE), protection);
        let (region, _) = sim.make_region(space, PAGE_SIZE, PAGE_SIZE, Protection::ALL, 0);
        assert_eq!(export(&mut sim, region, PAGE_SIZE, 2000, 0).len(), count);
        let id = sim.kernel.thread_at(thread);
        assert_eq!(sim.kernel.thread(id).is_stopped(), count == 1);
    }
}

/// What a nester exports of memory that a level above its own denies to be written: the kinds of the flobs there.
fn exported_in_spite_of_a_denial(has_keeper: bool) -> Vec<u32> {
    let mut sim = Sim::new();
    let (memory, buffer) = (sim.pages(2), sim.page());
    sim.create_at(FlobKind::Mutex, memory + 512);
    sim.create_at(FlobKind::Thread, memory + PAGE_SIZE);
    let (set, port) = sim.make_port(1);
    let keeper = if has_keeper { sim.reference(port, FlobKind::Port) } else { 0 };
    let page = sim.page();
    sim.spawn(9, lifter(set, page, None));
    let (_, outer) = sim.make_region(ROOT_SPACE, memory, 2 * PAGE_SIZE, Protection::READ, keeper);
    let (_, space) = sim.make_space(20, None);
    let at = 0x40_0000;
    sim.make_mapping(outer, space, (0, at, 2 * PAGE_SIZE), Protection::ALL);
    let (inner, _) = sim.make_region(space, at, 2 * PAGE_SIZE, Protection::READ, 0);
    let (_, own) = sim.make_region(ROOT_SPACE, memory, 40 * PAGE_SIZE, Protection::ALL, 0);
    sim.make_mapping(own, space, (0, memory, 40 * PAGE_SIZE), Protection::ALL);
    let registers = [(Rdi, inner), (Rsi, 0), (Rdx, 2 * PAGE_SIZE), (R10, buffer), (R8, PAGE_SIZE)];
    let program = Program::new().raw_call(Call::RegionExport as u64, &registers);
    sim.spawn_in(space, 5, program.output(0, Rax).output(0, R8).end());
    sim.run(3000);
    let [status, left] = sim.said(0)[..] else { panic!("it does not come back") };
    assert_eq!(status, Status::Success as u64);
    let bytes = sim.read(buffer, (PAGE_SIZE - left) as usize);
    let (mut rest, mut kinds) = (&bytes[..], Vec::new());
    while let Ok((head, _)) = Exported::read_from_prefix(rest) {
        kinds.push(head.kind);
        rest = &rest[head.size as usize..];
    }
    kinds
}

#[test]
fn a_denial_that_its_keeper_lifts_hides_nothing_from_an_export() {
    assert_eq!(exported_in_spite_of_a_denial(true), [FlobKind::Mutex as u32, FlobKind::Thread as u32]);
    assert_eq!(exported_in_spite_of_a_denial(false), [0_u32; 0], "nobody can lift it");
}
