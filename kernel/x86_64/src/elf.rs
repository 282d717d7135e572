//! As much of the ELF format as it takes to load the first program.

use zerocopy::{FromBytes, Immutable, KnownLayout};

const LOAD: u32 = 1;
const X86_64: u16 = 62;

#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Header {
    identity: [u8; 16],
    kind: u16,
    machine: u16,
    version: u32,
    entry: u64,
    segments: u64,
    sections: u64,
    flags: u32,
    header_size: u16,
    segment_size: u16,
    segment_count: u16,
    rest: [u8; 6],
}

/// A program header.
#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Segment {
    kind: u32,
    flags: u32,
    offset: u64,
    /// Where it belongs.
    pub address: u64,
    physical: u64,
    file_size: u64,
    /// Bytes it takes there; those that the file has not are zero.
    pub memory_size: u64,
    align: u64,
}

impl Segment {
    /// The bytes of it that are in the file.
    pub fn contents<'a>(&self, file: &'a [u8]) -> Option<&'a [u8]> {
        let start = usize::try_from(self.offset).ok()?;
        let size = usize::try_from(self.file_size.min(self.memory_size)).ok()?;
        file.get(start..start.checked_add(size)?)
    }
}

/// Entry address and loadable segments of a program.
pub fn segments(file: &[u8]) -> Option<(u64, impl Iterator<Item = &Segment> + Clone)> {
    let (header, _) = Header::ref_from_prefix(file).ok()?;
    if header.identity.get(..5)? != b"\x7fELF\x02" || header.machine != X86_64 {
        return None;
    }
    let start = usize::try_from(header.segments).ok()?;
    let size = size_of::<Segment>().checked_mul(usize::from(header.segment_count))?;
    let segments = <[Segment]>::ref_from_bytes(file.get(start..start.checked_add(size)?)?).ok()?;
    Some((header.entry, segments.iter().filter(|segment| segment.kind == LOAD && segment.memory_size > 0)))
}
