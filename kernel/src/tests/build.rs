//! Making and looking at flobs in a simulated system: memory, references, states.

use std::vec;
use std::vec::Vec;

use flob_abi::memory::PHYSICAL_WINDOW;
use flob_abi::start::start_reference;
use flob_abi::{
    Call, FlobKind, MappingState, PAGE_SIZE, PortState, Protection, RegionState, Registers, SpaceState,
    Status, ThreadState, group,
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::program::Program;
use super::sim::{ROOT_SPACE, Sim};
use crate::machine::{Frame, Machine};

/// The kind's call in this place of its block of sixteen.
pub fn common(kind: FlobKind, place: u64) -> Call {
    Call::from_number((kind as u64) << 4 | place).expect("a common call")
}

/// A state struct with the kind it belongs to.
pub trait State: IntoBytes + FromBytes + Immutable {
    const KIND: FlobKind;
}

macro_rules! states {
    ($($name:ident: $kind:ident),*) => {
        $(impl State for flob_abi::$name { const KIND: FlobKind = FlobKind::$kind; })*
    };
}

states!(
    SpaceState: Space, ThreadState: Thread, RegionState: Region, MappingState: Mapping, PortState: Port,
    PortSetState: PortSet, MutexState: Mutex, ConditionState: Condition
);

impl Sim {
    /// Memory of the first space, as the test sees it.
    pub fn write(&mut self, address: u64, bytes: &[u8]) {
        for (address, byte) in (address..).zip(bytes) {
            let frame = Frame(u32::try_from((address - PHYSICAL_WINDOW) / PAGE_SIZE).expect("physical"));
            self.kernel.machine().frame_mut(frame).expect("memory")[(address % PAGE_SIZE) as usize] = *byte;
        }
    }

    pub fn read(&mut self, address: u64, len: usize) -> Vec<u8> {
        let byte = |address: u64| {
            let frame = Frame(u32::try_from((address - PHYSICAL_WINDOW) / PAGE_SIZE).expect("physical"));
            self.kernel.machine.frame(frame).expect("memory")[(address % PAGE_SIZE) as usize]
        };
        (address..address + len as u64).map(byte).collect()
    }

    pub fn write_words(&mut self, address: u64, words: &[u64]) {
        self.write(address, words.as_bytes());
    }

    pub fn read_word(&mut self, address: u64) -> u64 {
        u64::read_from_bytes(&self.read(address, 8)).expect("eight bytes")
    }

    /// A reference flob that names nothing.
    pub fn null(&mut self) -> u64 {
        self.make(FlobKind::Reference)
    }

    /// The null reference that every program is born with here.
    pub fn null_reference(&self) -> u64 {
        ROOT_SPACE - start_reference::SPACE + start_reference::PARENT
    }

    /// A reference to a flob.
    pub fn reference(&mut self, flob: u64, kind: FlobKind) -> u64 {
        let reference = self.null();
        self.ok(common(kind, 3), &[flob, reference]);
        reference
    }

    /// As `reference`, for a moment: the same one each time.
    pub fn scratch_reference(&mut self, flob: u64, kind: FlobKind) -> u64 {
        let place = self.scratch() + PAGE_SIZE - 512;
        if self.try_call(Call::ReferenceCheck, &[place]).is_err() {
            self.create_at(FlobKind::Reference, place);
        }
        self.ok(common(kind, 3), &[flob, place]);
        place
    }

    fn link_array(&mut self, links: &[u64]) -> u64 {
        if links.is_empty() {
            return 0;
        }
        let array = self.scratch() + 2048;
        let mut words = vec![0; flob_abi::flob::MAX_LINKS];
        words[..links.len()].copy_from_slice(links);
        self.write_words(array, &words);
        array
    }

    /// A page that nothing else uses.
    pub fn scratch(&self) -> u64 {
        PHYSICAL_WINDOW + 4 * PAGE_SIZE
    }

    pub fn set_raw(&mut self, kind: FlobKind, flob: u64, state: &[u8], mask: u64, links: &[u64]) -> Status {
        let links = self.link_array(links);
        let at = if state.is_empty() { 0 } else { self.scratch() };
        self.write(self.scratch(), state);
        self.call(common(kind, 5), &[flob, at, links, mask])
    }

    pub fn set_state<S: State>(&mut self, flob: u64, state: &S, mask: u64, links: &[u64]) -> Status {
        self.set_raw(S::KIND, flob, state.as_bytes(), mask, links)
    }

    /// Sets state that must be taken.
    pub fn set<S: State>(&mut self, flob: u64, state: &S, links: &[u64]) {
        assert_eq!(self.set_state(flob, state, group::ALL, links), Status::Success);
    }

    pub fn set_links(&mut self, kind: FlobKind, flob: u64, links: &[u64]) -> Status {
        self.set_raw(kind, flob, &[], 0, links)
    }

    pub fn get_raw(&mut self, kind: FlobKind, flob: u64, links: &[u64]) -> Vec<u8> {
        let links = self.link_array(links);
        let at = self.scratch();
        self.ok(common(kind, 4), &[flob, at, links, group::ALL]);
        self.read(at, flob_abi::state_size(kind))
    }

    pub fn get_state<S: State>(&mut self, flob: u64, links: &[u64]) -> S {
        S::read_from_bytes(&self.get_raw(S::KIND, flob, links)).expect("state")
    }

    /// A thread of the first space that runs a program.
    pub fn spawn(&mut self, priority: u32, program: Program) -> u64 {
        self.spawn_in(ROOT_SPACE, priority, program)
    }

    pub fn spawn_in(&mut self, space: u64, priority: u32, program: Program) -> u64 {
        let rip = self.load(program);
        let registers = Registers { rip, ..Registers::default() };
        self.make_thread(&ThreadState { priority, registers, ..ThreadState::default() }, space)
    }

    /// Stops a thread; returns its state.
    pub fn stop(&mut self, thread: u64) -> ThreadState {
        self.get_state(thread, &[])
    }

    /// Lets a stopped thread go on.
    pub fn resume(&mut self, thread: u64) {
        let state = ThreadState::default();
        assert_eq!(self.set_state(thread, &state, group::CONTROL, &[]), Status::Success);
    }

    /// Lets a stopped thread go on with the flags that a state has.
    pub fn resume_as(&mut self, thread: u64, state: &ThreadState) {
        assert_eq!(self.set_state(thread, state, group::CONTROL, &[]), Status::Success);
    }

    /// The same flob behind both references?
    pub fn same(&mut self, one: u64, other: u64) -> bool {
        self.call(Call::ReferenceCompare, &[one, other]) == Status::Success
    }

    /// Whether a reference names nothing.
    pub fn is_null(&mut self, reference: u64) -> bool {
        self.kind_of_target(reference) == 0
    }

    pub fn kind_of_target(&mut self, reference: u64) -> u64 {
        self.try_call(Call::ReferenceType, &[reference]).expect("a reference").rdi
    }

    pub fn make_space(&mut self, ceiling: u32, keeper: Option<u64>) -> (u64, u64) {
        let space = self.make(FlobKind::Space);
        let state = SpaceState { ceiling, ..SpaceState::default() };
        let keeper = keeper.map(|port| self.reference(port, FlobKind::Port)).unwrap_or(0);
        self.set(space, &state, &[keeper]);
        (space, self.reference(space, FlobKind::Space))
    }

    /// A region over a range of a space; `space` and `keeper` are references or 0. Returns the region and a reference.
    pub fn make_region(
        &mut self,
        space: u64,
        start: u64,
        size: u64,
        protection: Protection,
        keeper: u64,
    ) -> (u64, u64) {
        let region = self.make(FlobKind::Region);
        let state = RegionState { start, size, protection: protection.0, ..RegionState::default() };
        self.set(region, &state, &[space, keeper]);
        (region, self.reference(region, FlobKind::Region))
    }

    pub fn make_mapping(
        &mut self,
        region: u64,
        space: u64,
        (offset, start, size): (u64, u64, u64),
        protection: Protection,
    ) -> u64 {
        let mapping = self.make(FlobKind::Mapping);
        let state = MappingState { offset, start, size, protection: protection.0, ..MappingState::default() };
        self.set(mapping, &state, &[region, space]);
        mapping
    }

    /// A port set, and a port in it with this alias.
    pub fn make_port(&mut self, alias: u64) -> (u64, u64) {
        let set = self.make(FlobKind::PortSet);
        let port = self.make_port_in(set, alias);
        (set, port)
    }

    pub fn make_port_in(&mut self, set: u64, alias: u64) -> u64 {
        let port = self.make(FlobKind::Port);
        let set = self.reference(set, FlobKind::PortSet);
        self.set(port, &PortState { hash: 0, alias }, &[set]);
        port
    }
}
