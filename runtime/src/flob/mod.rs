//! Typed flobs. A *storage type* ([`Mutex`], [`Thread`], …) is memory of the right size and alignment to put into a
//! static, a struct or a box; [`FlobAt`] is a flob at an address, wherever that memory comes from: a nester handles
//! the flobs of its child so. Creation, destruction and the state are explicit; see [`crate::sync`] for what most
//! programs want.
//!
//! Memory with a flob in it must stay where it is until the flob is destroyed (or moved by the kernel's own call).

pub mod any;
mod condition;
mod mapping;
mod mutex;
mod port;
mod reference;
mod region;
mod space;
mod thread;

pub use condition::Condition;
pub use mapping::Mapping;
pub use mutex::Mutex;
pub use port::{Port, PortSet};
pub use reference::{OwnedReference, Reference};
pub use region::{Region, Search};
pub use space::Space;
pub use thread::{
    Thread, current, exceptions, park_client_end, park_connection, take_client_end, take_connection,
};

use core::fmt;
use core::marker::PhantomData;

use flob_abi::flob::MAX_LINKS;
use flob_abi::state::group;
use flob_abi::{FlobKind, Status};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

use crate::call;

/// A kind of flob as a type.
pub trait Flob: Sized {
    /// Which kind.
    const KIND: FlobKind;
    /// Its exported state.
    type State: FromBytes + IntoBytes + Immutable + FromZeros + Copy;
}

/// Kinds that references can name (all but mappings and references).
pub trait Referable: Flob {}

/// The common calls, as offsets in each kind's block of sixteen call numbers.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub(crate) enum Common {
    Create = 0,
    Destroy = 1,
    Move = 2,
    Reference = 3,
    GetState = 4,
    SetState = 5,
}

impl Common {
    /// The number of this call for `kind`.
    pub(crate) const fn of(self, kind: FlobKind) -> u64 {
        (kind as u64) * 16 + self as u64
    }
}

/// Addresses of the reference flobs for a flob's links: 0 where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Links([u64; MAX_LINKS]);

impl Links {
    /// No links: they are neither read nor set.
    pub const NONE: Self = Self([0; MAX_LINKS]);

    /// These references, in the order of the kind's links.
    pub fn of(references: &[FlobAt<Reference>]) -> Self {
        let mut links = Self::NONE;
        for (link, reference) in links.0.iter_mut().zip(references) {
            *link = reference.address();
        }
        links
    }

    /// The same with the link at `index`.
    #[must_use]
    pub fn with(mut self, index: usize, reference: FlobAt<Reference>) -> Self {
        if let Some(link) = self.0.get_mut(index) {
            *link = reference.address();
        }
        self
    }

    /// As the kernel takes them: as many as the kind has, or none if nobody asks for any: then it does not look for them.
    pub fn for_kind(&self, kind: FlobKind) -> &[u64] {
        let are_there = self.0.iter().fold(0, |all, address| all | address) != 0;
        if are_there { self.0.get(..kind.links().len()).unwrap_or_default() } else { &[] }
    }
}

/// A flob of kind `F` at an address of the own space.
pub struct FlobAt<F>(u64, PhantomData<fn() -> F>);

impl<F> Clone for FlobAt<F> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<F> Copy for FlobAt<F> {}
impl<F> PartialEq for FlobAt<F> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<F> Eq for FlobAt<F> {}

impl<F: Flob> fmt::Debug for FlobAt<F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{:#x}", F::KIND.name(), self.0)
    }
}

impl<F> FlobAt<F> {
    /// The flob at this address.
    pub const fn new(address: u64) -> Self {
        Self(address, PhantomData)
    }

    /// Where it is.
    pub const fn address(self) -> u64 {
        self.0
    }
}

impl<F: Flob> FlobAt<F> {
    /// `create`.
    pub fn create(self) -> Result<(), Status> {
        self.create_with_hash(0)
    }

    /// `create` with a hash to take over; 0 for a new one.
    pub fn create_with_hash(self, hash: u64) -> Result<(), Status> {
        call::plain(Common::Create.of(F::KIND), self.0, hash).result()
    }

    /// `destroy`.
    pub fn destroy(self) -> Result<(), Status> {
        call::plain(Common::Destroy.of(F::KIND), self.0, 0).result()
    }

    /// `move`: the flob is at `to` afterwards.
    pub fn move_to(self, to: Self) -> Result<(), Status> {
        call::plain(Common::Move.of(F::KIND), self.0, to.0).result()
    }

    /// `get_state` with all fields, and the links that `links` has references for.
    pub fn get_state(self, links: &Links) -> Result<F::State, Status> {
        self.get_groups(links, group::ALL)
    }

    /// `get_state` with the vectors only if they are in `mask` ([`group`]); else they are zero. All other groups are there
    /// always.
    pub fn get_groups(self, links: &Links, mask: u64) -> Result<F::State, Status> {
        let mut state = F::State::new_zeroed();
        let links = links.for_kind(F::KIND);
        call::get_state(Common::GetState.of(F::KIND), self.0, &mut state, links, mask).result()?;
        Ok(state)
    }

    /// `set_state` with all fields, and the links that `links` has references for.
    pub fn set_state(self, state: &F::State, links: &Links) -> Result<(), Status> {
        self.set_groups(state, links, group::ALL)
    }

    /// `set_state` of the field groups in `mask` ([`group`]).
    pub fn set_groups(self, state: &F::State, links: &Links, mask: u64) -> Result<(), Status> {
        let links = links.for_kind(F::KIND);
        call::set_state(Common::SetState.of(F::KIND), self.0, Some(state), links, mask).result()
    }

    /// `set_state` of links only.
    pub fn set_links(self, links: &Links) -> Result<(), Status> {
        let links = links.for_kind(F::KIND);
        call::set_state::<F::State>(Common::SetState.of(F::KIND), self.0, None, links, 0).result()
    }
}

impl<F: Referable> FlobAt<F> {
    /// `reference`: `to` names this flob afterwards.
    pub fn reference(self, to: FlobAt<Reference>) -> Result<(), Status> {
        call::plain(Common::Reference.of(F::KIND), self.0, to.0).result()
    }
}

/// Defines the storage type of a kind.
macro_rules! storage {
    ($(#[$doc:meta])* $name:ident, $state:ty, $align:literal) => {
        $(#[$doc])*
        ///
        /// Atomics, so that a static of it lies in writable memory; the bytes mean nothing.
        #[repr(C, align($align))]
        pub struct $name([core::sync::atomic::AtomicU8; $align]);

        impl $name {
            /// Memory for one; no flob is there until `at().create()`.
            pub const fn new() -> Self {
                Self([const { core::sync::atomic::AtomicU8::new(0) }; $align])
            }

            /// The flob in this memory.
            pub fn at(&self) -> $crate::flob::FlobAt<Self> {
                $crate::flob::FlobAt::new(core::ptr::from_ref(self).expose_provenance() as u64)
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl $crate::flob::Flob for $name {
            const KIND: flob_abi::FlobKind = flob_abi::FlobKind::$name;
            type State = $state;
        }

        const _: () = assert!(flob_abi::FlobKind::$name.size() == $align);
    };
}
pub(crate) use storage;
