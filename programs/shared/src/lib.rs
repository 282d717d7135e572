//! What the programs that test the kernel share: failures, mixing of results, flobs that stay for good, spaces that see the
//! program at its own addresses.
#![no_std]

extern crate alloc;

mod spaces;

use alloc::boxed::Box;

use flob_runtime::abi::Status;
use flob_runtime::flob::{Flob, FlobAt, OwnedReference, Port, PortSet, Referable, Reference};
use flob_runtime::service::ServiceError;

pub use spaces::another;

/// Why a work failed.
#[derive(Debug)]
pub enum Failure {
    /// The kernel said so.
    Status(Status),
    /// A service did not do what it was asked.
    Service(ServiceError),
    /// What came about is not what should have.
    Wrong(&'static str, u64),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
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

/// A number that depends on all bytes.
pub fn mix_bytes(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(bytes.len() as u64, |sum, piece| {
        mix(sum, piece.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)))
    })
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

/// A port in a set of its own; they stay for good.
#[derive(Clone, Copy)]
pub struct Desk {
    /// Where a server waits.
    pub set: FlobAt<PortSet>,
    /// What clients ask.
    pub port: FlobAt<Reference>,
}

impl Desk {
    /// A new one; its port has this alias.
    pub fn new(alias: u64) -> Result<Self, Status> {
        let (set, port) = (leak(PortSet::new()), leak(Port::new()));
        set.at().create()?;
        port.at().open_in(set.at(), alias)?;
        Ok(Self { set: set.at(), port: refer(port.at())? })
    }
}
