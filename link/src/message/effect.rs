//! What a request changes in the program: what nobody knows of while its answer does not come.

use flob_image::Place;
use serde::{Deserialize, Serialize};

use super::{Memory, Request};

/// What is another one when a request was carried out, and the one before when it was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// Bytes from this address on.
    Memory {
        #[allow(missing_docs)]
        memory: Memory,
        #[allow(missing_docs)]
        address: u64,
    },
    /// The state of the flob at this place.
    Flob(Place),
    /// How far this thread is: by one instruction.
    Step(Place),
    /// Who is stopped.
    Stops,
    /// What threads are stopped at.
    Points,
    /// The whole environment.
    Environment,
}

impl Request {
    /// What it changes for those who look at the program, if anything. What only its host goes by is nothing of that, nor is what
    /// comes to nothing without a later request: the pages of a restore, say.
    pub const fn effect(&self) -> Option<Effect> {
        Some(match self {
            Self::Write { memory, address, .. } => Effect::Memory { memory: *memory, address: *address },
            Self::Set { place, .. } => Effect::Flob(*place),
            Self::Step { thread, .. } => Effect::Step(*thread),
            Self::Stop(_) | Self::Resume { .. } | Self::Continue { .. } => Effect::Stops,
            Self::SetBreakpoint { .. }
            | Self::ClearBreakpoint { .. }
            | Self::SetWatch(_)
            | Self::ClearWatch(_)
            | Self::CatchCalls { .. } => Effect::Points,
            Self::RestoreCommit { .. } | Self::Restart { .. } => Effect::Environment,
            _ => return None,
        })
    }
}
