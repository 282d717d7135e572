//! The child: a space below ours that sees some pages full of flobs, and our code; and threads in it that make calls.

use alloc::vec::Vec;
use core::sync::atomic::AtomicU64;

use flob_runtime::abi::flob::{MAX_LINKS, thread_link};
use flob_runtime::abi::{FlobKind, PAGE_SIZE, Protection, SpaceState, Status, ThreadState, state::group};
use flob_runtime::flob::{FlobAt, Links, Mapping, OwnedReference, Region, Space, Thread, any};
use flob_runtime::nester::list::{Listed, flobs};
use flob_runtime::start;

use crate::nonsense;
use flob_runtime::random::Random;

/// Pages of the child; where it sees them. No flobs are made on the first.
pub const PAGES: u64 = 24;
pub const AT: u64 = 0x1000_0000;
/// The last of them are for the threads that call.
const CALLERS: u64 = 6;
/// How far the child's ceiling is below ours.
const BELOW: u32 = 2;

/// The child's memory.
#[repr(C, align(4096))]
struct Memory([AtomicU64; (PAGES * PAGE_SIZE / 8) as usize]);

static MEMORY: Memory = Memory([const { AtomicU64::new(0) }; (PAGES * PAGE_SIZE / 8) as usize]);
static SPACE: Space = Space::new();
static REGION: Region = Region::new();
static MAPPING: Mapping = Mapping::new();
static CODE_REGION: Region = Region::new();
static CODE_MAPPING: Mapping = Mapping::new();

/// What we know of it.
pub struct Child {
    /// Where a `syscall` instruction is.
    entry: u64,
    ceiling: u32,
    space: OwnedReference,
    null: OwnedReference,
    /// What links may lead to.
    targets: Vec<OwnedReference>,
}

/// Where we see a place in the child's memory.
fn here(place: u64) -> u64 {
    core::ptr::from_ref(&MEMORY).expose_provenance() as u64 + place
}

impl Child {
    /// Makes the space and what it sees.
    pub fn new(entry: u64) -> Result<Self, Status> {
        let (space, null) = (OwnedReference::new()?, OwnedReference::new()?);
        SPACE.at().create()?;
        SPACE.at().reference(space.at())?;
        let given: SpaceState = SPACE.at().get_state(&Links::NONE)?;
        let ceiling = given.ceiling.saturating_sub(BELOW);
        // What happens in it is no debugger's business.
        SPACE.at().set_state(&SpaceState { ceiling, ..given }, &Links::of(&[null.at(), null.at()]))?;
        let text = start::image().text;
        let text_size = (text.end - text.start).next_multiple_of(PAGE_SIZE);
        let views = [
            (&REGION, &MAPPING, here(0), AT, PAGES * PAGE_SIZE, Protection::READ_WRITE),
            (&CODE_REGION, &CODE_MAPPING, text.start, text.start, text_size, Protection::READ_EXECUTE),
        ];
        for (region, mapping, from, to, size, protection) in views {
            region.at().export(start::space(), from, size, protection)?;
            let reference = OwnedReference::new()?;
            region.at().reference(reference.at())?;
            mapping.at().map((reference.at(), 0), (space.at(), to), size, protection)?;
        }
        Ok(Self { entry, ceiling, space, null, targets: Vec::new() })
    }

    fn flobs(&self) -> Result<Vec<Listed>, Status> {
        flobs(REGION.at(), PAGES * PAGE_SIZE, None)
    }

    /// Makes all its flobs anew.
    pub fn fill(&mut self, random: &mut Random) -> Result<(), Status> {
        for flob in self.flobs()? {
            any::destroy(flob.kind, here(flob.place))?;
        }
        self.targets.clear();
        self.targets.push(OwnedReference::copy_of(self.space.at())?);
        for place in (PAGE_SIZE..(PAGES - CALLERS) * PAGE_SIZE).step_by(512) {
            match random.pick(&FlobKind::ALL).copied() {
                Some(kind) if kind != FlobKind::Thread && random.chance(2) => self.make(kind, place)?,
                _ => {}
            }
        }
        for page in PAGES - CALLERS..PAGES {
            self.make(FlobKind::Thread, page * PAGE_SIZE)?;
        }
        Ok(())
    }

    fn make(&mut self, kind: FlobKind, place: u64) -> Result<(), Status> {
        any::create(kind, here(place), 0)?;
        if kind == FlobKind::Space {
            let space = FlobAt::<Space>::new(here(place));
            let state = SpaceState { ceiling: self.ceiling, ..SpaceState::default() };
            space.set_state(&state, &Links::of(&[self.null.at(), self.null.at()]))?;
        }
        let reference = OwnedReference::new()?;
        if any::reference(kind, here(place), reference.at()).is_ok() {
            self.targets.push(reference);
        }
        Ok(())
    }

    /// Sets some flob's state and links to anything. Returns how many it set.
    pub fn set_to_anything(&self, random: &mut Random) -> Result<u64, Status> {
        let Some(Listed { place, kind }) = self.some_flob(random)? else { return Ok(0) };
        let mut links = Links::NONE;
        for index in 0..MAX_LINKS {
            if random.chance(2) {
                links = self.with_some_target(random, links, index);
            }
        }
        let state = nonsense::state(random, kind);
        let mask = if random.chance(2) { group::ALL } else { random.below(group::ALL + 1) };
        Ok(self.set(kind, place, state, links, mask))
    }

    /// Sets some flob's state to what it is but for one word, or one of its links to another. Returns how many it set.
    pub fn set_to_almost_valid(&self, random: &mut Random) -> Result<u64, Status> {
        let Some(Listed { place, kind }) = self.some_flob(random)? else { return Ok(0) };
        let count = kind.links().len() as u64;
        if count > 0 && random.chance(2) {
            let index = random.below(count) as usize;
            let links = self.with_some_target(random, Links::NONE, index);
            let state = nonsense::real_state(kind, here(place))?;
            return Ok(self.set(kind, place, state, links, group::ALL));
        }
        let state = nonsense::almost_real_state(random, kind, here(place))?;
        Ok(self.set(kind, place, state, Links::NONE, group::ALL))
    }

    /// A flob that has state.
    fn some_flob(&self, random: &mut Random) -> Result<Option<Listed>, Status> {
        let mut listed = self.flobs()?;
        listed.retain(|flob| flob.kind != FlobKind::Reference);
        Ok(random.pick(&listed).copied())
    }

    fn with_some_target(&self, random: &mut Random, links: Links, index: usize) -> Links {
        let target = random.pick(&self.targets);
        target.map_or(links, |target| links.with(index, target.at()))
    }

    fn set(&self, kind: FlobKind, place: u64, mut state: Vec<u8>, links: Links, mask: u64) -> u64 {
        if kind == FlobKind::Space {
            nonsense::limit(&mut state, self.ceiling);
        }
        // It may be refused.
        let _ = any::set_state(kind, here(place), Some(&state), &links, mask);
        1
    }

    /// Every caller that there still is gets a call to make; how many.
    pub fn call_something(&self, random: &mut Random) -> Result<u64, Status> {
        let mut calls = 0;
        for flob in self.flobs()? {
            if flob.kind == FlobKind::Thread {
                let thread = FlobAt::<Thread>::new(here(flob.place));
                let registers = nonsense::registers(random, self.entry);
                let state = ThreadState { registers, ..ThreadState::default() };
                let links = Links::NONE
                    .with(thread_link::SPACE, self.space.at())
                    .with(thread_link::WAITING_FOR, self.null.at());
                let mask = group::CONTROL | group::REGISTERS | group::EXCEPTION;
                thread.set_groups(&state, &links, mask)?;
                calls += 1;
            }
        }
        Ok(calls)
    }
}
