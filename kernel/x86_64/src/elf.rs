//! As much of the ELF format as it takes to load the first program.

use flob_abi::elf::{CLASS_64, FileHeader, MACHINE_X86_64, MAGIC, ProgramHeader, SEGMENT_LOAD};
use zerocopy::FromBytes;

/// The bytes of a segment that are in the file.
pub fn contents<'a>(segment: &ProgramHeader, file: &'a [u8]) -> Option<&'a [u8]> {
    let start = usize::try_from(segment.offset).ok()?;
    let size = usize::try_from(segment.file_size.min(segment.size)).ok()?;
    file.get(start..start.checked_add(size)?)
}

/// Entry address and loadable segments of a program.
pub fn segments(file: &[u8]) -> Option<(u64, impl Iterator<Item = &ProgramHeader> + Clone)> {
    let (header, _) = FileHeader::ref_from_prefix(file).ok()?;
    if (header.magic, header.class, header.machine) != (MAGIC, CLASS_64, MACHINE_X86_64) {
        return None;
    }
    let start = usize::try_from(header.headers).ok()?;
    let size = size_of::<ProgramHeader>().checked_mul(usize::from(header.header_count))?;
    let segments = <[ProgramHeader]>::ref_from_bytes(file.get(start..start.checked_add(size)?)?).ok()?;
    Some((header.entry, segments.iter().filter(|segment| segment.kind == SEGMENT_LOAD && segment.size > 0)))
}
