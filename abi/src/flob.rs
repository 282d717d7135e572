//! The nine kinds of flob: numbers, names, sizes.

/// Every flob starts on a multiple of this and a granule never holds two flobs. In bytes.
pub const GRANULE: u64 = 512;

/// A kind of flob. The number is what `region_search` reports and what images store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum FlobKind {
    /// An address space with its grants.
    Space = 1,
    /// A flow of control.
    Thread = 2,
    /// An exportable range of a space.
    Region = 3,
    /// An import of a range of a region into a space.
    Mapping = 4,
    /// Where requests are sent.
    Port = 5,
    /// Where a server waits for requests of several ports.
    PortSet = 6,
    /// A lock with an owner.
    Mutex = 7,
    /// A condition variable.
    Condition = 8,
    /// A link that a program holds; the only way links travel.
    Reference = 9,
}

impl FlobKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Space,
        Self::Thread,
        Self::Region,
        Self::Mapping,
        Self::Port,
        Self::PortSet,
        Self::Mutex,
        Self::Condition,
        Self::Reference,
    ];

    /// The kind with this number.
    #[inline]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?.checked_sub(1)?).copied()
    }

    /// Bytes of user memory that a flob of this kind takes; also its alignment.
    #[inline]
    pub const fn size(self) -> u64 {
        match self {
            Self::Thread => crate::PAGE_SIZE,
            _ => GRANULE,
        }
    }

    /// The name on screens, in JSON and in flob names: `space`, `thread`, …
    pub const fn name(self) -> &'static str {
        match self {
            Self::Space => "space",
            Self::Thread => "thread",
            Self::Region => "region",
            Self::Mapping => "mapping",
            Self::Port => "port",
            Self::PortSet => "portset",
            Self::Mutex => "mutex",
            Self::Condition => "condition",
            Self::Reference => "reference",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The names of this kind's links, in the order in which `get_state` and `set_state` take them.
    pub const fn links(self) -> &'static [&'static str] {
        match self {
            Self::Space => &["keeper", "debug_port"],
            Self::Thread => &[
                "space",
                "waiting_for",
                "client_peer",
                "server_peer",
                "idempotent_client",
                "idempotent_server",
            ],
            Self::Region => &["space", "keeper"],
            Self::Mapping => &["region", "space"],
            Self::Port => &["port_set"],
            Self::PortSet | Self::Condition => &[],
            Self::Mutex => &["owner"],
            Self::Reference => &["target"],
        }
    }

    /// The kinds of flob that link number `index` may lead to, by its place in [`FlobKind::links`]; none if there is no such link.
    pub const fn link_targets(self, index: usize) -> &'static [Self] {
        match (self, index) {
            (Self::Space, 0..=space_link::DEBUG_PORT) | (Self::Region, 1) => &[Self::Port],
            (Self::Thread, thread_link::SPACE) | (Self::Region, 0) | (Self::Mapping, 1) => &[Self::Space],
            (Self::Thread, thread_link::WAITING_FOR) | (Self::Reference, 0) => &Self::REFERABLE,
            (Self::Thread, ..MAX_LINKS) | (Self::Mutex, 0) => &[Self::Thread],
            (Self::Mapping, 0) => &[Self::Region],
            (Self::Port, 0) => &[Self::PortSet],
            _ => &[],
        }
    }

    /// The kinds that a reference can name.
    pub const REFERABLE: [Self; 7] =
        [Self::Space, Self::Thread, Self::Region, Self::Port, Self::PortSet, Self::Mutex, Self::Condition];

    /// Whether link number `index` may lead to a flob of this kind.
    pub fn may_lead(self, index: usize, to: Self) -> bool {
        self.link_targets(index).contains(&to)
    }

    /// Whether a reference can name a flob of this kind.
    pub fn is_referable(self) -> bool {
        Self::REFERABLE.contains(&self)
    }
}

/// Most links of any kind.
pub const MAX_LINKS: usize = 6;

/// Positions of a space's links in its link list.
pub mod space_link {
    /// Asked before that about debug exceptions.
    pub const DEBUG_PORT: usize = 1;
}

/// Positions of a thread's links in its link list.
pub mod thread_link {
    /// The space it runs in.
    pub const SPACE: usize = 0;
    /// What it is blocked on.
    pub const WAITING_FOR: usize = 1;
    /// The server thread at the other end of its connection as a client.
    pub const CLIENT_PEER: usize = 2;
    /// The client thread at the other end of its connection as a server.
    pub const SERVER_PEER: usize = 3;
    /// The thread whose idempotent request it is serving.
    pub const IDEMPOTENT_CLIENT: usize = 4;
    /// The thread that is serving its idempotent request.
    pub const IDEMPOTENT_SERVER: usize = 5;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_leads_somewhere_and_nothing_else_does() {
        for kind in FlobKind::ALL {
            for index in 0..=MAX_LINKS {
                let is_link = index < kind.links().len();
                assert_eq!(!kind.link_targets(index).is_empty(), is_link, "{kind:?} link {index}");
            }
        }
    }

    #[test]
    fn no_link_leads_to_what_no_reference_can_name() {
        for kind in FlobKind::ALL {
            for target in (0..MAX_LINKS).flat_map(|index| kind.link_targets(index)) {
                assert!(target.is_referable(), "{kind:?}: {target:?}");
            }
        }
    }
}
