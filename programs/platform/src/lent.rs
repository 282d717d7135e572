//! Memory of the child that the line sends from where it lies. The child names it by addresses of its own; it was provided by this
//! program, so it can be read here. It may change meanwhile: that is found by its sum.

use alloc::vec;
use alloc::vec::Vec;

use flob_runtime::sync::Once;

use crate::child::Child;

static LENDER: Once<&'static Child> = Once::new();

/// From now on this child may lend memory.
pub fn by(child: &'static Child) {
    LENDER.set(child);
}

/// A piece of the child's memory.
#[derive(Clone, Copy)]
pub struct Lent {
    child: &'static Child,
    place: u64,
    size: usize,
}

impl Lent {
    /// What the child names by this address. `None` if it is not, in one piece, in the memory that it was started with.
    pub fn at(address: u64, bytes: u64) -> Option<Self> {
        let child = LENDER.get().copied()?;
        Some(Self { child, place: child.places.of(address, bytes)?, size: usize::try_from(bytes).ok()? })
    }

    /// Where it is seen here.
    pub fn address(&self) -> u64 {
        self.child.environment.memory().address(self.place)
    }

    /// Bytes in it.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// A copy of these, one behind the other.
    pub fn copied(pieces: &[Self]) -> Vec<u8> {
        let mut bytes = vec![0; pieces.iter().map(Self::size).sum()];
        let mut rest = bytes.as_mut_slice();
        for piece in pieces {
            let Some((now, behind)) = rest.split_at_mut_checked(piece.size) else { break };
            // What is not there stays zero.
            let _ = piece.child.environment.memory().read(piece.place, now);
            rest = behind;
        }
        bytes
    }
}
