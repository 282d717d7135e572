//! References: the links that programs hold.

use flob_abi::{FlobKind, Protection, Status};

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::outcome::{Args, Outcome, SUCCESS, status};
use crate::record::ThreadId;

/// Mappings that `reference_locate` looks at before it gives up.
const LOCATE_BUDGET: u32 = 200;

impl<M: Machine> Kernel<M> {
    /// `reference_copy`.
    pub(crate) fn reference_copy(&mut self, _: ThreadId, args: Args) -> Outcome {
        let space = self.callers_space();
        let target = self.find_target(space, args.rdi)?;
        let to = self.find(space, args.rsi, FlobKind::Reference, Protection::WRITE)?;
        if let Some(to) = self.reference_mut(to) {
            to.target = target;
        }
        SUCCESS
    }

    /// `reference_compare`.
    pub(crate) fn reference_compare(&mut self, _: ThreadId, args: Args) -> Outcome {
        let space = self.callers_space();
        let one = self.find_target(space, args.rdi)?;
        let other = self.find_target(space, args.rsi)?;
        if one == other { SUCCESS } else { status(Status::Different) }
    }

    /// `reference_check`.
    pub(crate) fn reference_check(&mut self, _: ThreadId, args: Args) -> Outcome {
        let space = self.callers_space();
        match self.find_target(space, args.rdi)? {
            Some(_) => SUCCESS,
            None => status(Status::NullReference),
        }
    }

    /// `reference_type`.
    pub(crate) fn reference_type(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let space = self.callers_space();
        let target = self.find_target(space, args.rdi)?;
        let kind = target.and_then(|id| self.kind_of(id)).map_or(0, |kind| kind as u64);
        self.thread_mut(thread).context.registers.rdi = kind;
        SUCCESS
    }

    /// `reference_hash`.
    pub(crate) fn reference_hash(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let space = self.callers_space();
        let target = self.find_target(space, args.rdi)?;
        let hash = target.and_then(|id| self.hash_of(id)).unwrap_or(0);
        self.thread_mut(thread).context.registers.rdi = hash;
        SUCCESS
    }

    /// `reference_locate`.
    pub(crate) fn reference_locate(&mut self, thread: ThreadId, args: Args) -> Outcome {
        let space = self.callers_space();
        let target = self.find_target(space, args.rdi)?;
        let region = self.find(space, args.rsi, FlobKind::Region, Protection::READ)?;
        let place = target.and_then(|id| self.place_of(id));
        let mut budget = LOCATE_BUDGET;
        let offset = place.and_then(|place| self.locate(region, place.frame, place.offset, &mut budget));
        let Some(offset) = offset else { return status(Status::NotFound) };
        self.thread_mut(thread).context.registers.rdi = offset;
        SUCCESS
    }
}
