//! Flobs whose kind is known only at run time, with their state as bytes: for those who list, save and rebuild them.

use flob_abi::*;

use super::{Common, FlobAt, Links, Reference};
use crate::call;

/// Bytes in the state of this kind.
pub const fn state_size(kind: FlobKind) -> usize {
    match kind {
        FlobKind::Space => size_of::<SpaceState>(),
        FlobKind::Thread => size_of::<ThreadState>(),
        FlobKind::Region => size_of::<RegionState>(),
        FlobKind::Mapping => size_of::<MappingState>(),
        FlobKind::Port => size_of::<PortState>(),
        FlobKind::PortSet => size_of::<PortSetState>(),
        FlobKind::Mutex => size_of::<MutexState>(),
        FlobKind::Condition => size_of::<ConditionState>(),
        FlobKind::Reference => size_of::<ReferenceState>(),
    }
}

/// `create` with a hash to take over; 0 for a new one.
pub fn create(kind: FlobKind, address: u64, hash: u64) -> Result<(), Status> {
    call::plain(Common::Create.of(kind), address, hash).result()
}

/// `destroy`.
pub fn destroy(kind: FlobKind, address: u64) -> Result<(), Status> {
    call::plain(Common::Destroy.of(kind), address, 0).result()
}

/// `reference`. Mappings and references have none: `NotFound`.
pub fn reference(kind: FlobKind, address: u64, to: FlobAt<Reference>) -> Result<(), Status> {
    if matches!(kind, FlobKind::Mapping | FlobKind::Reference) {
        return Err(Status::NotFound);
    }
    call::plain(Common::Reference.of(kind), address, to.address()).result()
}

/// `get_state` into `state`, which must have [`state_size`] bytes.
pub fn get_state(
    kind: FlobKind,
    address: u64,
    state: &mut [u8],
    links: &Links,
    mask: u64,
) -> Result<(), Status> {
    if state.len() < state_size(kind) {
        return Err(Status::InvalidState);
    }
    call::get_state(Common::GetState.of(kind), address, state, links.for_kind(kind), mask).result()
}

/// `get_state` of the links alone.
pub fn get_links(kind: FlobKind, address: u64, links: &Links) -> Result<(), Status> {
    call::get_links(Common::GetState.of(kind), address, links.for_kind(kind)).result()
}

/// `set_state` from `state`, which must have [`state_size`] bytes; `None` sets links only.
pub fn set_state(
    kind: FlobKind,
    address: u64,
    state: Option<&[u8]>,
    links: &Links,
    mask: u64,
) -> Result<(), Status> {
    if state.is_some_and(|state| state.len() < state_size(kind)) {
        return Err(Status::InvalidState);
    }
    call::set_state(Common::SetState.of(kind), address, state, links.for_kind(kind), mask).result()
}
