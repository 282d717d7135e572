//! The boot archive: named files in one blob, handed to the machine as its initial ramdisk.
//!
//! ```text
//! 0   magic "FLOBARC1"
//! 8   u64 number of entries
//! 16  entries of 64 bytes: name (48 bytes, zero-padded), u64 offset from the start of the blob, u64 size
//!     contents, each on a multiple of 4096
//! ```

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// First bytes of an archive.
pub const MAGIC: [u8; 8] = *b"FLOBARC1";
/// Bytes in a name.
pub const NAME_SIZE: usize = 48;
/// The file the kernel starts first.
pub const FIRST_PROGRAM: &str = "platform";

/// One file of the archive. 64 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Entry {
    /// Zero-padded.
    pub name: [u8; NAME_SIZE],
    /// From the start of the archive, in bytes.
    pub offset: u64,
    /// In bytes.
    pub size: u64,
}

impl Entry {
    /// The name without its padding; empty if it is no text.
    pub fn name(&self) -> &str {
        let end = self.name.iter().position(|byte| *byte == 0).unwrap_or(NAME_SIZE);
        core::str::from_utf8(self.name.get(..end).unwrap_or_default()).unwrap_or_default()
    }
}

/// The entries of an archive, or `None` if these bytes are none.
pub fn entries(archive: &[u8]) -> Option<&[Entry]> {
    let rest = archive.strip_prefix(&MAGIC)?;
    let (count, rest) = u64::read_from_prefix(rest).ok()?;
    let size = usize::try_from(count).ok()?.checked_mul(size_of::<Entry>())?;
    <[Entry]>::ref_from_bytes(rest.get(..size)?).ok()
}

/// The contents of the file with this name.
pub fn find<'a>(archive: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let entry = entries(archive)?.iter().find(|entry| entry.name() == name)?;
    let start = usize::try_from(entry.offset).ok()?;
    archive.get(start..start.checked_add(usize::try_from(entry.size).ok()?)?)
}
