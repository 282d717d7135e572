//! Pages, protections and the layout of every user address space.

/// Bytes in a page.
pub const PAGE_SIZE: u64 = 4096;
/// log2 of [`PAGE_SIZE`].
pub const PAGE_SHIFT: u32 = 12;
/// First address that user code can never have mapped.
pub const USER_END: u64 = 0x0000_7fff_ffff_f000;
/// Where the first space sees physical address 0: its memory is the machine's, at this offset.
pub const PHYSICAL_WINDOW: u64 = 0x0000_0010_0000_0000;
/// Levels of mapping and region that the kernel follows before it calls a fault hard.
pub const MAX_LEVELS: usize = 32;

/// Whether this address may be used as RIP, RSP base, handler … without a fault in ring 0.
#[inline]
pub const fn is_canonical(address: u64) -> bool {
    let sign_extended = ((address << 16) as i64 >> 16) as u64;
    sign_extended == address
}

/// Access rights: a set of bits. Write does not imply read here; the hardware grants it anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Protection(pub u32);

impl Protection {
    /// Nothing is allowed.
    pub const NONE: Self = Self(0);
    /// Reading.
    pub const READ: Self = Self(1);
    /// Writing.
    pub const WRITE: Self = Self(2);
    /// Executing.
    pub const EXECUTE: Self = Self(4);
    /// Reading and writing.
    pub const READ_WRITE: Self = Self(3);
    /// Reading and executing.
    pub const READ_EXECUTE: Self = Self(5);
    /// Everything.
    pub const ALL: Self = Self(7);

    /// Only the defined bits of `bits`.
    #[inline]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & 7)
    }

    /// Whether all of `other` is allowed.
    #[inline]
    pub const fn allows(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What both allow.
    #[inline]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What either allows.
    #[inline]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
