//! Mappings.

use flob_abi::{Call, MappingState, Protection, Status};

use super::{FlobAt, Links, Reference, storage};
use crate::call;

storage! {
    /// Memory for a mapping flob. Links: region, space.
    Mapping, MappingState, 512
}

impl FlobAt<Mapping> {
    /// Creates it and maps `size` bytes of `region` from `offset` on to `start` in `space`.
    pub fn map(
        self,
        (region, offset): (FlobAt<Reference>, u64),
        (space, start): (FlobAt<Reference>, u64),
        size: u64,
        protection: Protection,
    ) -> Result<(), Status> {
        self.create()?;
        let state = MappingState { hash: 0, offset, start, size, protection: protection.0, reserved: 0 };
        self.set_state(&state, &Links::of(&[region, space]))
    }

    /// `mapping_protect`: what is allowed through it, from now on.
    pub fn protect(self, protection: Protection) -> Result<(), Status> {
        call::run(Call::MappingProtect, self.address(), u64::from(protection.0))
    }
}
