//! Mappings: imports of a range of a region into a space.

use flob_abi::{MappingState, PAGE_SIZE, Protection, Status};

use crate::kernel::Kernel;
use crate::list::{NONE, Node};
use crate::machine::Machine;
use crate::record::{Body, FlobId, Mapping, Object};
use crate::region::is_page_range;
use crate::state::NewLinks;
use crate::tree::{Branch, Sorted};

/// A mapping that was never set.
pub(crate) const EMPTY: Mapping = Mapping {
    offset: 0,
    start: 0,
    size: 0,
    protection: Protection::NONE,
    region: None,
    space: None,
    in_space: Branch::ALONE,
    in_region: Node::ALONE,
};

/// The mappings of a space: by start, and where that is equal by whatever else the state says, so that the same state
/// always shows the same memory.
pub(crate) struct InSpace;

impl Sorted<Object> for InSpace {
    type Key = (u64, u64, u64, u64, u32);

    #[inline]
    fn branch(object: &Object) -> Option<&Branch> {
        match &object.body {
            Body::Mapping(mapping) => Some(&mapping.in_space),
            _ => None,
        }
    }

    fn branch_mut(object: &mut Object) -> Option<&mut Branch> {
        match &mut object.body {
            Body::Mapping(mapping) => Some(&mut mapping.in_space),
            _ => None,
        }
    }

    fn key(index: u32, object: &Object) -> Option<Self::Key> {
        match &object.body {
            Body::Mapping(mapping) => Some((mapping.start, mapping.size, mapping.offset, object.hash, index)),
            _ => None,
        }
    }

    #[inline]
    fn end(object: &Object) -> u64 {
        match &object.body {
            Body::Mapping(mapping) => mapping.start.saturating_add(mapping.size),
            _ => 0,
        }
    }
}

/// Where a mapping begins.
#[inline]
pub(crate) fn start(object: &Object) -> u64 {
    match &object.body {
        Body::Mapping(mapping) => mapping.start,
        _ => 0,
    }
}

/// The node by which a mapping is among those of its region.
fn region_node(object: &mut Object) -> Option<&mut Node> {
    match &mut object.body {
        Body::Mapping(mapping) => Some(&mut mapping.in_region),
        _ => None,
    }
}

impl Mapping {
    pub(crate) fn state(&self, hash: u64) -> MappingState {
        MappingState {
            hash,
            offset: self.offset,
            start: self.start,
            size: self.size,
            protection: self.protection.0,
            reserved: 0,
        }
    }
}

impl<M: Machine> Kernel<M> {
    pub(crate) fn set_mapping(&mut self, id: FlobId, state: Option<MappingState>, links: NewLinks) -> Status {
        if let Some(state) = state {
            let good = is_page_range(state.start, state.size)
                && state.offset.is_multiple_of(PAGE_SIZE)
                && state.offset.checked_add(state.size).is_some()
                && state.protection & !Protection::ALL.0 == 0;
            if !good {
                return Status::InvalidState;
            }
        }
        let place =
            |mapping: &Mapping| (mapping.offset, mapping.start, mapping.size, mapping.region, mapping.space);
        let before = self.mapping(id).map(place);
        self.flush_mapping(id);
        self.unlink_mapping(id);
        let [region, space, ..] = links;
        if let Some(mapping) = self.mapping_mut(id) {
            if let Some(state) = state {
                mapping.offset = state.offset;
                mapping.start = state.start;
                mapping.size = state.size;
                mapping.protection = Protection(state.protection);
            }
            mapping.region = region.unwrap_or(mapping.region);
            mapping.space = space.unwrap_or(mapping.space);
        }
        self.link_mapping(id);
        let after = self.mapping(id).map(place);
        if after != before {
            self.note_remapped(before.and_then(|(.., space)| space));
            self.note_remapped(after.and_then(|(.., space)| space));
        }
        // It may hide another mapping now.
        self.flush_mapping(id);
        Status::Success
    }

    /// Forgets what is derived from a mapping and takes it out of its lists.
    pub(crate) fn detach_mapping(&mut self, id: FlobId) {
        self.flush_mapping(id);
        self.note_remapped(self.mapping(id).and_then(|mapping| mapping.space));
        self.unlink_mapping(id);
    }

    /// Takes a mapping out of the lists of its space and region.
    fn unlink_mapping(&mut self, id: FlobId) {
        self.unlink_from_space(id);
        self.unlink_from_region(id);
    }

    /// Takes a mapping out of its space's list; its link must change with that.
    pub(crate) fn unlink_from_space(&mut self, id: FlobId) {
        let space = self.mapping(id).and_then(|mapping| mapping.space);
        if let Some((space, root)) = space.and_then(|space| Some((space, self.space(space)?.mappings))) {
            let root = self.objects.tree_remove::<InSpace>(root, id.0.index());
            self.set_space_mappings(space, root);
        }
    }

    /// Takes a mapping out of its region's list; its link must change with that.
    pub(crate) fn unlink_from_region(&mut self, id: FlobId) {
        let region = self.mapping(id).and_then(|mapping| mapping.region);
        if let Some((region, mut list)) =
            region.and_then(|region| Some((region, self.region(region)?.mappings)))
        {
            self.objects.unlink(&mut list, id.0.index(), region_node);
            self.set_region_mappings(region, list);
        }
    }

    /// Puts a mapping into the lists of its space (by start) and region.
    pub(crate) fn link_mapping(&mut self, id: FlobId) {
        let Some(Mapping { space, region, .. }) = self.mapping(id).cloned() else { return };
        if let Some((space, root)) = space.and_then(|space| Some((space, self.space(space)?.mappings))) {
            let root = self.objects.tree_insert::<InSpace>(root, id.0.index());
            self.set_space_mappings(space, root);
        }
        if let Some((region, mut list)) =
            region.and_then(|region| Some((region, self.region(region)?.mappings)))
        {
            self.objects.push_back(&mut list, id.0.index(), region_node);
            self.set_region_mappings(region, list);
        }
    }

    fn set_space_mappings(&mut self, space: FlobId, root: u32) {
        if let Some(space) = self.space_mut(space) {
            space.mappings = root;
        }
    }

    fn set_region_mappings(&mut self, region: FlobId, list: crate::list::List) {
        if let Some(region) = self.region_mut(region) {
            region.mappings = list;
        }
    }

    /// Forgets the lists of regions, mappings and ports, and builds them again from their links.
    pub(crate) fn rebuild_lists(&mut self) {
        for index in 0..self.objects.end() {
            let Some(object) = self.objects.at_mut(index) else { continue };
            match &mut object.body {
                Body::Space(space) => {
                    space.mappings = NONE;
                    space.regions = crate::list::List::EMPTY;
                }
                Body::Region(region) => {
                    region.mappings = crate::list::List::EMPTY;
                    region.in_space = Node::ALONE;
                }
                Body::Mapping(mapping) => {
                    (mapping.in_space, mapping.in_region) = (Branch::ALONE, Node::ALONE)
                }
                Body::PortSet(set) => {
                    (set.ports, set.pending) = (crate::list::List::EMPTY, crate::list::List::EMPTY)
                }
                Body::Port(port) => port.in_set = Node::ALONE,
                _ => {}
            }
        }
        for index in 0..self.objects.end() {
            let Some(id) = self.objects.id_at(index).map(FlobId) else { continue };
            self.link_region(id);
            self.link_mapping(id);
            self.link_port(id);
        }
    }
}
