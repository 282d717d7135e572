//! Spaces.

use flob_abi::SpaceState;

use super::{Referable, storage};

storage! {
    /// Memory for a space flob. Links: keeper, debug port.
    Space, SpaceState, 512
}
impl Referable for Space {}
