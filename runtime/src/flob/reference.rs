//! References: how a program holds and passes links.

use alloc::boxed::Box;

use flob_abi::{Call, FlobKind, ReferenceState, Status};

use super::{FlobAt, Region, storage};
use crate::call;

storage! {
    /// Memory for a reference flob. Link: its target.
    Reference, ReferenceState, 512
}

impl FlobAt<Reference> {
    /// `reference_copy`: `to` names the same flob afterwards, or nothing if this is null.
    pub fn copy_to(self, to: Self) -> Result<(), Status> {
        call::run(Call::ReferenceCopy, self.address(), to.address())
    }

    /// `reference_compare`: whether both name the same flob (or both nothing).
    pub fn same_as(self, other: Self) -> bool {
        call::run(Call::ReferenceCompare, self.address(), other.address()).is_ok()
    }

    /// `reference_type`: the kind of the target, `None` for a null reference.
    pub fn target_kind(self) -> Option<FlobKind> {
        let [kind, ..] = call::plain(u64::from(Call::ReferenceType as u32), self.address(), 0).values;
        FlobKind::from_number(u32::try_from(kind).ok()?)
    }

    /// `reference_hash`: the hash of the target, 0 for a null reference.
    pub fn target_hash(self) -> u64 {
        let [hash, ..] = call::plain(u64::from(Call::ReferenceHash as u32), self.address(), 0).values;
        hash
    }

    /// `reference_locate`: offset of the target in `region`.
    pub fn locate(self, region: FlobAt<Region>) -> Result<u64, Status> {
        let outcome = call::plain(u64::from(Call::ReferenceLocate as u32), self.address(), region.address());
        outcome.result()?;
        let [offset, ..] = outcome.values;
        Ok(offset)
    }

    /// `reference_check`: `NullReference` if it names nothing, or something that is gone.
    pub fn check(self) -> Result<(), Status> {
        call::run(Call::ReferenceCheck, self.address(), 0)
    }

    /// Whether it names nothing.
    pub fn is_null(self) -> bool {
        self.check().is_err()
    }
}

/// A reference flob on the heap, destroyed with its owner.
pub struct OwnedReference(Box<Reference>);

impl OwnedReference {
    /// A new one, null.
    pub fn new() -> Result<Self, Status> {
        let storage = Box::new(Reference::new());
        storage.at().create()?;
        Ok(Self(storage))
    }

    /// A copy of `from`.
    pub fn copy_of(from: FlobAt<Reference>) -> Result<Self, Status> {
        let own = Self::new()?;
        from.copy_to(own.at())?;
        Ok(own)
    }

    /// The flob.
    pub fn at(&self) -> FlobAt<Reference> {
        self.0.at()
    }
}

impl Drop for OwnedReference {
    fn drop(&mut self) {
        // Cannot fail: the flob was created with the box and nobody else destroys it.
        let _ = self.at().destroy();
    }
}
