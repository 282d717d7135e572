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
        flobs(REGION.at(), PAGES * PAGE_SIZE)
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

    /// Sets some flob's state and links to nonsense. False if there was none to set.
    pub fn set_something(&self, random: &mut Random) -> Result<bool, Status> {
        let listed = self.flobs()?;
        let Some(Listed { place, kind }) = random.pick(&listed).copied() else { return Ok(false) };
        if kind == FlobKind::Reference {
            return Ok(false);
        }
        let state = nonsense::state(random, kind, here(place), self.ceiling)?;
        let mut links = Links::NONE;
        for index in 0..MAX_LINKS {
            let target = random.below(self.targets.len() as u64 * 2) as usize;
            if let Some(target) = self.targets.get(target) {
                links = links.with(index, target.at());
            }
        }
        let mask = if random.chance(2) { group::ALL } else { random.below(group::ALL + 1) };
        // It may be refused.
        let _ = any::set_state(kind, here(place), Some(&state), &links, mask);
        Ok(true)
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
