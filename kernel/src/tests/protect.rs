//! `region_protect`, `mapping_protect` and `reference_check`.

use flob_abi::{
    Call, ExceptionCode, FlobKind, MappingState, Misuse, PAGE_SIZE, Protection, RegionState, Status,
};

use super::program::*;
use super::sim::{ROOT_SPACE, Sim};

const AT: u64 = 0x40_0000;

/// A thread that counts in memory, four levels below the first space; the regions and mappings from the top down.
fn counter(sim: &mut Sim) -> (u64, std::vec::Vec<(u64, u64)>) {
    let memory = sim.page();
    let (mut outer, mut start) = (ROOT_SPACE, memory);
    let mut levels = std::vec::Vec::new();
    for _ in 0..4 {
        let (region, to_region) = sim.make_region(outer, start, PAGE_SIZE, Protection::ALL, 0);
        let (_, space) = sim.make_space(20, None);
        let mapping = sim.make_mapping(to_region, space, (0, AT, PAGE_SIZE), Protection::ALL);
        levels.push((region, mapping));
        (outer, start) = (space, AT);
    }
    let program = Program::new().set(R14, AT);
    let again = program.here();
    let program = program.op(Op::Load(R15, R14, 0)).op(Op::Add(R15, 1)).op(Op::Store(R14, 0, R15));
    let thread = sim.spawn_in(outer, 5, program.output(0, R15).op(Op::Jump(again)));
    (thread, levels)
}

#[test]
fn a_change_of_protection_reaches_every_descendant_at_once_and_can_be_taken_back() {
    for level in 0..4 {
        for of_region in [true, false] {
            let mut sim = Sim::new();
            let (thread, levels) = counter(&mut sim);
            let (region, mapping) = levels[level];
            let (call, flob) =
                if of_region { (Call::RegionProtect, region) } else { (Call::MappingProtect, mapping) };
            sim.run(50);
            let before = sim.said(0).len();
            assert!(before > 5);
            sim.ok(call, &[flob, u64::from(Protection::READ.0)]);
            sim.run_out();
            assert!(sim.said(0).len() <= before + 1, "level {level}: the round at hand at most");
            let state = sim.stop(thread);
            assert_eq!(state.exception.code, ExceptionCode::PageFault as u32);
            assert_eq!(state.exception.access, Protection::WRITE.0);
            sim.ok(call, &[flob, u64::from(Protection::ALL.0)]);
            // The fault finds its page when it is asked about again.
            sim.resume(thread);
            sim.run(50);
            assert!(sim.said(0).len() > before + 1, "level {level}");
            sim.ok(call, &[flob, 0]);
            sim.run_out();
            let state = sim.stop(thread);
            assert_eq!(state.exception.code, ExceptionCode::PageFault as u32, "nothing at all is allowed");
        }
    }
}

#[test]
fn protect_changes_the_one_field_and_nothing_else() {
    let mut sim = Sim::new();
    let (_, levels) = counter(&mut sim);
    let (region, mapping) = levels[2];
    let (space, keeper) = (sim.null(), sim.null());
    let before: RegionState = sim.get_state(region, &[space, keeper]);
    sim.ok(Call::RegionProtect, &[region, 1]);
    let (after_space, after_keeper) = (sim.null(), sim.null());
    let after: RegionState = sim.get_state(region, &[after_space, after_keeper]);
    assert_eq!(after, RegionState { protection: 1, ..before });
    assert!(sim.same(space, after_space) && sim.same(keeper, after_keeper));
    let before: MappingState = sim.get_state(mapping, &[]);
    sim.ok(Call::MappingProtect, &[mapping, 5]);
    assert_eq!(sim.get_state::<MappingState>(mapping, &[]), MappingState { protection: 5, ..before });
}

#[test]
fn misuse_of_protect() {
    let mut sim = Sim::new();
    let (_, levels) = counter(&mut sim);
    let (region, mapping) = levels[0];
    for (call, flob, other) in
        [(Call::RegionProtect, region, mapping), (Call::MappingProtect, mapping, region)]
    {
        for bits in [8, 0x1_0000_0000, u64::MAX] {
            assert_eq!(sim.wrong(call, &[flob, bits]), Misuse::InvalidProtection);
        }
        assert_eq!(sim.wrong(call, &[other, 1]), Misuse::WrongKind);
        assert_eq!(sim.wrong(call, &[flob + 8, 1]), Misuse::NotAligned);
        let nowhere = sim.page();
        assert_eq!(sim.wrong(call, &[nowhere, 1]), Misuse::NoFlob);
    }
}

#[test]
fn a_reference_is_checked() {
    let mut sim = Sim::new();
    let port = sim.make(FlobKind::Port);
    let (null, reference) = (sim.null(), sim.reference(port, FlobKind::Port));
    assert_eq!(sim.call(Call::ReferenceCheck, &[null]), Status::NullReference);
    assert_eq!(sim.call(Call::ReferenceCheck, &[reference]), Status::Success);
    sim.ok(Call::PortDestroy, &[port]);
    assert_eq!(sim.call(Call::ReferenceCheck, &[reference]), Status::NullReference);
    sim.create_at(FlobKind::Port, port);
    assert_eq!(
        sim.call(Call::ReferenceCheck, &[reference]),
        Status::NullReference,
        "another port is there now"
    );
    assert_eq!(sim.wrong(Call::ReferenceCheck, &[port]), Misuse::WrongKind);
}
