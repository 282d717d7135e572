//! Spaces: grants, keeper, debug port.

use flob_abi::{MAX_PRIORITY, PortRange, SpaceState, Status, space_flag};

use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::record::{FlobId, NOWHERE, Space, Thread, ThreadId};
use crate::state::NewLinks;

/// Exceptions for which one entry finds a keeper.
const DISPATCHED: usize = 4;

impl Space {
    pub(crate) fn state(&self, hash: u64) -> SpaceState {
        SpaceState {
            hash,
            flags: self.flags,
            ceiling: self.ceiling,
            interrupts: self.interrupts,
            ports: self.ports,
        }
    }

    /// Whether everything that `wanted` grants is granted here too.
    fn covers(&self, wanted: &SpaceState) -> bool {
        let port = |range: &PortRange| {
            let end = |range: &PortRange| u32::from(range.first) + u32::from(range.count);
            let inside = |own: &PortRange| own.first <= range.first && end(range) <= end(own);
            range.count == 0 || self.ports.iter().any(inside)
        };
        wanted.ceiling <= self.ceiling
            && wanted.interrupts & !self.interrupts == 0
            && wanted.ports.iter().all(port)
    }
}

impl<M: Machine> Kernel<M> {
    /// A new space: no devices, its creator's ceiling and debug port.
    pub(crate) fn new_space(&self, creator: FlobId) -> Space {
        let creator = self.space(creator).cloned().unwrap_or_default();
        Space { ceiling: creator.ceiling, debug_port: creator.debug_port, ..Space::default() }
    }

    /// Sets state and links. `None` if there is more to do: the same again.
    pub(crate) fn set_space(
        &mut self,
        setter: ThreadId,
        id: FlobId,
        state: Option<SpaceState>,
        links: NewLinks,
    ) -> Option<Status> {
        if let Some(state) = state {
            if state.flags & !space_flag::ALL != 0 || state.ceiling > MAX_PRIORITY {
                return Some(Status::InvalidState);
            }
            let own = self.space_of(setter).and_then(|space| self.space(space));
            if !own.is_some_and(|own| own.covers(&state)) {
                return Some(Status::NotPermitted);
            }
            let old = self.space(id).map_or(0, |space| space.ceiling);
            // One ceiling at a time changes.
            if old != state.ceiling && self.arrears {
                return None;
            }
            if let Some(space) = self.space_mut(id) {
                space.flags = state.flags;
                space.ceiling = state.ceiling;
                space.interrupts = state.interrupts;
                space.ports = state.ports;
            }
            if old < state.ceiling {
                self.resort(old..=state.ceiling.saturating_sub(1));
            } else if old > state.ceiling {
                self.resort(state.ceiling.saturating_add(1)..=old);
            }
            self.reconsider = true;
            self.current_space = NOWHERE;
        }
        if let Some(space) = self.space_mut(id) {
            let [keeper, debug_port, ..] = links;
            space.keeper = keeper.unwrap_or(space.keeper);
            space.debug_port = debug_port.unwrap_or(space.debug_port);
        }
        // Threads whose exception found no keeper ask again.
        (self.retry_exceptions(id) && self.first_stale().is_none()).then_some(Status::Success)
    }

    /// Threads whose exception found nobody to handle it are dispatched once more. False if there are more of them than
    /// one entry may.
    fn retry_exceptions(&mut self, id: FlobId) -> bool {
        for _ in 0..DISPATCHED {
            let lost = |kernel: &Self, _, thread: &Thread| kernel.is_lost(thread, id);
            let Some(thread) = self.find_going_waiter(id, lost) else { return true };
            self.dispatch_again(thread);
        }
        false
    }

    /// Whether somebody would handle a thread's exception that waits for its space.
    fn is_lost(&self, thread: &Thread, space: FlobId) -> bool {
        let Some(space) = self.space(space) else { return true };
        let code = flob_abi::ExceptionCode::from_number(thread.exception.code);
        let is_debug = code.is_some_and(flob_abi::ExceptionCode::is_debug);
        self.live(space.keeper).is_some() || is_debug && self.live(space.debug_port).is_some()
    }

    /// Before a space is destroyed: its regions and mappings are of no space then. False if there are more of them than one
    /// entry may take.
    pub(crate) fn detach_space(&mut self, id: FlobId) -> bool {
        let Some(space) = self.space(id) else { return true };
        let (mapping, region) = (space.mappings, space.regions.head);
        // One of them is as much as one entry may take: forgetting what is derived from it is long.
        if let Some(mapping) = self.objects.id_at(mapping).map(FlobId) {
            self.flush_mapping(mapping);
            self.unlink_from_space(mapping);
            if let Some(mapping) = self.mapping_mut(mapping) {
                mapping.space = None;
            }
            return false;
        }
        if let Some(region) = self.objects.id_at(region).map(FlobId) {
            self.flush_region(region);
            self.unlink_region(region);
            if let Some(region) = self.region_mut(region) {
                region.space = None;
            }
            return false;
        }
        self.current_space = NOWHERE;
        // Its threads that were ready are not.
        self.resort(0..=MAX_PRIORITY);
        self.machine.forget_space(id.key());
        true
    }
}
