//! Which pages were written since when. Each frame knows the epoch of its last write. A translation allows writing only
//! once its frame is marked for the present epoch, so a new epoch need only drop all translations: no page is walked.
//! What a region shows changes with mappings too: a space knows when its mappings last changed, a region when it did.
//!
//! Epochs are of one run of the kernel: a number from elsewhere, as in a restored program, finds everything dirty.

use flob_abi::{FlobKind, Misuse, PAGE_SIZE, Protection, Status, call::Dirty, memory::MAX_LEVELS};
use zerocopy::IntoBytes;

use crate::kernel::Kernel;
use crate::machine::{Caching, Frame, Machine, Page};
use crate::outcome::{Args, Done, Outcome, SUCCESS, Trap, status};
use crate::record::{FlobId, ThreadId};
use crate::resolve::Resolved;
use crate::user::Spot;

/// What one kernel entry may do: pages looked at, of which a run that lies in one piece counts for several.
const BUDGET: u64 = 2048;
const RUN_COST: u64 = 256;
/// Pages that a read enters at once.
const AHEAD: u64 = 16;
/// An epoch lasts at least this long, in nanoseconds: who begins one after the other cannot slow all others down.
const SHORTEST: u64 = 1_000_000;
/// Bits of an epoch that count; the rest says which run of the kernel it is of.
const RUN_SHIFT: u32 = 32;

/// The epochs.
#[derive(Clone)]
pub(crate) struct Epochs {
    now: u64,
    begun_at: u64,
    /// The epoch in which each frame was last written.
    written: alloc::vec::Vec<u64>,
}

impl Epochs {
    /// Bytes for each frame.
    pub const FRAME_SIZE: usize = size_of::<u64>();

    /// The first epoch of a run, for frames below `end`.
    pub fn new(run: u32, end: usize) -> Self {
        Self { now: u64::from(run) << RUN_SHIFT | 1, begun_at: 0, written: alloc::vec![0; end] }
    }

    /// A frame is written, or can be from now on.
    #[inline]
    pub fn mark(&mut self, frame: Frame) {
        if let Some(written) = self.written.get_mut(frame.0 as usize) {
            *written = self.now;
        }
    }

    #[inline(always)]
    pub fn is_marked(&self, frame: Frame) -> bool {
        self.written.get(frame.0 as usize) == Some(&self.now)
    }

    /// Whether an epoch is none of this run.
    fn is_foreign(&self, epoch: u64) -> bool {
        epoch > self.now || epoch >> RUN_SHIFT != self.now >> RUN_SHIFT
    }
}

impl<M: Machine> Kernel<M> {
    /// `epoch_begin`.
    pub(crate) fn epoch_begin(&mut self, thread: ThreadId, _: Args) -> Outcome {
        let now = self.machine.now();
        if now.saturating_sub(self.epochs.begun_at) >= SHORTEST {
            self.epochs.begun_at = now;
            self.epochs.now = self.epochs.now.wrapping_add(1);
            self.machine.forget_all();
        }
        self.thread_mut(thread).context.registers.rdi = self.epochs.now;
        SUCCESS
    }

    /// Enters a translation that allows `allowed`. Writing waits for the first write of the epoch.
    #[inline(always)]
    pub(crate) fn enter_translation(
        &mut self,
        space: FlobId,
        address: u64,
        found: Resolved,
        allowed: Protection,
        wanted: Protection,
    ) {
        let mut access = allowed;
        if wanted.allows(Protection::WRITE) {
            self.epochs.mark(found.frame);
        } else if !self.epochs.is_marked(found.frame) {
            access = access.and(Protection::READ_EXECUTE);
        }
        let page = Page(address / PAGE_SIZE);
        self.machine.install(space.key(), page, found.frame, access, Caching::WriteBack);
    }

    /// Who reads one page after the other, as who saves them does, gets some at once of those that lie behind it in memory as well.
    /// What is entered already is left: it may have been lifted.
    #[inline(never)]
    pub(crate) fn read_ahead(&mut self, space: FlobId, address: u64, found: Resolved) {
        let before = (space, address.wrapping_sub(PAGE_SIZE));
        let Some(_) = self.entered(before, Protection::READ) else { return };
        let run = self.shown_at(space, address).map_or_else(
            || self.physical_run(space, address),
            |(region, offset, left)| self.run_in_region(region, offset).min(left),
        ) / PAGE_SIZE;
        for (count, frame) in (1..run.min(AHEAD)).zip(found.frame.0 + 1..) {
            let next = address + count * PAGE_SIZE;
            if self.entered((space, next), Protection::NONE).is_none() {
                let found = Resolved { frame: Frame(frame), ..found };
                self.enter_translation(space, next, found, found.access, Protection::READ);
            }
        }
    }

    /// Where a user address leads whose bytes the kernel reads or writes; one that it writes is marked. The first write of an
    /// epoch enters the translation, as the thread's own would: the next one finds it.
    #[inline(always)]
    pub(crate) fn memory_spot(
        &mut self,
        space: FlobId,
        address: u64,
        access: Protection,
    ) -> Result<Spot, Trap> {
        let spot = self.user_spot(space, address, access)?;
        if access.allows(Protection::WRITE) && !self.epochs.is_marked(spot.0) {
            self.first_write(space, address, access, spot.0);
        }
        Ok(spot)
    }

    #[cold]
    fn first_write(&mut self, space: FlobId, address: u64, access: Protection, frame: Frame) {
        self.epochs.mark(frame);
        if let Ok(found) = self.resolve(space, address, access, None) {
            self.enter_translation(space, address, found, found.access, access);
        }
    }

    /// Mappings of a space are not what they were.
    pub(crate) fn note_remapped(&mut self, space: Option<FlobId>) {
        let now = self.epochs.now;
        if let Some(space) = space.and_then(|space| self.space_mut(space)) {
            space.remapped = now;
        }
    }

    /// A region shows another part of its space, or another space.
    pub(crate) fn note_moved(&mut self, region: FlobId) {
        let now = self.epochs.now;
        if let Some(region) = self.region_mut(region) {
            region.moved = now;
        }
    }

    /// `region_dirty`.
    pub(crate) fn region_dirty(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let space = self.own_space(thread)?;
        let region = self.find(space, args.rdi, FlobKind::Region, Protection::READ)?;
        if args.rsi.checked_add(args.rdx).is_none() {
            return Trap::misuse(Misuse::InvalidAddress, args.rdx);
        }
        let since = self.thread(thread).context.registers.r9;
        let mut spent = 0;
        while spent < BUDGET {
            let registers = self.thread(thread).context.registers;
            let size = self.region(region).map_or(0, |region| region.size);
            if registers.rsi >= size {
                // Beyond the region is nothing at all.
                self.search_advance(thread, registers.rdx);
            }
            if registers.rdx == 0 || registers.r8 == 0 || registers.rsi >= size {
                return status(Status::Success);
            }
            let end = size.min(registers.rsi.saturating_add(registers.rdx));
            spent += RUN_COST + self.dirty_run(thread, space, region, (registers.rsi, end), since)?;
        }
        Ok(Done::Again)
    }

    /// Skips the clean pages in a row from here on, or reports the dirty ones: how many.
    fn dirty_run(
        &mut self,
        thread: ThreadId,
        space: FlobId,
        region: FlobId,
        (offset, end): (u64, u64),
        since: u64,
    ) -> Result<u64, Trap> {
        let start = offset - offset % PAGE_SIZE;
        let (is_dirty, pages) =
            self.alike(region, start, since, (end - start).div_ceil(PAGE_SIZE).min(BUDGET));
        if is_dirty {
            let dirty = Dirty { offset: start, size: pages * PAGE_SIZE };
            self.search_report(thread, space, dirty.as_bytes())?;
        }
        self.search_advance(thread, start + pages * PAGE_SIZE - offset);
        Ok(pages)
    }

    /// Whether a page of a region may not be what it was when an epoch began, and for how many in a row, up to `most`, that is
    /// so. What lies in one piece goes the same way through all levels: these are looked at once.
    fn alike(&mut self, region: FlobId, offset: u64, since: u64, most: u64) -> (bool, u64) {
        let run = (self.run_in_region(region, offset) / PAGE_SIZE).min(most).max(1);
        if self.epochs.is_foreign(since) || self.shows_another(region, offset, since) {
            return (true, run);
        }
        let Some(found) = self.resolve_in_region(region, offset) else { return (false, 1) };
        let frames = self.epochs.written.iter().skip(found.frame.0 as usize).take(run as usize);
        let mut later = frames.map(|written| *written >= since);
        let is_dirty = later.next().unwrap_or(true);
        (is_dirty, 1 + later.take_while(|later| *later == is_dirty).count() as u64)
    }

    /// Whether a page of a region may be another than it was when an epoch began.
    fn shows_another(&self, region: FlobId, offset: u64, since: u64) -> bool {
        let mut place = (region, offset);
        for _ in 0..MAX_LEVELS {
            let (region, offset) = place;
            let Some(region) = self.region(region) else { return false };
            let Some(space) = region.space.and_then(|space| self.space(space)) else {
                return region.moved >= since;
            };
            if region.moved >= since || space.remapped >= since {
                return true;
            }
            let address = region.start.saturating_add(offset);
            let shown = region.space.and_then(|space| self.shown_at(space, address));
            let Some((inner, offset, _)) = shown else { return false };
            place = (inner, offset);
        }
        false
    }
}
