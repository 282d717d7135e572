//! `epoch_begin` and `region_dirty`: no write is missed, whoever made it; nothing is cleared; a clean page is clean.

use std::collections::BTreeSet;
use std::vec::Vec;

use flob_abi::call::Dirty;
use flob_abi::exception::reply_action;
use flob_abi::{Call, FlobKind, MappingState, Misuse, PAGE_SIZE, Protection, RegionState, ThreadState, ipc};
use zerocopy::FromBytes;

use super::program::*;
use super::random::{Random, rounds};
use super::sim::{ROOT_SPACE, Sim};
use super::talk::*;
use crate::Kernel;
use crate::record::FlobId;
use crate::simulated::Simulated;

const AT: u64 = 0x40_0000;
const ALL: Protection = Protection::ALL;

impl Sim {
    fn epoch(&mut self) -> u64 {
        // An epoch lasts a millisecond at least.
        self.kernel.machine().pass(1_000_000);
        self.try_call(Call::EpochBegin, &[]).expect("a number").rdi
    }

    /// The dirty pages of a region, asked for with room for so many entries at a time.
    fn dirty(&mut self, region: u64, size: u64, since: u64, entries: u64) -> Vec<u64> {
        let scratch = self.scratch();
        let (mut offset, mut left, mut pages) = (0, size, Vec::new());
        while left > 0 {
            let end = self
                .try_call(Call::RegionDirty, &[region, offset, left, scratch, entries, since])
                .expect("a status");
            assert!(end.rsi > offset, "there is progress");
            (offset, left) = (end.rsi, end.rdx);
            for entry in self.read(scratch, 16 * (entries - end.r8) as usize).chunks(16) {
                let Dirty { offset, size } = Dirty::read_from_bytes(entry).expect("an entry");
                assert!(offset % PAGE_SIZE == 0 && size % PAGE_SIZE == 0 && size > 0);
                pages.extend(
                    (offset..offset + size).step_by(PAGE_SIZE as usize).map(|offset| offset / PAGE_SIZE),
                );
            }
        }
        pages
    }
}

/// Memory of so many pages, seen by a space two levels down; the region at its top, the space, the lower mapping and region.
struct Watched {
    sim: Sim,
    memory: u64,
    size: u64,
    region: u64,
    space: u64,
    mapping: u64,
    inner: u64,
}

fn watched(pages: u32) -> Watched {
    let mut sim = Sim::sized(pages + 500);
    let memory = sim.pages(pages);
    let size = u64::from(pages) * PAGE_SIZE;
    let (region, to_region) = sim.make_region(ROOT_SPACE, memory, size, ALL, 0);
    let (_, middle) = sim.make_space(20, None);
    let mapping = sim.make_mapping(to_region, middle, (0, AT, size), ALL);
    let (inner, to_inner) = sim.make_region(middle, AT, size, ALL, 0);
    let (_, space) = sim.make_space(20, None);
    sim.make_mapping(to_inner, space, (0, AT, size), ALL);
    Watched { sim, memory, size, region, space, mapping, inner }
}

impl Watched {
    fn dirty(&mut self, since: u64) -> Vec<u64> {
        let all = self.sim.dirty(self.inner, self.size, since, 100);
        assert_eq!(all, self.sim.dirty(self.inner, self.size, since, 1), "taken up again and again");
        all
    }

    /// A program of the watched space runs to its end.
    fn run(&mut self, program: Program) {
        self.sim.spawn_in(self.space, 5, program.end());
        self.sim.run_out();
    }

    fn write(&mut self, page: u64) {
        self.run(Program::new().set(R14, AT + page * PAGE_SIZE).set(R15, 7).op(Op::Store(R14, 8, R15)));
    }

    fn kernel_and_space(&mut self) -> (&Kernel<Simulated>, FlobId) {
        let kernel = &mut self.sim.kernel;
        let root = kernel.root.expect("a first space");
        let space = kernel.find_target(root, self.space).expect("a reference").expect("a space");
        (kernel, space)
    }

    /// The pages for which there is a translation.
    fn entered(&mut self) -> Vec<u64> {
        let pages = self.size / PAGE_SIZE;
        let (kernel, space) = self.kernel_and_space();
        // One more on both sides.
        let is_entered = |page: &u64| {
            kernel.entered((space, AT - PAGE_SIZE + page * PAGE_SIZE), Protection::NONE).is_some()
        };
        (0..pages + 2).filter(is_entered).map(|page| page.wrapping_sub(1)).collect()
    }

    fn read(&mut self, page: u64) {
        self.run(Program::new().set(R14, AT + page * PAGE_SIZE).op(Op::Load(R15, R14, 8)));
    }
}

#[test]
fn writes_are_seen_reads_are_not_and_watchers_do_not_disturb_each_other() {
    let mut this = watched(40);
    let first = this.sim.epoch();
    this.read(3);
    this.write(5);
    this.read(5);
    let second = this.sim.epoch();
    this.write(38);
    this.read(5);
    assert_eq!(this.dirty(first), [5, 38]);
    assert_eq!(this.dirty(second), [38]);
    let third = this.sim.epoch();
    assert_eq!((this.dirty(third), this.dirty(first)), (Vec::new(), [5, 38].to_vec()));
    // The region at the top sees the same.
    assert_eq!(this.sim.dirty(this.region, this.size, second, 10), [38]);
    this.write(38);
    assert_eq!(this.dirty(third), [38]);
}

#[test]
fn a_page_that_stays_mapped_is_seen_in_each_epoch_in_which_it_is_written() {
    let mut this = watched(4);
    let program = Program::new().set(R14, AT);
    let again = program.here();
    let program =
        program.op(Op::Load(R15, R14, 0)).op(Op::Add(R15, 1)).op(Op::Store(R14, 0, R15)).op(Op::Jump(again));
    this.sim.spawn_in(this.space, 5, program);
    for _ in 0..5 {
        let epoch = this.sim.epoch();
        assert_eq!(this.dirty(epoch), [0_u64; 0]);
        this.sim.run(40);
        assert_eq!(this.dirty(epoch), [0]);
    }
}

#[test]
fn the_kernels_own_writes_are_seen() {
    let mut this = watched(16);
    let epoch = this.sim.epoch();
    let (memory, sim) = (this.memory, &mut this.sim);
    let (set, port) = sim.make_port(1);
    let to_port = sim.reference(port, FlobKind::Port);
    let from = sim.page();
    // A message into pages 2 and 3, one way into 5, words into 7.
    for (page, bytes, steps) in
        [(2, 5000, ipc::CLIENT_CALL), (5, 8, ipc::ONE_WAY_SEND), (7, 64, ipc::CLIENT_CALL | ipc::SHORT)]
    {
        let wait = words(set, (0, 0), (memory + page * PAGE_SIZE + 8, 6000));
        sim.spawn(5, Program::new().raw_call(ipc::SERVER_WAIT, &wait).end());
        sim.spawn(4, Program::new().raw_call(steps, &words(to_port, (from, bytes), (0, 0))).end());
        sim.run_out();
    }
    // State into page 9, what a search finds into page 11.
    let thread = sim.spawn(1, Program::new().end());
    sim.ok(Call::ThreadGetState, &[thread, memory + 9 * PAGE_SIZE, 0, 1]);
    let root = sim.reference(port, FlobKind::Port);
    let (region, _) = sim.make_region(ROOT_SPACE, root & !(PAGE_SIZE - 1), PAGE_SIZE, ALL, 0);
    sim.ok(Call::RegionSearch, &[region, 0, PAGE_SIZE, memory + 11 * PAGE_SIZE, 4]);
    assert_eq!(this.dirty(epoch), [2, 3, 5, 7, 9, 11]);
}

#[test]
fn an_epoch_of_elsewhere_finds_everything_dirty() {
    let mut this = watched(5);
    let epoch = this.sim.epoch();
    assert_eq!(this.dirty(epoch), [0_u64; 0]);
    for foreign in [0, 1, epoch + 1, u64::MAX, epoch - (1 << 32), epoch + (1 << 32)] {
        assert_eq!(this.dirty(foreign), [0, 1, 2, 3, 4], "{foreign:#x}");
    }
}

#[test]
fn epochs_are_not_shorter_than_a_millisecond() {
    let mut this = watched(5);
    let epoch = this.sim.epoch();
    this.write(1);
    assert_eq!(this.sim.try_call(Call::EpochBegin, &[]).expect("a number").rdi, epoch);
    assert_eq!(this.dirty(epoch), [1]);
    assert_eq!(this.sim.epoch(), epoch + 1);
}

#[test]
fn other_memory_in_its_place_is_dirty_and_another_protection_is_not() {
    let mut this = watched(4);
    let epoch = this.sim.epoch();
    this.sim.ok(Call::RegionProtect, &[this.inner, 1]);
    this.sim.ok(Call::RegionProtect, &[this.inner, 7]);
    this.sim.ok(Call::MappingProtect, &[this.mapping, 1]);
    this.sim.ok(Call::MappingProtect, &[this.mapping, 7]);
    assert_eq!(this.dirty(epoch), [0_u64; 0]);
    let state: MappingState = this.sim.get_state(this.mapping, &[]);
    this.sim.set(this.mapping, &MappingState { offset: PAGE_SIZE, ..state }, &[]);
    assert_eq!(this.dirty(epoch), [0, 1, 2, 3]);
    let epoch = this.sim.epoch();
    assert_eq!(this.dirty(epoch), [0_u64; 0]);
    let state: RegionState = this.sim.get_state(this.region, &[]);
    this.sim.set(this.region, &RegionState { start: state.start - PAGE_SIZE, ..state }, &[]);
    assert_eq!(this.dirty(epoch), [0, 1, 2, 3]);
    // What a destroyed mapping hid is seen now.
    let epoch = this.sim.epoch();
    this.sim.ok(Call::MappingDestroy, &[this.mapping]);
    assert_eq!(this.dirty(epoch), [0, 1, 2, 3]);
}

#[test]
fn a_lifted_page_that_is_written_is_dirty() {
    let mut this = watched(3);
    let (set, port) = this.sim.make_port(1);
    let keeper = this.sim.reference(port, FlobKind::Port);
    let page = this.sim.page();
    let state: RegionState = this.sim.get_state(this.inner, &[]);
    this.sim.set(this.inner, &RegionState { protection: 1, ..state }, &[0, keeper]);
    let lift = u64::from(reply_action::LIFT) | u64::from(Protection::WRITE.0) << 32;
    let program = Program::new().raw_call(ipc::SERVER_WAIT, &words(set, (0, 0), (page, 40)));
    let again = program.here();
    let program = program.set(R14, page).op(Op::Load(R15, R14, 0)).op(Op::Store(R14, 64, R15)).set(R15, lift);
    let program = program.op(Op::Store(R14, 72, R15)).set(R14, 0).set(R15, 0);
    let program = program.raw_call(ipc::SERVER_REPLY, &words(set, (page + 64, 16), (page, 40)));
    this.sim.spawn(6, program.op(Op::Jump(again)));
    let epoch = this.sim.epoch();
    let program = Program::new().set(R14, AT + PAGE_SIZE).op(Op::Store(R14, 0, R14));
    // Its end would be lifted for ever: it sleeps.
    let sleep = this.sim.spawn_in(this.space, 5, program.call(Call::InterruptWait, &[9]));
    this.sim.run(300);
    assert_eq!(this.sim.read_word(this.memory + PAGE_SIZE), AT + PAGE_SIZE);
    assert_eq!(this.dirty(epoch), [1]);
    let _: ThreadState = this.sim.get_state(sleep, &[]);
}

#[test]
fn misuse_of_region_dirty() {
    let mut this = watched(2);
    let scratch = this.sim.scratch();
    let (region, mapping) = (this.region, this.mapping);
    assert_eq!(this.sim.wrong(Call::RegionDirty, &[mapping, 0, 1, scratch, 1, 0]), Misuse::WrongKind);
    assert_eq!(
        this.sim.wrong(Call::RegionDirty, &[region, 8, u64::MAX, scratch, 1, 0]),
        Misuse::InvalidAddress
    );
    assert_eq!(this.sim.wrong(Call::RegionDirty, &[region, 0, 4096, 1 << 50, 1, 0]), Misuse::InvalidAddress);
    // Beyond the region is nothing, and that is found at once.
    let end = this.sim.try_call(Call::RegionDirty, &[region, 0, 1 << 60, scratch, 9, 0]).expect("a status");
    assert_eq!((end.rax, end.rsi, end.rdx, end.r8), (0, 1 << 60, 0, 8));
}

/// Memory in two pieces, the second seen first: a run ends where a piece does, and its pages are told where they are seen.
#[test]
fn pages_of_several_pieces_are_told_each_in_its_place() {
    let mut this = watched(200);
    let (size, half) = (this.size, this.size / 2);
    let to_region = this.sim.reference(this.region, FlobKind::Region);
    let (_, middle) = this.sim.make_space(20, None);
    this.sim.make_mapping(to_region, middle, (half, AT, half), ALL);
    this.sim.make_mapping(to_region, middle, (0, AT + half, half), ALL);
    let (turned, _) = this.sim.make_region(middle, AT, size, ALL, 0);
    let epoch = this.sim.epoch();
    for page in [0, 98, 99, 100, 101, 199] {
        this.write(page);
    }
    assert_eq!(this.sim.dirty(turned, size, epoch, 100), [0, 1, 99, 100, 198, 199]);
    assert_eq!(this.dirty(epoch), [0, 98, 99, 100, 101, 199]);
}

/// What was not written is passed over many pages at a time: a large program is not asked about for longer than a small one.
#[test]
fn clean_pages_in_one_piece_are_passed_over_at_once() {
    let mut this = watched(1500);
    let epoch = this.sim.epoch();
    let scratch = this.sim.scratch();
    crate::arena::take_looks();
    this.sim.ok(Call::RegionDirty, &[this.inner, 0, this.size, scratch, 4, epoch]);
    let looks = crate::arena::take_looks();
    assert!(looks < 500, "{looks} looks at records");
}

/// What is entered for who reads on allows nothing but that, ends where the memory does, and hides no write.
#[test]
fn who_reads_pages_in_a_row_gets_some_at_once() {
    let mut this = watched(40);
    let epoch = this.sim.epoch();
    this.read(20);
    assert_eq!(this.entered(), [20], "one page is no row");
    this.read(3);
    this.read(4);
    let ahead = [3].into_iter().chain(4..20).chain([20]).collect::<Vec<_>>();
    assert_eq!(this.entered(), ahead);
    let (kernel, space) = this.kernel_and_space();
    let writable = |page: &u64| kernel.entered((space, AT + page * PAGE_SIZE), Protection::WRITE).is_some();
    assert!(!ahead.iter().any(writable));
    this.write(7);
    assert_eq!(this.dirty(epoch), [7]);
    this.read(38);
    this.read(39);
    assert_eq!(this.entered().last(), Some(&39));
    // Once it is denied, nothing of it is left.
    this.sim.ok(Call::RegionProtect, &[this.inner, Protection::NONE.0.into()]);
    assert!(this.entered().is_empty());
}

/// It sees its own memory through no region, and each page that it read was a fault.
#[test]
fn the_first_space_gets_some_at_once_of_its_own_memory() {
    let mut sim = Sim::sized(500);
    let memory = sim.pages(40);
    sim.epoch();
    for page in [20, 3, 4] {
        let program = Program::new().set(R14, memory + page * PAGE_SIZE).op(Op::Load(R15, R14, 8));
        sim.spawn(5, program.end());
        sim.run_out();
    }
    let root = sim.kernel.root.expect("a first space");
    let is_entered =
        |page: &u64| sim.kernel.entered((root, memory + page * PAGE_SIZE), Protection::NONE).is_some();
    assert_eq!((0..40).filter(is_entered).collect::<Vec<_>>(), (3..=20).collect::<Vec<_>>());
}

/// Random reads and writes by programs and by the kernel, epochs and amnesia: exactly the written pages are dirty.
#[test]
fn exactly_what_was_written_is_dirty() {
    let mut seeds = Random::new("dirty");
    for _ in 0..rounds(8) {
        let seed = seeds.next();
        std::println!("round with seed {seed}");
        let mut random = Random::seeded(seed);
        // Some are looked at in one go, some are not.
        let pages = [12, 300][random.below(2) as usize];
        let mut this = watched(pages as u32);
        let thread = this.sim.spawn(1, Program::new().end());
        let mut epochs: Vec<(u64, BTreeSet<u64>)> = Vec::new();
        for _ in 0..60 {
            let page = random.below(pages);
            match random.below(6) {
                0 => epochs.push((this.sim.epoch(), BTreeSet::new())),
                1 => this.read(page),
                2 => this.sim.kernel.forget_derived(),
                3 => {
                    this.sim.ok(Call::ThreadGetState, &[thread, this.memory + page * PAGE_SIZE, 0, 1]);
                    epochs.iter_mut().for_each(|(_, written)| written.extend([page]));
                }
                _ => {
                    this.write(page);
                    epochs.iter_mut().for_each(|(_, written)| written.extend([page]));
                }
            }
        }
        for (epoch, written) in epochs {
            assert_eq!(this.dirty(epoch), written.into_iter().collect::<Vec<_>>());
        }
    }
}
