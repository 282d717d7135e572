//! What the emulator's PVH boot hands over: memory map, command line, one module.
//! Source: Xen, `xen/include/public/arch-x86/hvm/start_info.h`.

use crate::{layout, physical};
use core::ops::Range;
use zerocopy::{FromBytes, Immutable, KnownLayout};

const MAGIC: u32 = 0x336e_c578;
const USABLE: u32 = 1;
/// Longest command line taken.
const COMMAND_LINE_LIMIT: u64 = 32 * 1024;

#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Header {
    magic: u32,
    version: u32,
    flags: u32,
    modules: u32,
    module_list: u64,
    command_line: u64,
    rsdp: u64,
    memory_map: u64,
    memory_map_entries: u32,
    reserved: u32,
}

#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct Module {
    address: u64,
    size: u64,
    command_line: u64,
    reserved: u64,
}

#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(C)]
struct MemoryRange {
    address: u64,
    size: u64,
    kind: u32,
    reserved: u32,
}

/// The parts of it that the kernel uses.
pub struct BootInfo {
    /// End of main memory, which begins at 1 MiB.
    pub memory_end: u64,
    /// Physical place of the boot archive.
    pub archive: Range<u64>,
    /// Without the zero at its end.
    pub command_line: &'static [u8],
}

/// Reads it, or says what is wrong with it.
pub fn read(start_info: u64) -> Result<BootInfo, &'static str> {
    let header = table::<Header>(start_info, 1).and_then(<[_]>::first);
    let header = header.filter(|header| header.magic == MAGIC).ok_or("no PVH start info")?;
    let module = table::<Module>(header.module_list, header.modules).and_then(<[_]>::first);
    let module = module.ok_or("no boot archive: start the emulator with -initrd")?;
    let archive_end = module.address.checked_add(module.size).ok_or("the boot archive has no end")?;
    let map = table::<MemoryRange>(header.memory_map, header.memory_map_entries).ok_or("no memory map")?;
    Ok(BootInfo {
        memory_end: main_memory_end(map).ok_or("no main memory at 1 MiB")?,
        archive: module.address..archive_end,
        command_line: command_line(header.command_line),
    })
}

fn table<T: FromBytes + KnownLayout + Immutable>(address: u64, count: u32) -> Option<&'static [T]> {
    let size = size_of::<T>().checked_mul(usize::try_from(count).ok()?)?;
    // SAFETY: the boot information lies below 1 MiB or in reserved memory, which nobody writes to from now on.
    let bytes = unsafe { physical::bytes(address, u64::try_from(size).ok()?)? };
    <[T]>::ref_from_bytes(bytes).ok()
}

fn main_memory_end(map: &[MemoryRange]) -> Option<u64> {
    let usable = |range: &&MemoryRange| range.kind == USABLE;
    let main = map.iter().filter(usable).find(|range| range.address == layout::MEMORY_START)?;
    let end = main.address.checked_add(main.size)?.min(layout::MEMORY_LIMIT);
    Some(end / flob_abi::PAGE_SIZE * flob_abi::PAGE_SIZE)
}

fn command_line(address: u64) -> &'static [u8] {
    if address == 0 {
        return b"";
    }
    // SAFETY: as in `table`.
    let bytes = unsafe { physical::bytes(address, COMMAND_LINE_LIMIT) }.unwrap_or_default();
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}
