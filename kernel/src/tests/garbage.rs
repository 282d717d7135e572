//! Garbage: random bytes and links into every kind's `set_state`, random calls with random arguments, beside a bystander
//! that computes a checksum. Nothing panics or hangs, and the bystander's sum is right.

use std::vec;
use std::vec::Vec;

use flob_abi::{Call, FlobKind, PAGE_SIZE, Protection, Registers, ThreadState, group, ipc, thread_flag};

use super::program::*;
use super::random::{Random, rounds};
use super::sim::Sim;

/// Memory of the garbage program, and where it sees it.
const PAGES: u64 = 24;
const AT: u64 = 0x40_0000;
/// Rounds of the bystander.
const SUM_ROUNDS: u64 = 200;

struct Garbage {
    sim: Sim,
    random: Random,
    memory: u64,
    /// Where a `syscall` instruction is.
    entry: u64,
    /// Threads of the driver that make random calls in the garbage space.
    callers: Vec<u64>,
    references: Vec<u64>,
}

/// A bystander in a space of its own: adds numbers up in memory, under a mutex, with calls in between.
fn bystander(sim: &mut Sim) {
    let memory = sim.pages(2);
    let (_, region) = sim.make_region(super::sim::ROOT_SPACE, memory, 2 * PAGE_SIZE, Protection::ALL, 0);
    let (_, space) = sim.make_space(20, None);
    sim.make_mapping(region, space, (0, AT, 2 * PAGE_SIZE), Protection::ALL);
    sim.create_at(FlobKind::Mutex, memory);
    let program = Program::new().rounds(AT + PAGE_SIZE, SUM_ROUNDS, |program| {
        program
            .call(Call::MutexLock, &[AT])
            .set(R14, AT + PAGE_SIZE)
            .op(Op::Load(R15, R14, 8))
            .op(Op::Add(R15, 3))
            .op(Op::Store(R14, 8, R15))
            .call(Call::MutexUnlock, &[AT])
    });
    let program = program.set(R14, AT + PAGE_SIZE).op(Op::Load(R15, R14, 8)).output(0, R15).end();
    sim.spawn_in(space, 5, program);
}

fn garbage(seed: u64) -> Garbage {
    let mut sim = Sim::new();
    bystander(&mut sim);
    let memory = sim.pages(PAGES as u32);
    let size = PAGES * PAGE_SIZE;
    let (_, region) = sim.make_region(super::sim::ROOT_SPACE, memory, size, Protection::ALL, 0);
    let (_, space) = sim.make_space(10, None);
    sim.make_mapping(region, space, (0, AT, size), Protection::ALL);
    let entry = sim.load(Program::new().op(Op::Syscall).end());
    let mut this = Garbage {
        sim,
        entry,
        random: Random::seeded(seed),
        memory,
        callers: Vec::new(),
        references: vec![region, space],
    };
    this.populate(space);
    this
}

impl Garbage {
    /// Flobs of all kinds in the garbage memory, and references to them. Page 0 is left for bytes.
    fn populate(&mut self, space: u64) {
        for page in 1..PAGES - 6 {
            let place = self.memory + page * PAGE_SIZE;
            for granule in 0..8 {
                let kind = self.random.pick(&FlobKind::ALL);
                if kind != FlobKind::Thread && self.random.chance(2) {
                    self.sim.create_at(kind, place + granule * 512);
                    self.remember(place + granule * 512, kind);
                }
            }
        }
        for page in PAGES - 6..PAGES {
            let place = self.memory + page * PAGE_SIZE;
            self.sim.create_at(FlobKind::Thread, place);
            self.remember(place, FlobKind::Thread);
            let entry = self.entry;
            let state = ThreadState {
                registers: Registers { rip: entry, ..Registers::default() },
                priority: 5,
                ..ThreadState::default()
            };
            let status = self.sim.set_state(place, &state, group::ALL & !group::VECTORS, &[space]);
            assert_eq!(status, flob_abi::Status::Success);
            self.callers.push(place);
        }
    }

    fn remember(&mut self, place: u64, kind: FlobKind) {
        if !matches!(kind, FlobKind::Reference | FlobKind::Mapping) {
            let reference = self.sim.reference(place, kind);
            self.references.push(reference);
        }
    }

    /// An address that often means something.
    fn address(&mut self, base: u64) -> u64 {
        let random = &mut self.random;
        match random.below(8) {
            0 => random.next(),
            1 => {
                random.pick(&[0, 1, u64::MAX, 0x7fff_ffff_f000, 0x7fff_ffff_efff, 0x8000_0000_0000, !0 << 47])
            }
            2 => base + random.below(PAGES * PAGE_SIZE),
            3 => base + (1 + random.below(PAGES - 1)) * PAGE_SIZE,
            _ => base + PAGE_SIZE + random.below((PAGES - 1) * 8) * 512,
        }
    }

    fn word(&mut self, base: u64) -> u64 {
        match self.random.below(4) {
            0 => self.random.below(40),
            1 => self.random.below(64) * PAGE_SIZE,
            _ => self.address(base),
        }
    }

    fn number(&mut self) -> u64 {
        match self.random.below(10) {
            0 => self.random.next(),
            1..=4 => {
                let form = self.random.below(2) * ipc::SHORT;
                let call = ipc::IPC | form | self.random.below(ipc::STEPS + 1);
                if ipc::is_valid(call) { call } else { ipc::SERVER_WAIT }
            }
            _ => self.random.pick(Call::ALL) as u64,
        }
    }

    /// Registers with a random call.
    fn registers(&mut self, rip: u64) -> Registers {
        let mut registers = Registers { rip, ..Registers::default() };
        for reg in [Rbx, Rdx, Rsi, Rdi, R8, R9, R10, R12, R13] {
            *reg.of(&mut registers) = self.word(AT);
        }
        for reg in [R14, R15] {
            let address = self.word(AT);
            *reg.of(&mut registers) =
                if self.random.chance(2) { 0 } else { ipc::table(address, self.random.below(5) as u16) };
        }
        registers.rax = self.number();
        registers.rflags = if self.random.chance(8) { self.random.next() } else { 0 };
        registers
    }

    /// Random links for `set_state`.
    fn links(&mut self, kind: FlobKind) -> Vec<u64> {
        let null = self.random.chance(6);
        let pick = |this: &mut Self| match this.random.below(4) {
            0 => 0,
            _ => this.random.pick(&this.references.clone()),
        };
        if null { Vec::new() } else { kind.links().iter().map(|_| pick(self)).collect() }
    }

    /// Half valid bytes into some flob's state.
    fn set_some_state(&mut self) {
        let kind = self.random.pick(&FlobKind::ALL);
        let place = self.address(self.memory);
        if !self.is_there(place, kind) {
            return;
        }
        let mut bytes = vec![0; flob_abi::state_size(kind)];
        for chunk in bytes.chunks_mut(8) {
            let word = match self.random.below(3) {
                0 => 0,
                _ => self.word(AT),
            };
            chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        }
        if kind == FlobKind::Thread {
            // Flags and priority that can be, mostly, so that the rest is reached.
            bytes[8..12].copy_from_slice(&(self.random.below(8) as u32).to_le_bytes());
            bytes[12..16].copy_from_slice(&(self.random.below(32) as u32).to_le_bytes());
        }
        let links = self.links(kind);
        let mask = if self.random.chance(2) { group::ALL } else { self.random.below(group::ALL + 1) };
        self.sim.set_raw(kind, place, if self.random.chance(5) { &[] } else { &bytes }, mask, &links);
    }

    fn is_there(&mut self, place: u64, kind: FlobKind) -> bool {
        let root = self.sim.kernel.root.expect("a first space");
        kind != FlobKind::Reference && self.sim.kernel.find(root, place, kind, Protection::WRITE).is_ok()
    }

    /// A caller gets a random call to make.
    fn call_something(&mut self) {
        let index = self.random.below(self.callers.len() as u64) as usize;
        let caller = self.callers[index];
        if !self.is_there(caller, FlobKind::Thread) {
            return;
        }
        let registers = self.registers(self.entry);
        let flags = if self.random.chance(8) { thread_flag::STOPPED } else { 0 };
        let state = ThreadState { flags, priority: 5, registers, ..ThreadState::default() };
        let mut links = vec![0; 6];
        if !self.random.chance(4) {
            (links[0], links[1]) = (self.references[1], self.sim.null_reference());
        }
        let mask = group::CONTROL
            | group::REGISTERS
            | group::SCHEDULING
            | if self.random.chance(2) { group::EXCEPTION } else { 0 };
        self.sim.set_state(caller, &state, mask, &links);
    }
}

#[test]
fn garbage_ruins_nobody_else() {
    let mut seeds = Random::new("garbage");
    for _ in 0..rounds(60) {
        let seed = seeds.next();
        std::println!("round with seed {seed}");
        let mut this = garbage(seed);
        for _ in 0..150 {
            if this.random.chance(3) {
                this.set_some_state();
            } else {
                this.call_something();
            }
            if this.random.chance(20) {
                this.sim.kernel.forget_derived();
            }
            this.sim.run(60);
        }
        for _ in 0..100 {
            if !this.sim.said(0).is_empty() {
                break;
            }
            this.sim.run(1000);
        }
        assert_eq!(this.sim.said(0), [3 * SUM_ROUNDS], "the bystander is unharmed");
    }
}
