//! What a program finds in memory when its first thread starts: rdi points to a [`StartInfo`].

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `StartInfo::magic`.
pub const START_MAGIC: u64 = u64::from_le_bytes(*b"FLOBSTRT");
/// Where the start page of a nested program is mapped (read and write); program images begin above it.
pub const START_PAGE: u64 = 0x0020_0000;
/// Where a nested program's image is linked.
pub const PROGRAM_BASE: u64 = 0x0040_0000;
/// Where the first thread's stack ends.
pub const STACK_TOP: u64 = 0x0000_7000_0000_0000;
/// Where a nested program's memory (heap) is mapped.
pub const HEAP_BASE: u64 = 0x0000_0001_0000_0000;
/// Where the first program (`platform`) is linked: in the physical window.
pub const PLATFORM_BASE: u64 = crate::memory::PHYSICAL_WINDOW + 0x0100_0000;
/// The first page of the first space's flobs, and of what it sees of the machine's memory: a thread.
pub const FIRST_FLOBS: u64 = crate::memory::PHYSICAL_WINDOW + 0x00f0_0000;
/// Where the first space itself is.
pub const FIRST_SPACE: u64 = FIRST_FLOBS + crate::PAGE_SIZE;

/// Offsets in the start page of the reference flobs a program is born with.
pub mod start_reference {
    /// The parent's port: every service is asked for there. Null in the first space.
    pub const PARENT: u64 = 512;
    /// The program's own space.
    pub const SPACE: u64 = 1024;
    /// Its first thread.
    pub const THREAD: u64 = 1536;
}

/// The beginning of the start page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct StartInfo {
    /// [`START_MAGIC`].
    pub magic: u64,
    /// First address of memory the program may use as it likes.
    pub heap_start: u64,
    /// Its size in bytes; zeroed.
    pub heap_size: u64,
    /// Where the arguments are: strings, each ended by a zero byte; the program's name is the first.
    pub arguments: u64,
    /// Their size in bytes.
    pub arguments_size: u64,
    /// First program only: address of the boot archive in the physical window; else 0.
    pub archive: u64,
    /// Its size in bytes.
    pub archive_size: u64,
    /// First program only: end of the memory it may use, in the physical window.
    pub memory_end: u64,
}
