//! A small environment for exploration: one space, its flobs on two pages, up to six threads, pages of data.

use std::vec::Vec;

use flob_abi::memory::PHYSICAL_WINDOW;
use flob_abi::{FlobKind, MappingState, PAGE_SIZE, PortState, Protection, RegionState, Registers};
use flob_abi::{SpaceState, ThreadState};

use crate::machine::Frame;
use crate::record::{FlobId, Place, ThreadId};
use crate::tests::build::common;
use crate::tests::program::Program;
use crate::tests::sim::{ROOT_SPACE, Sim};

/// Where its threads see its memory.
pub const AT: u64 = 0x40_0000;
/// Where they see the guarded pages: through a region of their own space, which has a keeper.
pub const GUARDED: u64 = 0x80_0000;
const PAGES: u64 = 22;
const FIRST_THREAD: u64 = 2;
const THREADS: u64 = 6;
const FIRST_DATA: u64 = FIRST_THREAD + THREADS;
/// The data pages that are guarded: how many, from which on.
pub const GUARDED_PAGES: core::ops::Range<u64> = 8..12;
const FRAMES: u32 = 44;
/// The machine's first thread, which is not needed.
const FIRST: u64 = PHYSICAL_WINDOW + PAGE_SIZE;

/// The address of a small flob, 2 to 15, in the environment.
pub const fn flob(number: u64) -> u64 {
    AT + number * 512
}

/// The address of a data page.
pub const fn data(page: u64) -> u64 {
    AT + (FIRST_DATA + page) * PAGE_SIZE
}

/// The flobs that every scene has.
pub const SPACE: u64 = flob(0);
const MAPPING: u64 = flob(1);
pub const SET: u64 = flob(2);
pub const PORT: u64 = flob(3);
/// A reference to the port.
pub const TO_PORT: u64 = flob(4);
pub const MUTEX: u64 = flob(5);
pub const CONDITION: u64 = flob(6);
pub const OTHER_CONDITION: u64 = flob(7);
/// Two references to send and to receive into; the first leads to the mutex.
pub const SENT: u64 = flob(8);
pub const RECEIVED: u64 = flob(9);
pub const KEEPER_SET: u64 = flob(10);
pub const KEEPER_PORT: u64 = flob(11);
pub const REGION: u64 = flob(12);
pub const GUARDED_MAPPING: u64 = flob(13);
/// A reference for the end of a connection.
pub const PARKED: u64 = flob(14);
/// A reference for one thread alone.
pub const OWN: u64 = flob(15);

/// Where the first space sees a place.
pub fn address(place: Place) -> u64 {
    PHYSICAL_WINDOW + u64::from(place.frame.0) * PAGE_SIZE + u64::from(place.offset)
}

impl Sim {
    /// All flobs in a range of the first space's memory.
    pub fn flobs_in(&self, range: core::ops::Range<u64>) -> Vec<(u64, FlobId, FlobKind)> {
        let kernel = &self.kernel;
        let threads = (0..kernel.threads.end()).filter_map(|index| kernel.threads.id_at(index));
        let objects = (0..kernel.objects.end()).filter_map(|index| kernel.objects.id_at(index)).map(FlobId);
        let mut found: Vec<_> = threads
            .map(|id| ThreadId(id).into())
            .chain(objects)
            .filter_map(|id| Some((address(kernel.place_of(id)?), id, kernel.kind_of(id)?)))
            .filter(|(at, ..)| range.contains(at))
            .collect();
        found.sort_unstable_by_key(|(at, ..)| *at);
        found
    }
}

/// The environment, as it is before anything has run.
#[derive(Clone)]
pub struct Scene {
    pub start: Sim,
    pub memory: u64,
    /// References of the nester's own.
    pub references: Vec<u64>,
    /// A system that has just started, with the nester's own flobs and none of the environment's; its driver has the
    /// processor.
    pub empty: Sim,
}

impl Scene {
    /// With these threads; the guarded pages allow `protection`.
    pub fn new(protection: Protection, threads: Vec<Program>) -> Self {
        let mut sim = Sim::sized(FRAMES);
        (sim.ticks, sim.checks) = (false, false);
        // Or it would wait for its time anew whenever that is forgotten.
        sim.stop(FIRST);
        let memory = sim.pages(PAGES as u32);
        let references = (0..flob_abi::flob::MAX_LINKS).map(|_| sim.null()).collect();
        let empty = sim.clone();
        let mut scene = Self { start: sim, memory, references, empty };
        scene.make_flobs(protection);
        for (index, program) in (0..).zip(threads) {
            scene.make_thread(index, program);
        }
        scene.empty = scene.start.clone();
        for (place, _, kind) in scene.start.flobs_in(scene.range()) {
            scene.empty.ok(common(kind, 1), &[place]);
        }
        scene.start.let_others_run();
        scene
    }

    /// Where the nester sees what the environment sees at `address`.
    pub fn outside(&self, address: u64) -> u64 {
        self.memory + address - AT
    }

    fn make_flobs(&mut self, protection: Protection) {
        let Self { start: sim, memory, .. } = self;
        let at = |address: u64| *memory + address - AT;
        for (kind, places) in [
            (FlobKind::Space, &[SPACE][..]),
            (FlobKind::Mapping, &[MAPPING, GUARDED_MAPPING]),
            (FlobKind::PortSet, &[SET, KEEPER_SET]),
            (FlobKind::Port, &[PORT, KEEPER_PORT]),
            (FlobKind::Reference, &[TO_PORT, SENT, RECEIVED, PARKED, OWN]),
            (FlobKind::Mutex, &[MUTEX]),
            (FlobKind::Condition, &[CONDITION, OTHER_CONDITION]),
            (FlobKind::Region, &[REGION]),
        ] {
            places.iter().for_each(|place| sim.create_at(kind, at(*place)));
        }
        let size = PAGES * PAGE_SIZE;
        let (_, all) = sim.make_region(ROOT_SPACE, *memory, size, Protection::ALL, 0);
        let space = sim.reference(at(SPACE), FlobKind::Space);
        sim.set(at(SPACE), &SpaceState { ceiling: 20, ..SpaceState::default() }, &[]);
        let state =
            MappingState { start: AT, size, protection: Protection::ALL.0, ..MappingState::default() };
        sim.set(at(MAPPING), &state, &[all, space]);
        for (port, set, alias) in [(PORT, SET, 7), (KEEPER_PORT, KEEPER_SET, 8)] {
            let set = sim.reference(at(set), FlobKind::PortSet);
            sim.set(at(port), &PortState { hash: 0, alias }, &[set]);
        }
        let keeper = sim.reference(at(KEEPER_PORT), FlobKind::Port);
        let size = (GUARDED_PAGES.end - GUARDED_PAGES.start) * PAGE_SIZE;
        let start = data(GUARDED_PAGES.start);
        let state = RegionState { start, size, protection: protection.0, ..RegionState::default() };
        sim.set(at(REGION), &state, &[space, keeper]);
        let region = sim.reference(at(REGION), FlobKind::Region);
        let state =
            MappingState { start: GUARDED, size, protection: Protection::ALL.0, ..MappingState::default() };
        sim.set(at(GUARDED_MAPPING), &state, &[region, space]);
        sim.ok(flob_abi::Call::PortReference, &[at(PORT), at(TO_PORT)]);
        sim.ok(flob_abi::Call::MutexReference, &[at(MUTEX), at(SENT)]);
    }

    fn make_thread(&mut self, index: u64, program: Program) {
        let (place, space) = (self.thread(index), self.outside(SPACE));
        let sim = &mut self.start;
        sim.create_at(FlobKind::Thread, place);
        let space = sim.reference(space, FlobKind::Space);
        let registers = Registers { rip: sim.load(program.end()), ..Registers::default() };
        let own_address = Self::address_of(index);
        let state = ThreadState { registers, priority: 5, own_address, ..ThreadState::default() };
        sim.set(place, &state, &[space]);
    }

    /// Where the nester sees a thread.
    pub fn thread(&self, index: u64) -> u64 {
        self.memory + (FIRST_THREAD + index) * PAGE_SIZE
    }

    /// Where the environment sees a thread.
    pub const fn address_of(index: u64) -> u64 {
        AT + (FIRST_THREAD + index) * PAGE_SIZE
    }

    /// The threads that there are, by number.
    pub fn threads(&self, sim: &Sim) -> Vec<(u8, ThreadId)> {
        let found = sim.flobs_in(self.range());
        let threads = found.into_iter().filter_map(|(at, id, _)| Some((at, id.as_thread()?)));
        threads.map(|(at, id)| (((at - self.memory) / PAGE_SIZE - FIRST_THREAD) as u8, id)).collect()
    }

    pub fn range(&self) -> core::ops::Range<u64> {
        self.memory..self.memory + PAGES * PAGE_SIZE
    }

    pub fn data_frames(&self) -> impl Iterator<Item = Frame> {
        let first = ((self.memory - PHYSICAL_WINDOW) / PAGE_SIZE) as u32;
        (FIRST_DATA as u32..PAGES as u32).map(move |page| Frame(first + page))
    }

    /// Changes the system before anything runs; its driver has the processor.
    pub fn prepare(&mut self, change: impl FnOnce(&Self, &mut Sim)) {
        let mut sim = self.start.clone();
        sim.ring();
        change(self, &mut sim);
        sim.let_others_run();
        self.start = sim;
    }

    /// Fills memory before anything runs.
    pub fn write(&mut self, address: u64, bytes: &[u8]) {
        let address = self.outside(address);
        self.start.write(address, bytes);
    }

    /// Memory in some system that runs this scene.
    pub fn read(&self, sim: &mut Sim, address: u64, len: usize) -> Vec<u8> {
        sim.read(self.outside(address), len)
    }
}
