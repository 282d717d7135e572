//! Garbage: `set_state` of every kind and calls with nonsense, half of it almost valid (real state with one field or link
//! off), by the nester and by the program itself, beside a bystander that computes a checksum. Nothing panics or hangs, no
//! space gets what it was not granted, no thread gets what hardware would fault on, and the bystander's sum is right and in
//! time.

use std::vec;
use std::vec::Vec;

use flob_abi::{Call, FlobKind, PAGE_SIZE, Protection, Registers, SpaceState, ThreadState};
use flob_abi::{group, ipc, thread_flag};
use zerocopy::{FromBytes, IntoBytes};

use super::build::common;
use super::bystander::Bystander;
use super::program::*;
use super::random::{Random, rounds};
use super::sim::Sim;

/// Memory of the garbage program, and where it sees it.
const PAGES: u64 = 24;
const AT: u64 = 0x40_0000;
/// The ceiling of the garbage program's space: below the bystander.
const CEILING: u32 = 10;
/// Instructions that the others may execute between two pieces of garbage.
const BETWEEN: u64 = 60;
/// Pieces of garbage until everything is set up anew: most flobs are ruined by then.
const PIECES: u64 = 300;

/// What there was, of what was really done.
#[derive(Default)]
struct Tally {
    /// States and links that are anything.
    any: u64,
    /// Real ones with one word or one link off.
    almost: u64,
    calls: u64,
}

impl Tally {
    fn pieces(&self) -> u64 {
        self.any + self.almost + self.calls
    }
}

struct Garbage {
    sim: Sim,
    bystander: Bystander,
    random: Random,
    memory: u64,
    /// Where a `syscall` instruction is.
    entry: u64,
    /// Threads of the driver that make random calls in the garbage space.
    callers: Vec<u64>,
    references: Vec<u64>,
}

fn garbage(seed: u64) -> Garbage {
    let mut sim = Sim::new();
    sim.checks = false;
    let bystander = Bystander::new(&mut sim);
    let memory = sim.pages(PAGES as u32);
    let size = PAGES * PAGE_SIZE;
    let (_, region) = sim.make_region(super::sim::ROOT_SPACE, memory, size, Protection::ALL, 0);
    let (_, space) = sim.make_space(CEILING, None);
    sim.make_mapping(region, space, (0, AT, size), Protection::ALL);
    let entry = sim.load(Program::new().op(Op::Syscall).end());
    let mut this = Garbage {
        sim,
        bystander,
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
                    if kind == FlobKind::Space {
                        let state = SpaceState { ceiling: CEILING, ..SpaceState::default() };
                        self.sim.set(place + granule * 512, &state, &[]);
                    }
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

    /// Bytes for some kind's state: anything, much of it such that it is taken.
    fn any_state(&mut self, kind: FlobKind) -> Vec<u8> {
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
        bytes
    }

    /// Real state with one word off: another word, one bit or one byte of it.
    fn almost_valid(&mut self, kind: FlobKind, place: u64) -> Vec<u8> {
        let mut bytes = self.sim.get_raw(kind, place, &[]);
        let at = self.random.below(bytes.len() as u64 / 4) as usize * 4;
        let field = &mut bytes[at..at + 4];
        let old = u32::from_le_bytes(field.try_into().expect("four bytes"));
        let new = match self.random.below(4) {
            0 => old ^ 1 << self.random.below(32),
            1 => old.wrapping_add(1),
            2 => u32::MAX,
            _ => self.random.next() as u32,
        };
        field.copy_from_slice(&new.to_le_bytes());
        bytes
    }

    /// A flob that is there, of a kind that has state.
    fn some_flob(&mut self) -> Option<(FlobKind, u64)> {
        let mut flobs = self.sim.flobs_in(self.memory..self.memory + PAGES * PAGE_SIZE);
        flobs.retain(|(place, _, kind)| self.is_there(*place, *kind));
        let (place, _, kind) = (!flobs.is_empty()).then(|| self.random.pick(&flobs))?;
        Some((kind, place))
    }

    fn mask(&mut self) -> u64 {
        if self.random.chance(2) { group::ALL } else { self.random.below(group::ALL + 1) }
    }

    /// The nester sets some flob's state and links to anything. Returns how many it set.
    fn set_to_anything(&mut self) -> u64 {
        let Some((kind, place)) = self.some_flob() else { return 0 };
        let bytes = if self.random.chance(5) { Vec::new() } else { self.any_state(kind) };
        let (mask, links) = (self.mask(), self.links(kind));
        self.set(kind, place, bytes, mask, &links)
    }

    /// The nester sets some flob's state to what it is but for one word, or one of its links to another.
    fn set_to_almost_valid(&mut self) -> u64 {
        let Some((kind, place)) = self.some_flob() else { return 0 };
        let count = kind.links().len() as u64;
        if count > 0 && self.random.chance(2) {
            let mut links = vec![0; count as usize];
            links[self.random.below(count) as usize] = self.random.pick(&self.references.clone());
            let bytes = self.sim.get_raw(kind, place, &[]);
            return self.set(kind, place, bytes, group::ALL, &links);
        }
        let (bytes, mask) = (self.almost_valid(kind, place), self.mask());
        self.set(kind, place, bytes, mask, &[])
    }

    /// It grants nothing: what spaces have they were given before.
    fn set(&mut self, kind: FlobKind, place: u64, mut bytes: Vec<u8>, mask: u64, links: &[u64]) -> u64 {
        if let (FlobKind::Space, Ok(mut state)) = (kind, SpaceState::read_from_bytes(&bytes)) {
            (state.interrupts, state.ports) = (0, <_>::default());
            state.ceiling = state.ceiling.min(CEILING);
            bytes.copy_from_slice(state.as_bytes());
        }
        self.sim.set_raw(kind, place, &bytes, mask, links);
        1
    }

    /// A caller sets the state of some flob of its own, almost valid: the real state is read for it into its memory.
    fn set_own_state(&mut self) -> u64 {
        let Some((kind, place)) = self.some_flob() else { return 0 };
        let bytes = self.almost_valid(kind, place);
        self.sim.write(self.memory, &bytes);
        let mut registers =
            Registers { rip: self.entry, rax: common(kind, 5) as u64, ..Registers::default() };
        (registers.rdi, registers.rsi, registers.r10) = (place - self.memory + AT, AT, self.mask());
        self.let_call(registers, 0)
    }

    fn is_there(&mut self, place: u64, kind: FlobKind) -> bool {
        let root = self.sim.kernel.root.expect("a first space");
        kind != FlobKind::Reference && self.sim.kernel.find(root, place, kind, Protection::WRITE).is_ok()
    }

    /// A caller gets a random call to make.
    fn call_something(&mut self) -> u64 {
        let registers = self.registers(self.entry);
        let flags = if self.random.chance(8) { thread_flag::STOPPED } else { 0 };
        self.let_call(registers, flags)
    }

    /// Some caller makes this call, if it is still there. Returns how many do.
    fn let_call(&mut self, registers: Registers, flags: u32) -> u64 {
        let index = self.random.below(self.callers.len() as u64) as usize;
        let caller = self.callers[index];
        if !self.is_there(caller, FlobKind::Thread) {
            return 0;
        }
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
        1
    }
}

/// What must hold whatever garbage there was.
fn check(this: &mut Garbage, pieces: u64) {
    let range = this.memory..this.memory + PAGES * PAGE_SIZE;
    for (place, id, _) in this.sim.flobs_in(range) {
        if let Some(thread) = id.as_thread() {
            let context = &this.sim.kernel.thread(thread).context;
            this.sim.kernel.machine.check_context(context);
        } else if let Some(space) = this.sim.kernel.space(id) {
            let granted = space.interrupts != 0 || space.ports.iter().any(|range| range.count > 0);
            assert!(
                !granted && space.ceiling <= CEILING,
                "the space at {place:#x} has what it was not granted"
            );
        }
    }
    if pieces.is_multiple_of(16) {
        this.sim.kernel.check_queues();
    }
    let sum = this.bystander.round(&mut this.sim, BETWEEN);
    assert_eq!(sum, Ok(()), "the bystander is unharmed and in time");
}

#[test]
fn garbage_ruins_nobody_else() {
    let mut seeds = Random::new("garbage");
    let wanted = 20_000_u64.saturating_mul(rounds(1)).min(10_000_000);
    let (mut tally, begin) = (Tally::default(), std::time::Instant::now());
    while tally.pieces() < wanted {
        let seed = seeds.next();
        std::println!("round with seed {seed}");
        let mut this = garbage(seed);
        for _ in 0..PIECES {
            match this.random.below(8) {
                0 => tally.any += this.set_to_anything(),
                1..=3 => tally.almost += this.set_to_almost_valid(),
                4 | 5 => tally.almost += this.set_own_state(),
                _ => tally.calls += this.call_something(),
            }
            if this.random.chance(20) {
                this.sim.kernel.forget_derived();
            }
            check(&mut this, tally.pieces());
        }
    }
    let seconds = begin.elapsed().as_secs();
    let (pieces, Tally { any, almost, calls }) = (tally.pieces(), tally);
    assert!(2 * almost >= pieces, "half of it is to be almost valid, not {almost} of {pieces}");
    std::println!(
        "proof: garbage: {pieces} pieces ({almost} states almost valid, {any} others, {calls} calls), {seconds} s, seed {}",
        seeds.first
    );
}
