//! Ports and port sets.

use flob_abi::{PortSetState, PortState, Status};

use super::{FlobAt, Links, OwnedReference, Referable, Reference, storage};

storage! {
    /// Memory for a port flob. Link: its port set.
    Port, PortState, 512
}
impl Referable for Port {}

storage! {
    /// Memory for a port set flob.
    PortSet, PortSetState, 512
}
impl Referable for PortSet {}

impl FlobAt<Port> {
    /// Creates it in `set` (a reference to a port set) with this alias.
    pub fn open(self, set: FlobAt<Reference>, alias: u64) -> Result<(), Status> {
        self.create()?;
        self.set_state(&PortState { hash: 0, alias }, &Links::of(&[set]))
    }

    /// As [`Self::open`], for a set at hand.
    pub fn open_in(self, set: FlobAt<PortSet>, alias: u64) -> Result<(), Status> {
        let reference = OwnedReference::new()?;
        set.reference(reference.at())?;
        self.open(reference.at(), alias)
    }
}
