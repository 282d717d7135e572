//! From an address to a frame: mapping → region → that region's space → its mapping … until the first space's physical
//! window. Access is limited by every level. Iterative, and bounded by [`MAX_LEVELS`].

use flob_abi::{PAGE_SIZE, Protection, memory::MAX_LEVELS, memory::PHYSICAL_WINDOW, memory::USER_END};

use crate::kernel::Kernel;
use crate::list::NONE;
use crate::machine::{Frame, Machine, Page};
use crate::mapping::{self, InSpace};
use crate::record::{Body, FlobId, Mapping, Object};

/// A byte of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub frame: Frame,
    /// In the frame, in bytes.
    pub offset: usize,
    /// What all levels allow.
    pub access: Protection,
}

/// Why an address cannot be reached: a hard fault, and whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Miss {
    /// No mapping, or denied by the mapping itself: the space's keeper is asked.
    Mapping,
    /// Denied or absent at this region: its keeper is asked.
    Region { region: FlobId, offset: u64 },
}

impl<M: Machine> Kernel<M> {
    /// Resolves an address of a space for an access. Denials of the region `lifted` do not count, nor do those behind it of which
    /// the region's own space is free at that page: its keeper may have had them lifted for itself.
    pub(crate) fn resolve(
        &mut self,
        space: FlobId,
        address: u64,
        access: Protection,
        lifted: Option<FlobId>,
    ) -> Result<Resolved, Miss> {
        let mut place = (space, address);
        let mut allowed = Protection::ALL;
        let mut blame = Miss::Mapping;
        for _ in 0..MAX_LEVELS {
            let (space, address) = place;
            let Some(record) = self.space(space) else { return Err(blame) };
            let Some(mapping) = self.mapping_in(record.mappings, address) else {
                return self.physical(space, address, allowed).ok_or(blame);
            };
            let (protection, region, inner) =
                (mapping.protection, mapping.region, mapping.offset.saturating_add(address - mapping.start));
            if !protection.allows(access) {
                return Err(blame);
            }
            allowed = allowed.and(protection);
            let Some((id, region)) = region.and_then(|id| Some((id, self.region(id)?))) else {
                return Err(blame);
            };
            blame = Miss::Region { region: id, offset: inner };
            if inner >= region.size {
                return Err(blame);
            }
            let Some(outer) = region.space else { return Err(blame) };
            place = (outer, region.start.saturating_add(inner));
            if lifted != Some(id) {
                if !region.protection.allows(access) {
                    return Err(blame);
                }
                allowed = allowed.and(region.protection);
            } else if let Some((frame, entered)) = self.entered(place, access) {
                let offset = (place.1 % PAGE_SIZE) as usize;
                return Ok(Resolved { frame, offset, access: allowed.and(entered) });
            }
        }
        Err(blame)
    }

    /// The translation at hand of a space's address, if it allows the access.
    #[cold]
    pub(crate) fn entered(&self, place: (FlobId, u64), access: Protection) -> Option<(Frame, Protection)> {
        let page = Page(place.1 / PAGE_SIZE);
        self.machine.translation(place.0.key(), page).filter(|(_, entered)| entered.allows(access))
    }

    /// Resolves an offset of a region, whatever it allows.
    pub(crate) fn resolve_in_region(&mut self, region: FlobId, offset: u64) -> Option<Resolved> {
        let record = self.region(region)?;
        if offset >= record.size {
            return None;
        }
        let (space, address) = (record.space?, record.start.checked_add(offset)?);
        self.resolve(space, address, Protection::NONE, None).ok()
    }

    /// How many bytes, from the page of this offset of a region on, lie behind each other in physical memory. 0 for what is
    /// not there.
    pub(crate) fn run_in_region(&self, region: FlobId, offset: u64) -> u64 {
        let (mut id, mut inner, mut run) = (region, offset - offset % PAGE_SIZE, u64::MAX);
        for _ in 0..MAX_LEVELS {
            let Some(region) = self.region(id) else { return 0 };
            let Some(space) = region.space else { return 0 };
            let address = region.start.saturating_add(inner);
            run = run.min(region.size.saturating_sub(inner));
            let Some((next, offset, left)) = self.shown_at(space, address) else {
                return run.min(self.physical_run(space, address));
            };
            (id, inner, run) = (next, offset, run.min(left));
        }
        0
    }

    /// What a mapping shows at an address of a space: a region, the offset in it, and how many bytes of the mapping are left.
    pub(crate) fn shown_at(&self, space: FlobId, address: u64) -> Option<(FlobId, u64, u64)> {
        let mapping = self.mapping_at(space, address)?;
        let skipped = address - mapping.start;
        Some((mapping.region?, mapping.offset.saturating_add(skipped), mapping.size.saturating_sub(skipped)))
    }

    /// How far the first space's own memory reaches, from an address that no mapping covers.
    pub(crate) fn physical_run(&self, space: FlobId, address: u64) -> u64 {
        let end = PHYSICAL_WINDOW.saturating_add(u64::from(self.window.end) * PAGE_SIZE).min(USER_END);
        let root = self.space(space).map_or(NONE, |space| space.mappings);
        let next = self.objects.at(self.objects.tree_reaching::<InSpace>(root, None, address));
        let next = next.map_or(u64::MAX, mapping::start);
        end.min(next).saturating_sub(address)
    }

    /// The mapping that covers an address of a space; of several the one that starts lowest.
    pub(crate) fn mapping_at(&self, space: FlobId, address: u64) -> Option<&Mapping> {
        self.mapping_in(self.space(space)?.mappings, address)
    }

    /// The same of the tree of a space's mappings.
    #[inline(always)]
    fn mapping_in(&self, root: u32, address: u64) -> Option<&Mapping> {
        match &self.objects.at(self.objects.tree_find::<InSpace>(root, address, mapping::start))?.body {
            Body::Mapping(mapping) => Some(mapping),
            _ => None,
        }
    }

    fn mapping_index(&self, space: FlobId, address: u64) -> Option<u32> {
        let root = self.space(space)?.mappings;
        Some(self.objects.tree_find::<InSpace>(root, address, mapping::start)).filter(|index| *index != NONE)
    }

    /// The first space's own memory.
    #[inline(always)]
    fn physical(&self, space: FlobId, address: u64, access: Protection) -> Option<Resolved> {
        if self.root != Some(space) || address >= USER_END {
            return None;
        }
        let physical = address.checked_sub(PHYSICAL_WINDOW)?;
        let frame = u32::try_from(physical / PAGE_SIZE).ok().filter(|frame| self.window.contains(frame))?;
        Some(Resolved { frame: Frame(frame), offset: (physical % PAGE_SIZE) as usize, access })
    }

    /// The offset in a region at which a place in physical memory is seen: the inverse of `resolve_in_region`. The lowest,
    /// if there are several. `budget` bounds the mappings looked at: mappings may run in circles.
    pub(crate) fn locate(&self, region: FlobId, frame: Frame, offset: u16, budget: &mut u32) -> Option<u64> {
        self.locate_level(region, frame, offset, MAX_LEVELS, budget)
    }

    fn locate_level(
        &self,
        region: FlobId,
        frame: Frame,
        offset: u16,
        levels: usize,
        budget: &mut u32,
    ) -> Option<u64> {
        let levels = levels.checked_sub(1)?;
        let record = self.region(region)?;
        let space = record.space?;
        let within = |address: u64| address.checked_sub(record.start).filter(|offset| *offset < record.size);
        let mut best: Option<u64> = None;
        let mut consider = |offset: Option<u64>| {
            if let Some(offset) = offset {
                best = Some(best.map_or(offset, |old| old.min(offset)));
            }
        };
        if self.root == Some(space) && self.window.contains(&frame.0) {
            let address = PHYSICAL_WINDOW + u64::from(frame.0) * PAGE_SIZE + u64::from(offset);
            consider(within(address).filter(|_| self.mapping_index(space, address).is_none()));
        }
        let root = self.space(space)?.mappings;
        let mut index = self.objects.tree_reaching::<InSpace>(root, None, record.start);
        while let Some(Object { body: Body::Mapping(mapping), .. }) = self.objects.at(index)
            && mapping.start < record.start.saturating_add(record.size)
        {
            let this = index;
            index = self.objects.tree_reaching::<InSpace>(root, Some(this), record.start);
            match budget.checked_sub(1) {
                Some(left) => *budget = left,
                None => return best,
            }
            let Some(inner) = mapping.region else { continue };
            if let Some(found) = self.locate_level(inner, frame, offset, levels, budget) {
                let seen = found.checked_sub(mapping.offset).filter(|offset| *offset < mapping.size);
                let address = seen.and_then(|offset| mapping.start.checked_add(offset));
                // Another mapping may hide this one there.
                let visible = |address: &u64| self.mapping_index(space, *address) == Some(this);
                consider(address.filter(visible).and_then(within));
            }
        }
        best
    }
}
