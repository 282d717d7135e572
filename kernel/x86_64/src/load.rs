//! Puts the first program and what it is born with into memory, before there is a heap.

use crate::elf;
use crate::hardware::Hardware;
use crate::layout::{ARGUMENTS, BOOT_FLOBS, HEAP_SLACK, LEAST_MEMORY, PROGRAM, STACK, START_INFO};
use crate::options;
use crate::physical;
use crate::start_info::BootInfo;
use crate::tables::Tables;
use core::ops::Range;
use flob_abi::PAGE_SIZE;
use flob_abi::archive;
use flob_abi::elf::ProgramHeader;
use flob_abi::memory::PHYSICAL_WINDOW;
use flob_abi::start::{START_MAGIC, StartInfo};
use flob_kernel::{Boot, Frame, Kernel};
use zerocopy::{FromBytes, IntoBytes};

/// The first program in memory, and what is left.
pub struct Loaded {
    /// For the kernel library.
    pub boot: Boot,
    /// The frames that the first space sees.
    pub window: Range<Frame>,
    /// Physical range of the kernel's heap.
    pub heap: Range<u64>,
}

/// Loads the first program from the boot archive and moves the archive behind it, to where the program can read it.
pub fn load(info: &BootInfo) -> Result<Loaded, &'static str> {
    if info.memory_end < LEAST_MEMORY {
        return Err("too little memory: at least 32 MiB");
    }
    let heap_start = heap_start(info.memory_end).ok_or("too little memory for the kernel's pools")?;
    let (entry, image_end) = load_program(info)?;
    let archive = move_archive(info, image_end, heap_start)?;
    let free = page_up(archive.end)..heap_start;
    clear(BOOT_FLOBS, PROGRAM)?;
    clear(free.start, info.memory_end)?;
    let arguments_size = write_arguments(info.command_line)?;
    let start = StartInfo {
        magic: START_MAGIC,
        heap_start: PHYSICAL_WINDOW + free.start,
        heap_size: free.end - free.start,
        arguments: PHYSICAL_WINDOW + ARGUMENTS,
        arguments_size,
        archive: PHYSICAL_WINDOW + archive.start,
        archive_size: archive.end - archive.start,
        memory_end: PHYSICAL_WINDOW + heap_start,
    };
    target(START_INFO, size_of::<StartInfo>() as u64)?.copy_from_slice(start.as_bytes());
    let boot = Boot {
        flobs: frame(BOOT_FLOBS)?,
        start_info: PHYSICAL_WINDOW + START_INFO,
        entry,
        stack: PHYSICAL_WINDOW + PROGRAM,
    };
    let window = frame(BOOT_FLOBS)?..frame(heap_start)?;
    Ok(Loaded { boot, window, heap: heap_start..info.memory_end })
}

/// Its entry and the physical end of its image.
fn load_program(info: &BootInfo) -> Result<(u64, u64), &'static str> {
    let size = info.archive.end.saturating_sub(info.archive.start);
    // SAFETY: the segments' targets are checked below to end before the archive, and nothing else runs yet.
    let blob =
        unsafe { physical::bytes(info.archive.start, size) }.ok_or("the boot archive lies too high")?;
    let file =
        archive::find(blob, archive::FIRST_PROGRAM).ok_or("no program `platform` in the boot archive")?;
    let (entry, segments) = elf::segments(file).ok_or("`platform` is no x86-64 ELF program")?;
    let mut end = PROGRAM;
    for segment in segments {
        end = end.max(load_segment(segment, file, info.archive.start)?);
    }
    Ok((entry, page_up(end)))
}

fn load_segment(segment: &ProgramHeader, file: &[u8], limit: u64) -> Result<u64, &'static str> {
    const MISPLACED: &str = "a segment of `platform` lies outside of memory: is it linked at PLATFORM_BASE?";
    let start =
        segment.address.checked_sub(PHYSICAL_WINDOW).filter(|start| *start >= PROGRAM).ok_or(MISPLACED)?;
    let end = start.checked_add(segment.size).filter(|end| *end <= limit).ok_or(MISPLACED)?;
    let contents = elf::contents(segment, file).ok_or("`platform` is cut off")?;
    let (loaded, rest) = target(start, segment.size)?.split_at_mut(contents.len());
    loaded.copy_from_slice(contents);
    rest.fill(0);
    Ok(end)
}

fn move_archive(info: &BootInfo, start: u64, limit: u64) -> Result<Range<u64>, &'static str> {
    let size = info.archive.end - info.archive.start;
    let end = start
        .checked_add(size)
        .filter(|end| page_up(*end) < limit)
        .ok_or("too little memory for the archive")?;
    let from = physical::range(info.archive.start, size).ok_or("the boot archive lies too high")?;
    let to = physical::range(start, size).ok_or("the boot archive lies too high")?;
    // SAFETY: both lie in the direct map and nobody refers to either; `copy` takes overlapping ranges.
    unsafe { core::ptr::copy(from.cast::<u8>().as_ptr(), to.cast::<u8>().as_ptr(), from.len()) };
    Ok(start..end)
}

/// The program's name, then the words of the command line that are for programs, each ended by a zero byte. Returns their size.
fn write_arguments(command_line: &[u8]) -> Result<u64, &'static str> {
    let room = target(ARGUMENTS, STACK - ARGUMENTS)?;
    let words = options::words_for_programs(command_line);
    let mut size = 0;
    for word in core::iter::once(archive::FIRST_PROGRAM.as_bytes()).chain(words) {
        let place = room.get_mut(size..size + word.len() + 1).ok_or("the command line is too long")?;
        let (text, zero) = place.split_at_mut(word.len());
        text.copy_from_slice(word);
        zero.fill(0);
        size += word.len() + 1;
    }
    u64::try_from(size).map_err(|_| "the command line is too long")
}

/// Zeroes what is not zero already: memory that was never written need not be backed by the host.
fn clear(start: u64, end: u64) -> Result<(), &'static str> {
    let bytes = target(start, end.saturating_sub(start))?;
    let words = <[u64]>::mut_from_bytes(bytes).map_err(|_| "memory to clear is not made of words")?;
    for page in words.chunks_mut(PAGE_SIZE as usize / 8) {
        if page.iter().fold(0, |all, word| all | *word) != 0 {
            page.fill(0);
        }
    }
    Ok(())
}

fn target(start: u64, size: u64) -> Result<&'static mut [u8], &'static str> {
    // SAFETY: the callers write to one range after the other and keep none; the kernel's image ends below them
    // (asserted by the linker script).
    unsafe { physical::bytes_mut(start, size) }.ok_or("memory ends too early")
}

fn frame(physical: u64) -> Result<Frame, &'static str> {
    u32::try_from(physical / PAGE_SIZE).map(Frame).map_err(|_| "memory ends too late")
}

/// Where programs' memory ends: the kernel's pools grow with the number of its frames.
fn heap_start(memory_end: u64) -> Option<u64> {
    let below = usize::try_from(BOOT_FLOBS / PAGE_SIZE).ok()?;
    let bytes = |frames| Kernel::<Hardware>::pool_bytes(frames, below + frames) + Tables::pool_bytes(frames);
    let fixed = u64::try_from(bytes(0)).ok()? + HEAP_SLACK;
    // Over many frames, so that what does not come out even with one is counted.
    const SAMPLE: usize = 4096;
    let each = u64::try_from((bytes(SAMPLE) - bytes(0)).div_ceil(SAMPLE)).ok()?;
    let frames = memory_end.checked_sub(BOOT_FLOBS + fixed)? / (PAGE_SIZE + each);
    Some(BOOT_FLOBS + frames * PAGE_SIZE)
}

fn page_up(address: u64) -> u64 {
    address.next_multiple_of(PAGE_SIZE)
}
