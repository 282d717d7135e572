//! `region_search`: which flobs are in a range of memory. Its progress is in its arguments.

use flob_abi::{FlobKind, Misuse, PAGE_SIZE, Protection, call::Found, flob::GRANULE};
use zerocopy::IntoBytes;

use crate::kernel::{GRANULES, Kernel};
use crate::machine::Machine;
use crate::outcome::{Args, Done, Outcome, SUCCESS, Trap};
use crate::record::{FlobId, ThreadId};

/// What one kernel entry may do: a page, whatever is in it, counts for several flobs.
const BUDGET: usize = 48;
const PAGE_COST: usize = 6;
/// Most empty frames that are passed over at once.
const MOST_EMPTY: u32 = 4096;
const FOUND_SIZE: usize = size_of::<Found>();

impl<M: Machine> Kernel<M> {
    /// `region_search`.
    pub(crate) fn region_search(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let space = self.own_space(thread)?;
        let region = self.find(space, args.rdi, FlobKind::Region, Protection::READ)?;
        if args.rsi.checked_add(args.rdx).is_none() {
            return Trap::misuse(Misuse::InvalidAddress, args.rdx);
        }
        let mut spent = 0;
        while spent < BUDGET {
            let registers = self.thread(thread).context.registers;
            if registers.rdx == 0 || registers.r8 == 0 {
                return SUCCESS;
            }
            spent += PAGE_COST + self.search_page(thread, space, region)?;
        }
        Ok(Done::Again)
    }

    /// Searches from the offset in the registers to the end of its page, or until the array is full. Returns how many flobs
    /// it has reported.
    fn search_page(&mut self, thread: ThreadId, space: FlobId, region: FlobId) -> Result<usize, Trap> {
        let offset = self.thread(thread).context.registers.rsi;
        let Some(resolved) = self.resolve_in_region(region, offset) else {
            let size = self.region(region).map_or(0, |region| region.size);
            // Beyond the region is nothing at all.
            let step = if offset >= size { u64::MAX } else { PAGE_SIZE - offset % PAGE_SIZE };
            self.search_advance(thread, step);
            return Ok(0);
        };
        let empty = self.empty_frames(resolved.frame, MOST_EMPTY);
        if empty > 0 {
            // What is not whole at the run's end counts as a page of its own.
            let run = self.run_in_region(region, offset) / PAGE_SIZE;
            let pages = u64::from(empty).min(run).max(1);
            self.search_advance(thread, pages * PAGE_SIZE - offset % PAGE_SIZE);
            return Ok(0);
        }
        let mut reported = 0;
        let mut granule = resolved.offset / GRANULE as usize;
        while granule < GRANULES {
            let registers = self.thread(thread).context.registers;
            if registers.rdx == 0 || registers.r8 == 0 {
                break;
            }
            if let Some(kind) = self.flob_at(resolved.frame, granule).and_then(|id| self.kind_of(id)) {
                let start = registers.rsi - registers.rsi % GRANULE;
                self.search_report(thread, space, Found { offset: start, kind: kind as u32, reserved: 0 })?;
                reported += 1;
            }
            self.search_advance(thread, GRANULE - registers.rsi % GRANULE);
            granule += 1;
        }
        Ok(reported)
    }

    fn search_report(&mut self, thread: ThreadId, space: FlobId, found: Found) -> Result<(), Trap> {
        let array = self.thread(thread).context.registers.r10;
        let buffer = self.user_buffer(space, array, FOUND_SIZE, Protection::WRITE)?;
        self.write_buffer(buffer, found.as_bytes());
        let registers = &mut self.thread_mut(thread).context.registers;
        registers.r10 = registers.r10.wrapping_add(FOUND_SIZE as u64);
        registers.r8 = registers.r8.saturating_sub(1);
        Ok(())
    }

    fn search_advance(&mut self, thread: ThreadId, step: u64) {
        let registers = &mut self.thread_mut(thread).context.registers;
        let step = step.min(registers.rdx);
        registers.rsi = registers.rsi.wrapping_add(step);
        registers.rdx -= step;
    }
}
