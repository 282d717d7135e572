//! Breakpoints, watchpoints and caught calls, of whomever: what a list of them shows.

use flob_image::Place;
use flob_link::Watch;
use serde::{Deserialize, Serialize};

use crate::Owner;

/// Where or at what threads stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Spot {
    /// Before the instruction at this address of a space.
    Code {
        #[allow(missing_docs)]
        space: Place,
        #[allow(missing_docs)]
        address: u64,
    },
    /// At an access to memory, or at a hardware breakpoint.
    Memory(Watch),
    /// Before these kernel calls, by number.
    Calls {
        #[allow(missing_docs)]
        space: Place,
        #[allow(missing_docs)]
        calls: Vec<u64>,
    },
}

/// What must hold for a stop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// As it was typed.
    pub text: String,
    /// Compiled ([`flob_link::condition`]).
    pub code: Vec<u8>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Its number: no other of the session has it, or has had it.
    pub id: u32,
    /// Whose it is.
    pub owner: Owner,
    #[allow(missing_docs)]
    pub spot: Spot,
    /// It stops threads; else it is only remembered.
    pub is_enabled: bool,
    /// Only of code.
    pub condition: Option<Condition>,
    /// How often threads were stopped there for its owner.
    pub hits: u64,
    /// The condition came to no value at the last hit: there was no memory, or a division by zero.
    pub has_failed: bool,
}

/// What is done with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum PointChange {
    Enable,
    Disable,
    Delete,
}
