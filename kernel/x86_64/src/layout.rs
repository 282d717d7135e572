//! Where things lie: physical memory at boot and the kernel's half of every address space.
//!
//! ```text
//! physical                                             first space, at PHYSICAL_WINDOW + physical
//! 0010_0000  kernel image                              not seen
//! 00f0_0000  first thread's flob (a page)              BOOT_FLOBS
//! 00f0_1000  first space's flob, references
//! 00f0_2000  start page
//! 00f0_3000  arguments
//! 00f1_0000  stack                                     read, write
//! 0100_0000  the first program, then the boot archive
//! …          free memory                               heap of the first program
//! …          kernel heap, up to the end of memory      not seen
//! ```

/// Where the kernel's image sees physical address 0.
pub const KERNEL_BASE: u64 = 0xffff_ffff_8000_0000;
/// Where the kernel sees physical address 0 as data.
pub const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;
/// Slot of [`DIRECT_MAP`] in a root table; also the first slot of the kernel's half.
pub const DIRECT_SLOT: usize = 256;
/// Slot of [`KERNEL_BASE`] in a root table.
pub const IMAGE_SLOT: usize = 511;
/// Memory above is not used: the boot tables reach no further.
pub const MEMORY_LIMIT: u64 = 0x1_0000_0000;
/// Where main memory begins.
pub const MEMORY_START: u64 = 0x0010_0000;

/// First page of the first program's flobs; everything from here to the kernel's heap is the first space's.
pub const BOOT_FLOBS: u64 = flob_abi::start::FIRST_FLOBS - flob_abi::memory::PHYSICAL_WINDOW;
/// The start page.
pub const START_INFO: u64 = 0x00f0_2000;
/// The arguments.
pub const ARGUMENTS: u64 = 0x00f0_3000;
/// Where the arguments end and the stack begins.
pub const STACK: u64 = 0x00f1_0000;
/// End of the stack, beginning of the first program.
pub const PROGRAM: u64 = 0x0100_0000;

/// What the kernel's heap holds beside its pools and page tables: stacks, descriptor tables, the direct map's tables.
pub const HEAP_SLACK: u64 = 0x0020_0000;
/// Least end of memory the kernel starts with: an emulator given 32 MiB keeps some of them for its firmware.
pub const LEAST_MEMORY: u64 = 0x01f0_0000;
