//! Making an environment: a child's space, first thread and mappings, on pages of the child's own memory that the
//! child does not map, so that everything it consists of lies in one range.
//!
//! ```text
//! page 0      the first thread
//! pages 1..   control pages: the space, then the mappings
//! then        the start page, mapped with the arguments behind it at START_PAGE
//!             the program's pages, each run at its address
//!             the stack, below STACK_TOP
//!             the rest: heap, at HEAP_BASE
//! ```

use alloc::{boxed::Box, string::String, vec, vec::Vec};
use core::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use flob_abi::{
    FlobKind, PAGE_SIZE, Protection, RegionState, SpaceState, Status,
    flob::GRANULE,
    start::{HEAP_BASE, PROGRAM_BASE, STACK_TOP, START_MAGIC, START_PAGE, StartInfo, start_reference},
};
use zerocopy::IntoBytes;

use super::elf::{Elf, ElfError, ProgramFile, Run, Segment};
use super::list::{self, Listed};
use super::memory::ChildMemory;
use crate::flob::{FlobAt, Links, Mapping, OwnedReference, Reference, Region, Space, Thread, any};
use crate::start;

/// Bytes of the first thread's stack.
const STACK: u64 = 512 * 1024;
/// Most bytes of arguments.
const MAX_ARGUMENTS: usize = 256 * 1024;
/// Least heap that a program is started with.
const MIN_HEAP: u64 = 64 * 1024;
/// Bytes of the file that are copied at a time.
const PIECE: usize = 32 * 1024;
/// Place of the first thread.
pub const FIRST_THREAD: u64 = 0;
/// Place of the first space.
pub const FIRST_SPACE: u64 = PAGE_SIZE;

/// What a new space has from its creator: its ceiling, and, into these links, its ports. Asked anew each time: after a restore it
/// may be another.
pub fn inherited(links: &Links) -> Result<SpaceState, Status> {
    let space = Space::new();
    space.at().create()?;
    let state = space.at().get_state(links);
    space.at().destroy()?;
    state
}

/// Why a program could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartError {
    /// The file is no program.
    Elf(ElfError),
    /// The environment has too little memory for it.
    Memory,
    /// The arguments are too long.
    Arguments,
    /// The kernel refused something.
    Kernel(Status),
}

impl From<Status> for StartError {
    fn from(status: Status) -> Self {
        Self::Kernel(status)
    }
}

impl From<ElfError> for StartError {
    fn from(error: ElfError) -> Self {
        Self::Elf(error)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elf(error) => write!(formatter, "{error}"),
            Self::Memory => formatter.write_str("the environment has too little memory for the program"),
            Self::Arguments => formatter.write_str("the arguments are too long"),
            Self::Kernel(status) => write!(formatter, "the kernel refused: {}", status.text()),
        }
    }
}

/// What a child is born with.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    /// The port it asks for everything.
    pub parent: FlobAt<Reference>,
    /// Who is asked about its exceptions.
    pub keeper: Option<FlobAt<Reference>>,
    /// Who is asked about its debug exceptions; `None` leaves what the space inherits.
    pub debug_port: Option<FlobAt<Reference>>,
    /// Ceiling and grants of its space.
    pub space: SpaceState,
    /// Its arguments, its name first.
    pub arguments: &'a [String],
}

/// A program that was loaded.
pub struct Loaded {
    /// Its file.
    pub elf: Elf,
    /// Its memory.
    pub places: Places,
}

/// Where the memory of a program that was loaded lies in its environment: what the program names by its address its nester can
/// read there.
#[derive(Default)]
pub struct Places(Vec<Mapped>);

impl Places {
    /// The place of this address, if so many bytes follow it there in one piece.
    pub fn of(&self, address: u64, bytes: u64) -> Option<u64> {
        place_of(&self.0, address).filter(|(_, room)| bytes <= *room).map(|(place, _)| place)
    }
}

/// A range of memory with a region over it, to be filled by [`Environment::load`] or by a restore.
pub struct Environment {
    memory: ChildMemory,
    /// Bytes of it that the region shows.
    size: AtomicU64,
    region: Box<Region>,
    reference: OwnedReference,
    nothing: OwnedReference,
}

impl Environment {
    /// A region over all of `memory`, without a keeper: whoever misses in it gets the exception itself.
    pub fn over(memory: ChildMemory) -> Result<Self, Status> {
        let region = Box::new(Region::new());
        region.at().export(start::space(), memory.address(0), memory.size(), Protection::ALL)?;
        let reference = OwnedReference::new()?;
        region.at().reference(reference.at())?;
        let size = AtomicU64::new(memory.size());
        Ok(Self { memory, size, region, reference, nothing: OwnedReference::new()? })
    }

    /// The memory that it has room in.
    pub const fn memory(&self) -> &ChildMemory {
        &self.memory
    }

    /// Bytes of that memory that belong to it: all of it, or as many as it had where it comes from.
    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    /// What may be done with its memory by those who see it through the region, and who is asked about the rest.
    pub fn guard(&self, protection: Protection, keeper: Option<FlobAt<Reference>>) -> Result<(), Status> {
        let (start, size) = (self.memory.address(0), self.size());
        let state = RegionState { hash: 0, start, size, protection: protection.0, reserved: 0 };
        if let Some(keeper) = keeper {
            return self.region().set_state(&state, &Links::NONE.with(1, keeper));
        }
        self.region().set_state(&state, &Links::NONE.with(1, self.nothing()))
    }

    /// Gives it another size: what comes from elsewhere stays as large as it was there, wherever it goes. All of it counts as
    /// written then. It must have no flobs.
    pub fn resize(&self, size: u64) -> Result<(), Status> {
        if size > self.memory.size() {
            return Err(Status::NoMemory);
        }
        if size == self.size() {
            return Ok(());
        }
        let state = RegionState { size, ..self.region().get_state(&Links::NONE)? };
        self.region().set_state(&state, &Links::NONE)?;
        self.size.store(size, Ordering::Relaxed);
        Ok(())
    }

    /// The region over it.
    pub fn region(&self) -> FlobAt<Region> {
        self.region.at()
    }

    /// A reference to the region.
    pub fn reference(&self) -> FlobAt<Reference> {
        self.reference.at()
    }

    /// A reference that names nothing, for links that are to lead nowhere.
    pub fn nothing(&self) -> FlobAt<Reference> {
        self.nothing.at()
    }

    /// The flob at this place, if it is of kind `F`.
    pub const fn flob<F>(&self, place: u64) -> FlobAt<F> {
        FlobAt::new(self.memory.address(place))
    }

    /// All its flobs, ascending by place.
    pub fn flobs(&self) -> Result<Vec<Listed>, Status> {
        list::flobs(self.region(), self.size(), None)
    }

    /// The places of all its flobs of this kind, ascending: soon found, however many others there are.
    pub fn flobs_of(&self, kind: FlobKind) -> Result<Vec<u64>, Status> {
        let flobs = list::flobs(self.region(), self.size(), Some(kind))?;
        Ok(flobs.into_iter().map(|flob| flob.place).collect())
    }

    /// The kind of the flob at this place, if one begins there.
    pub fn kind_at(&self, place: u64) -> Option<FlobKind> {
        if place < self.size() { list::kind_at(self.region(), place) } else { None }
    }

    /// Stops all its threads, destroys all its flobs and zeroes its memory.
    pub fn clear(&self) -> Result<(), Status> {
        self.remove_flobs()?;
        self.memory.clear_from(0);
        Ok(())
    }

    /// Stops all its threads and destroys all its flobs.
    pub fn remove_flobs(&self) -> Result<(), Status> {
        loop {
            let flobs = self.flobs()?;
            if flobs.is_empty() {
                return Ok(());
            }
            for thread in flobs.iter().filter(|flob| flob.kind == FlobKind::Thread) {
                self.flob::<Thread>(thread.place).halt()?;
            }
            for flob in &flobs {
                any::destroy(flob.kind, self.memory.address(flob.place))?;
            }
        }
    }

    /// Loads a program and makes its space and its first thread, which is stopped: [`Environment::start`] lets it go.
    /// The environment must be empty; after an error it has to be [`cleared`](Environment::clear) before the next try.
    pub fn load(
        &self,
        file: &mut (impl ProgramFile + ?Sized),
        setup: &Setup<'_>,
    ) -> Result<Loaded, StartError> {
        let elf = Elf::read(file)?;
        let layout = Layout::of(&elf, setup.arguments, self.size())?;
        self.make_flobs(&layout, setup)?;
        for segment in &elf.segments {
            self.load_segment(file, segment, &layout)?;
        }
        self.fill_start_page(&layout);
        let thread = self.flob::<Thread>(FIRST_THREAD);
        let space = self.reference_to_space()?;
        let mut state = thread.fresh_state(elf.entry, STACK_TOP, START_PAGE);
        state.own_address = 0;
        thread.prepare(space.at(), &state)?;
        thread.reference(self.flob(layout.start + start_reference::THREAD))?;
        Ok(Loaded { elf, places: Places(layout.mapped) })
    }

    /// Lets the first thread go.
    pub fn start(&self) -> Result<(), Status> {
        self.flob::<Thread>(FIRST_THREAD).resume(false)
    }

    fn reference_to_space(&self) -> Result<OwnedReference, Status> {
        let reference = OwnedReference::new()?;
        self.flob::<Space>(FIRST_SPACE).reference(reference.at())?;
        Ok(reference)
    }

    fn make_flobs(&self, layout: &Layout, setup: &Setup<'_>) -> Result<(), Status> {
        let space = self.flob::<Space>(FIRST_SPACE);
        space.create()?;
        let mut links = Links::NONE;
        for (index, link) in [setup.keeper, setup.debug_port].into_iter().enumerate() {
            links = link.map_or(links, |reference| links.with(index, reference));
        }
        space.set_state(&setup.space, &links)?;
        let own_space = self.reference_to_space()?;
        for (index, mapped) in layout.mapped.iter().enumerate() {
            let place = FIRST_SPACE + (index as u64 + 1) * GRANULE;
            let from = (self.reference(), mapped.place);
            let to = (own_space.at(), mapped.run.address);
            self.flob::<Mapping>(place).map(from, to, mapped.run.size, mapped.run.protection)?;
        }
        for offset in [start_reference::PARENT, start_reference::SPACE, start_reference::THREAD] {
            self.flob::<Reference>(layout.start + offset).create()?;
        }
        setup.parent.copy_to(self.flob(layout.start + start_reference::PARENT))?;
        space.reference(self.flob(layout.start + start_reference::SPACE))
    }

    fn load_segment(
        &self,
        file: &mut (impl ProgramFile + ?Sized),
        segment: &Segment,
        layout: &Layout,
    ) -> Result<(), StartError> {
        let mut buffer = vec![0; PIECE];
        let mut done = 0;
        while done < segment.file_size {
            let address = segment.address + done;
            let (place, room) = place_of(&layout.mapped, address).ok_or(ElfError::BadSegment)?;
            let count = (segment.file_size - done).min(room).min(PIECE as u64);
            let piece = usize::try_from(count).ok().and_then(|count| buffer.get_mut(..count));
            let piece = piece.ok_or(ElfError::BadSegment)?;
            if !file.read(segment.file_offset + done, piece) {
                return Err(ElfError::Truncated.into());
            }
            if !self.memory.write(place, piece) {
                return Err(StartError::Memory);
            }
            done += count;
        }
        Ok(())
    }

    fn fill_start_page(&self, layout: &Layout) {
        let info = StartInfo {
            magic: START_MAGIC,
            heap_start: HEAP_BASE,
            heap_size: layout.heap_size,
            arguments: START_PAGE + PAGE_SIZE,
            arguments_size: layout.arguments.len() as u64,
            ..StartInfo::default()
        };
        let filled = self.memory.write(layout.start, info.as_bytes())
            && self.memory.write(layout.start + PAGE_SIZE, &layout.arguments);
        debug_assert!(filled, "the layout lies within the memory");
    }
}

/// A run of pages and where in the environment it is.
struct Mapped {
    run: Run,
    place: u64,
}

/// Where everything goes.
struct Layout {
    /// Place of the start page.
    start: u64,
    arguments: Vec<u8>,
    mapped: Vec<Mapped>,
    heap_size: u64,
}

impl Layout {
    fn of(elf: &Elf, arguments: &[String], memory: u64) -> Result<Self, StartError> {
        let arguments: Vec<u8> = arguments.iter().flat_map(|text| text.bytes().chain([0])).collect();
        if arguments.len() > MAX_ARGUMENTS {
            return Err(StartError::Arguments);
        }
        let start_size = PAGE_SIZE + (arguments.len() as u64).next_multiple_of(PAGE_SIZE);
        debug_assert!(START_PAGE + start_size <= PROGRAM_BASE, "MAX_ARGUMENTS fits in between");
        let writable = |address, size| Run { address, size, protection: Protection::READ_WRITE };
        let mut runs = vec![writable(START_PAGE, start_size)];
        runs.extend(elf.runs());
        runs.push(writable(STACK_TOP - STACK, STACK));
        // The space and a mapping each for these and the heap.
        let control = ((runs.len() as u64 + 2) * GRANULE).next_multiple_of(PAGE_SIZE);
        let start = PAGE_SIZE + control;
        let mut layout = Self { start, arguments, mapped: Vec::new(), heap_size: 0 };
        let mut free = start;
        for run in runs {
            layout.mapped.push(Mapped { run, place: free });
            free = free.checked_add(run.size).ok_or(StartError::Memory)?;
        }
        layout.heap_size =
            memory.checked_sub(free).filter(|size| *size >= MIN_HEAP).ok_or(StartError::Memory)?;
        // Executable too: a program that is a nester itself has its child's code there.
        let heap = Run { address: HEAP_BASE, size: layout.heap_size, protection: Protection::ALL };
        layout.mapped.push(Mapped { run: heap, place: free });
        Ok(layout)
    }
}

/// The place of this address, and how many bytes follow there in one piece.
fn place_of(all: &[Mapped], address: u64) -> Option<(u64, u64)> {
    all.iter().find_map(|mapped| {
        let offset = address.checked_sub(mapped.run.address).filter(|offset| *offset < mapped.run.size)?;
        Some((mapped.place + offset, mapped.run.size - offset))
    })
}
