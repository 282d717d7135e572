//! What the works share: their failures, mixing of results, and flobs that stay for good.

use alloc::boxed::Box;

use flob_runtime::abi::Status;
use flob_runtime::flob::{Flob, FlobAt, OwnedReference, Port, PortSet, Referable, Reference};

/// Why a work failed.
#[derive(Debug)]
pub enum Failure {
    /// The kernel said so.
    #[expect(dead_code, reason = "printed")]
    Status(Status),
    /// What came about is not what should have.
    #[expect(dead_code, reason = "printed")]
    Wrong(&'static str, u64),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// Fails unless both are the same.
pub fn expect(what: &'static str, is: u64, wanted: u64) -> Result<(), Failure> {
    if is == wanted { Ok(()) } else { Err(Failure::Wrong(what, is)) }
}

/// A number that depends on both (and on their order).
pub const fn mix(one: u64, other: u64) -> u64 {
    let sum = (one ^ other.rotate_left(32)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let sum = (sum ^ (sum >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let sum = (sum ^ (sum >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    sum ^ (sum >> 31)
}

/// Memory that stays for good: for flobs.
pub fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// A reference that stays for good.
pub fn refer<F: Flob + Referable>(flob: FlobAt<F>) -> Result<FlobAt<Reference>, Status> {
    let reference = OwnedReference::new()?;
    flob.reference(reference.at())?;
    Ok(leak(reference).at())
}

/// A port in a set of its own.
#[derive(Clone, Copy)]
pub struct Desk {
    /// Where a server waits.
    pub set: FlobAt<PortSet>,
    /// What clients ask.
    pub port: FlobAt<Reference>,
}

impl Desk {
    /// A new one.
    pub fn new() -> Result<Self, Status> {
        let (set, port) = (leak(PortSet::new()), leak(Port::new()));
        set.at().create()?;
        port.at().open_in(set.at(), 1)?;
        Ok(Self { set: set.at(), port: refer(port.at())? })
    }
}
