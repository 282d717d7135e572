//! Regions: exportable ranges of a space.

use flob_abi::{PAGE_SIZE, Protection, RegionState, Status, memory::USER_END};

use crate::arena::Arena;
use crate::kernel::Kernel;
use crate::list::{List, Node};
use crate::machine::Machine;
use crate::record::{Body, FlobId, Object, Region};
use crate::state::{BATCH, NewLinks};

/// A region that was never set.
pub(crate) const EMPTY: Region = Region {
    start: 0,
    size: 0,
    protection: Protection::NONE,
    space: None,
    keeper: None,
    moved: 0,
    mappings: List::EMPTY,
    in_space: Node::ALONE,
};

/// Whether a range of pages can be in a space.
pub(crate) fn is_page_range(start: u64, size: u64) -> bool {
    let aligned = start.is_multiple_of(PAGE_SIZE) && size.is_multiple_of(PAGE_SIZE);
    aligned && start.checked_add(size).is_some_and(|end| end <= USER_END)
}

/// The node by which a region is among those of its space.
pub(crate) fn region_node(object: &mut Object) -> Option<&mut Node> {
    match &mut object.body {
        Body::Region(region) => Some(&mut region.in_space),
        _ => None,
    }
}

impl Region {
    pub(crate) fn state(&self, hash: u64) -> RegionState {
        RegionState { hash, start: self.start, size: self.size, protection: self.protection.0, reserved: 0 }
    }
}

impl<M: Machine> Kernel<M> {
    pub(crate) fn set_region(&mut self, id: FlobId, state: Option<RegionState>, links: NewLinks) -> Status {
        if let Some(state) = state {
            let good = is_page_range(state.start, state.size) && state.protection & !Protection::ALL.0 == 0;
            if !good {
                return Status::InvalidState;
            }
        }
        self.flush_region(id);
        self.unlink_region(id);
        let place = |region: &Region| (region.start, region.size, region.space);
        let before = self.region(id).map(place);
        let [space, keeper, ..] = links;
        if let Some(region) = self.region_mut(id) {
            if let Some(state) = state {
                region.start = state.start;
                region.size = state.size;
                region.protection = Protection(state.protection);
            }
            region.space = space.unwrap_or(region.space);
            region.keeper = keeper.unwrap_or(region.keeper);
        }
        self.link_region(id);
        if self.region(id).map(place) != before {
            self.note_moved(id);
        }
        Status::Success
    }

    /// Takes a region out of its space's list.
    pub(crate) fn unlink_region(&mut self, id: FlobId) {
        self.change_regions(id, |objects, list| objects.unlink(list, id.0.index(), region_node));
    }

    /// Puts a region into its space's list.
    pub(crate) fn link_region(&mut self, id: FlobId) {
        self.change_regions(id, |objects, list| objects.push_back(list, id.0.index(), region_node));
    }

    /// Changes the list of its space.
    fn change_regions(&mut self, id: FlobId, change: impl FnOnce(&mut Arena<Object>, &mut List)) {
        let Some(space) = self.region(id).and_then(|region| region.space) else { return };
        let Some(mut list) = self.space(space).map(|space| space.regions) else { return };
        change(&mut self.objects, &mut list);
        if let Some(space) = self.space_mut(space) {
            space.regions = list;
        }
    }

    /// Before a region is destroyed: its mappings show nothing then. False if there are more of them than one entry may
    /// take.
    pub(crate) fn detach_region(&mut self, id: FlobId) -> bool {
        self.flush_region(id);
        for _ in 0..BATCH {
            let Some(mapping) = self.region(id).and_then(|region| self.objects.id_at(region.mappings.head))
            else {
                self.unlink_region(id);
                return true;
            };
            self.unlink_from_region(FlobId(mapping));
            if let Some(mapping) = self.mapping_mut(FlobId(mapping)) {
                mapping.region = None;
            }
        }
        false
    }
}
