//! Memory that the line sends from where it lies: the child's, or that of a nester in the platform's own space. It may change
//! meanwhile: that is found by its sum.

use alloc::vec;
use alloc::vec::Vec;

use flob_runtime::sync::Once;

use crate::child::Child;

static LENDER: Once<&'static Child> = Once::new();

/// From now on this child may lend memory.
pub fn by(child: &'static Child) {
    LENDER.set(child);
}

/// A piece of memory, of somebody who waits until it was sent.
#[derive(Clone, Copy)]
pub struct Lent {
    address: u64,
    size: usize,
}

impl Lent {
    /// What the child names by this address. It was provided by this program, so it can be read here. `None` if it is not, in
    /// one piece, in the memory that it was started with.
    pub fn of_child(address: u64, bytes: u64) -> Option<Self> {
        let child = LENDER.get().copied()?;
        let place = child.places.of(address, bytes)?;
        Some(Self { address: child.environment.memory().address(place), size: usize::try_from(bytes).ok()? })
    }

    /// Memory of this space.
    ///
    /// # Safety
    ///
    /// All of it is mapped, and nothing of Rust's writes it as long as this is used.
    pub unsafe fn of_own(address: u64, bytes: u64) -> Option<Self> {
        Some(Self { address, size: usize::try_from(bytes).ok()? })
    }

    /// Where it is seen here.
    pub const fn address(&self) -> u64 {
        self.address
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
            // SAFETY: it is mapped, for it lies in the child's memory or who lent it said so; a child that writes it meanwhile changes
            // what is copied, and nothing else; the buffer is new.
            unsafe {
                let from = core::ptr::with_exposed_provenance::<u8>(piece.address as usize);
                core::ptr::copy_nonoverlapping(from, now.as_mut_ptr(), now.len());
            }
            rest = behind;
        }
        bytes
    }
}
