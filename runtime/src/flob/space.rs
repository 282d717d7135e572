//! Spaces.

use flob_abi::{MAX_PRIORITY, SpaceState, Status};

use super::{FlobAt, Links, Referable, storage};

storage! {
    /// Memory for a space flob. Links: keeper, debug port.
    Space, SpaceState, 512
}
impl Referable for Space {}

impl FlobAt<Space> {
    /// Creates it with the highest ceiling that the caller may give (its own), and no grants.
    pub fn create_with_own_ceiling(self) -> Result<(), Status> {
        self.create()?;
        let mut result = Err(Status::NotPermitted);
        for ceiling in (0..=MAX_PRIORITY).rev() {
            result = self.set_state(&SpaceState { ceiling, ..SpaceState::default() }, &Links::NONE);
            if result != Err(Status::NotPermitted) {
                break;
            }
        }
        result
    }
}
