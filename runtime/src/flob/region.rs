//! Regions: exported ranges of a space.

use flob_abi::call::{Dirty, Found};
use flob_abi::{Call, FlobKind, Protection, RegionState, Status};

use super::{FlobAt, Links, Referable, Reference, storage};
use crate::call;

storage! {
    /// Memory for a region flob. Links: space, keeper.
    Region, RegionState, 512
}
impl Referable for Region {}

impl FlobAt<Region> {
    /// Creates it and exports `size` bytes from `start` on of `space`.
    pub fn export(
        self,
        space: FlobAt<Reference>,
        start: u64,
        size: u64,
        protection: Protection,
    ) -> Result<(), Status> {
        self.create()?;
        let state = RegionState { hash: 0, start, size, protection: protection.0, reserved: 0 };
        self.set_state(&state, &Links::of(&[space]))
    }

    /// `region_dirty`: one round over `size` bytes from `offset` on; fills `found` with the pages written since an epoch
    /// ([`call::epoch_begin`]).
    pub fn dirty(self, offset: u64, size: u64, found: &mut [Dirty], since: u64) -> Result<Search, Status> {
        let (count, offset, size) = call::region_dirty(self.address(), offset, size, found, since)?;
        Ok(Search { count, offset, size })
    }

    /// `region_export`: states and links of the flobs in `size` bytes from `offset` on, as far as there is room; what is filled counts
    /// in bytes. Threads are stopped.
    pub fn export_flobs(self, offset: u64, size: u64, buffer: &mut [u64]) -> Result<Search, Status> {
        let (count, offset, size) = call::region_export(self.address(), offset, size, buffer)?;
        Ok(Search { count, offset, size })
    }

    /// `region_protect`: what importers may do at most, from now on.
    pub fn protect(self, protection: Protection) -> Result<(), Status> {
        call::run(Call::RegionProtect, self.address(), u64::from(protection.0))
    }

    /// `region_search`: one round over `size` bytes from `offset` on; fills `found` with the flobs of this kind, or all.
    pub fn search(
        self,
        offset: u64,
        size: u64,
        found: &mut [Found],
        kind: Option<FlobKind>,
    ) -> Result<Search, Status> {
        let (count, offset, size) = call::region_search(self.address(), offset, size, found, kind)?;
        Ok(Search { count, offset, size })
    }
}

/// What a round of `region_search`, `region_dirty` or `region_export` did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// Entries, or bytes, filled.
    pub count: usize,
    /// Where to go on.
    pub offset: u64,
    /// How much is left to search; 0 at the end.
    pub size: u64,
}
