//! `region_search`: which flobs are in a range of memory. `region_export`: their states and links too. Their progress is in their
//! arguments.

use flob_abi::call::{Exported, Found};
use flob_abi::{FlobKind, Misuse, PAGE_SIZE, Protection, flob::GRANULE, group, state_size};
use zerocopy::IntoBytes;

use crate::kernel::{GRANULES, Kernel};
use crate::lookup::KINDS;
use crate::machine::{Frame, Machine};
use crate::outcome::{Args, Done, Outcome, SUCCESS, Trap};
use crate::record::{FlobId, Place, Region, ThreadId};
use crate::resolve::Miss;

/// What one kernel entry may do: a page, whatever is in it, counts for several flobs.
const BUDGET: usize = 48;
const PAGE_COST: usize = 6;
/// So many bytes that are exported count as much as a flob that is found.
const BYTES_PER_COST: usize = 50;

/// What reporting a flob has cost; `None` if there was no room.
pub(crate) type Reported = Result<Option<usize>, Trap>;
/// Physical memory in one piece: its first frame and its size.
type Window = (Frame, u64);

fn offset_in((first, size): Window, place: Place) -> Option<u64> {
    let frames = u64::from(place.frame.0.checked_sub(first.0)?);
    Some(frames * PAGE_SIZE + u64::from(place.offset)).filter(|offset| *offset < size)
}

impl<M: Machine> Kernel<M> {
    /// `region_search`.
    pub(crate) fn region_search(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let space = self.own_space(thread)?;
        let region = self.find(space, args.rdi, FlobKind::Region, Protection::READ)?;
        self.search(thread, args, (region, Protection::NONE), |kernel, id, offset| {
            let kind = kernel.kind_of(id).map_or(0, |kind| kind as u32);
            kernel.search_report(thread, space, Found { offset, kind, reserved: 0 }.as_bytes())
        })
    }

    /// `region_export`.
    pub(crate) fn region_export(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let space = self.own_space(thread)?;
        // What is exported can be had by a mapping of the region, too: who may write its flob may allow that, where the levels
        // above do.
        let region = self.find(space, args.rdi, FlobKind::Region, Protection::WRITE)?;
        let window = self.window_of(region);
        self.search(thread, args, (region, Protection::WRITE), |kernel, id, offset| {
            kernel.export_report(thread, space, (region, window), id, offset)
        })
    }

    /// Goes on with a search of those pages that the levels above the region let be used like this.
    fn search(
        &mut self,
        thread: ThreadId,
        args: Args,
        region: (FlobId, Protection),
        mut report: impl FnMut(&mut Self, FlobId, u64) -> Reported,
    ) -> Outcome {
        if args.rsi.checked_add(args.rdx).is_none() {
            return Trap::misuse(Misuse::InvalidAddress, args.rdx);
        }
        let wanted = self.thread(thread).context.registers.r9;
        if wanted >= KINDS as u64 {
            return Trap::misuse(Misuse::WrongKind, wanted);
        }
        let mut spent = 0;
        while spent < BUDGET {
            let registers = self.thread(thread).context.registers;
            if registers.rdx == 0 || registers.r8 == 0 {
                return SUCCESS;
            }
            match self.search_page(thread, region, wanted as usize, &mut report)? {
                Some(cost) => spent += PAGE_COST + cost,
                None => return SUCCESS,
            }
        }
        Ok(Done::Again)
    }

    /// Searches from the offset in the registers to the end of its page, or until there is no room. Returns what its reports
    /// have cost.
    fn search_page(
        &mut self,
        thread: ThreadId,
        (region, access): (FlobId, Protection),
        wanted: usize,
        report: &mut impl FnMut(&mut Self, FlobId, u64) -> Reported,
    ) -> Reported {
        let offset = self.thread(thread).context.registers.rsi;
        let Some(resolved) = self.resolve_in_region(region, offset) else {
            let size = self.region(region).map_or(0, |region| region.size);
            // Beyond the region is nothing at all.
            let step = if offset >= size { u64::MAX } else { PAGE_SIZE - offset % PAGE_SIZE };
            self.search_advance(thread, step);
            return Ok(Some(0));
        };
        let empty = self.frames_with[wanted].gap(resolved.frame);
        if empty > 0 {
            // What is not whole at the run's end counts as a page of its own.
            let run = self.run_in_region(region, offset) / PAGE_SIZE;
            let pages = u64::from(empty).min(run).max(1);
            self.search_advance(thread, pages * PAGE_SIZE - offset % PAGE_SIZE);
            return Ok(Some(0));
        }
        if !resolved.access.allows(access) {
            let own = self.space_of(thread);
            let start = |region: &Region| Some((region.space?, region.start.saturating_add(offset)));
            let place = self.region(region).and_then(start).filter(|(space, _)| own == Some(*space));
            if !self.is_lifted(place, access)? {
                self.search_advance(thread, PAGE_SIZE - offset % PAGE_SIZE);
                return Ok(Some(0));
            }
        }
        let mut spent = 0;
        let mut granule = resolved.offset / GRANULE as usize;
        while granule < GRANULES && spent < BUDGET {
            let registers = self.thread(thread).context.registers;
            if registers.rdx == 0 || registers.r8 == 0 {
                break;
            }
            let found = self.flob_at(resolved.frame, granule);
            let is_kind = |id: FlobId| self.kind_of(id).is_some_and(|kind| kind as usize == wanted);
            if let Some(id) = found.filter(|id| wanted == 0 || is_kind(*id)) {
                match report(self, id, registers.rsi - registers.rsi % GRANULE)? {
                    Some(cost) => spent += cost,
                    None => return Ok(None),
                }
            }
            self.search_advance(thread, GRANULE - registers.rsi % GRANULE);
            granule += 1;
        }
        Ok(Some(spent))
    }

    /// Whether the denials of the levels above a place of the caller's own space have been lifted for that. A keeper that may still
    /// do so is asked.
    fn is_lifted(&mut self, place: Option<(FlobId, u64)>, access: Protection) -> Result<bool, Trap> {
        let Some((space, address)) = place else { return Ok(false) };
        if self.entered((space, address), access).is_some() {
            return Ok(true);
        }
        let Err(Miss::Region { region, .. }) = self.resolve(space, address, access, None) else {
            return Ok(false);
        };
        let keeper = self.live(self.region(region).and_then(|region| region.keeper));
        keeper.map_or(Ok(false), |_| Err(Trap::Fault { address, access }))
    }

    /// Writes what was found to the caller's array; `region_dirty` does so too.
    pub(crate) fn search_report(&mut self, thread: ThreadId, space: FlobId, found: &[u8]) -> Reported {
        let array = self.thread(thread).context.registers.r10;
        let buffer = self.user_buffer(space, array, found.len(), Protection::WRITE)?;
        self.write_buffer(buffer, found);
        self.search_filled(thread, found.len(), 1);
        Ok(Some(1))
    }

    /// So many bytes were reported, which took so much of the room.
    fn search_filled(&mut self, thread: ThreadId, bytes: usize, room: u64) {
        let record = self.thread_mut(thread);
        record.note(Protection::WRITE, record.context.registers.r10, bytes);
        let registers = &mut record.context.registers;
        registers.r10 = registers.r10.wrapping_add(bytes as u64);
        registers.r8 = registers.r8.saturating_sub(room);
    }

    /// The state and the links of a flob, which is stopped if it is a thread.
    fn export_report(
        &mut self,
        thread: ThreadId,
        space: FlobId,
        (region, window): (FlobId, Option<Window>),
        id: FlobId,
        offset: u64,
    ) -> Reported {
        if id == thread.into() {
            return Trap::misuse(Misuse::CurrentThread, offset);
        }
        let Some(kind) = self.kind_of(id) else { return Ok(Some(0)) };
        let (size, registers) = (Exported::size_of(kind), self.thread(thread).context.registers);
        if registers.r8 < size as u64 {
            return Ok(None);
        }
        let buffer = self.user_buffer(space, registers.r10, size, Protection::WRITE)?;
        let mut head = Exported { offset, kind: kind as u32, size: size as u32, ..Exported::default() };
        for (index, (link, target)) in head.links.iter_mut().zip(self.links(id)).enumerate() {
            let Some(target) = target else { continue };
            let inside = window.and_then(|window| offset_in(window, self.place_of(target)?));
            let inside = if target == region { Some(Exported::ITSELF) } else { inside };
            head.inside |= u64::from(inside.is_some()) << index;
            *link = inside.or_else(|| self.hash_of(target)).unwrap_or(0);
        }
        self.write_buffer(buffer.part(0, size_of::<Exported>()), head.as_bytes());
        self.export_state(id, buffer.part(size_of::<Exported>(), state_size(kind)), group::ALL);
        self.search_filled(thread, size, size as u64);
        Ok(Some(size / BYTES_PER_COST))
    }

    /// Where in physical memory a region lies, if in one piece: then each flob in it has one offset only.
    fn window_of(&mut self, region: FlobId) -> Option<Window> {
        let size = self.region(region)?.size;
        let first = self.resolve_in_region(region, 0)?;
        (self.run_in_region(region, 0) >= size).then_some((first.frame, size))
    }

    /// The range that is left to be searched begins later.
    pub(crate) fn search_advance(&mut self, thread: ThreadId, step: u64) {
        let registers = &mut self.thread_mut(thread).context.registers;
        let step = step.min(registers.rdx);
        registers.rsi = registers.rsi.wrapping_add(step);
        registers.rdx -= step;
    }
}
