//! Reading an ELF file: what to load where. Every value in the file is an allegation and checked; nothing here can
//! panic on a bad one.
//!
//! Only what guest programs are is accepted: ELF64, little-endian, x86-64, static, at fixed addresses between
//! [`PROGRAM_BASE`] and [`HEAP_BASE`].

use alloc::{vec, vec::Vec};
use core::fmt;

use flob_abi::{
    PAGE_SIZE, Protection,
    elf::{CLASS_64, FileHeader, MACHINE_X86_64, ProgramHeader, SEGMENT_LOAD},
    start::{HEAP_BASE, PROGRAM_BASE},
};
use zerocopy::{FromBytes, IntoBytes};

/// Most program headers that are looked at.
const MAX_HEADERS: u16 = 64;
/// Most bytes of a note segment that are searched for a build id.
const MAX_NOTES: u64 = 4096;
const TYPE_EXECUTABLE: u16 = 2;
const SEGMENT_INTERPRETER: u32 = 3;
const SEGMENT_NOTE: u32 = 4;
const NOTE_BUILD_ID: u32 = 3;

/// A file that can be read in pieces, so that it need never be in memory as a whole.
pub trait ProgramFile {
    /// Bytes in the file.
    fn size(&self) -> u64;

    /// Fills `buffer` from `offset` on; `false` if there are not that many bytes, or they cannot be read.
    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> bool;
}

impl ProgramFile for &[u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> bool {
        let Ok(start) = usize::try_from(offset) else { return false };
        let Some(bytes) = start.checked_add(buffer.len()).and_then(|end| self.get(start..end)) else {
            return false;
        };
        buffer.copy_from_slice(bytes);
        true
    }
}

/// Why a file is no program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElfError {
    /// It ends before what it promises, or could not be read.
    Truncated,
    /// It does not begin as an ELF file does.
    NotElf,
    /// It is for another machine, or of another class or byte order.
    OtherMachine,
    /// It is not a static executable at fixed addresses.
    NotStatic,
    /// The program headers make no sense.
    BadHeaders,
    /// A segment lies outside the range for programs, overlaps another, or has more bytes in the file than in memory.
    BadSegment,
    /// The entry point is not in an executable segment.
    BadEntry,
}

impl fmt::Display for ElfError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Truncated => "the file is truncated",
            Self::NotElf => "the file is not an ELF file",
            Self::OtherMachine => "the file is not for x86-64",
            Self::NotStatic => "the file is not a static executable at fixed addresses",
            Self::BadHeaders => "the file's program headers make no sense",
            Self::BadSegment => "a segment of the file lies where no program can be",
            Self::BadEntry => "the file's entry point is not in its code",
        })
    }
}

/// A piece of the program in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First address.
    pub address: u64,
    /// Bytes in memory; those beyond the file's are zero.
    pub size: u64,
    /// Where in the file it begins.
    pub file_offset: u64,
    /// Bytes in the file.
    pub file_size: u64,
    /// What the program may do with it.
    pub protection: Protection,
}

/// A run of pages with one protection, as it is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// First address; page-aligned.
    pub address: u64,
    /// In bytes; page-aligned.
    pub size: u64,
    /// Of all pages in it.
    pub protection: Protection,
}

/// What an ELF file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elf {
    /// Where its first thread begins.
    pub entry: u64,
    /// Ascending by address; they do not overlap, but two of them may share a page.
    pub segments: Vec<Segment>,
    notes: Vec<(u64, u64)>,
}

impl Elf {
    /// Reads and checks the headers.
    pub fn read(file: &mut (impl ProgramFile + ?Sized)) -> Result<Self, ElfError> {
        let header = file_header(file)?;
        let mut elf = Self { entry: header.entry, segments: Vec::new(), notes: Vec::new() };
        for index in 0..header.header_count {
            let offset = u64::from(index) * size_of::<ProgramHeader>() as u64;
            let offset = header.headers.checked_add(offset).ok_or(ElfError::BadHeaders)?;
            elf.add(&read_at::<ProgramHeader>(file, offset)?, file.size())?;
        }
        elf.check()?;
        Ok(elf)
    }

    fn add(&mut self, header: &ProgramHeader, file_size: u64) -> Result<(), ElfError> {
        match header.kind {
            SEGMENT_INTERPRETER => Err(ElfError::NotStatic),
            SEGMENT_NOTE => {
                self.notes.push((header.offset, header.file_size));
                Ok(())
            }
            SEGMENT_LOAD if header.size > 0 => {
                let file_end = header.offset.checked_add(header.file_size).ok_or(ElfError::BadSegment)?;
                if file_end > file_size {
                    return Err(ElfError::Truncated);
                }
                self.segments.push(Segment {
                    address: header.address,
                    size: header.size,
                    file_offset: header.offset,
                    file_size: header.file_size,
                    protection: protection(header.flags),
                });
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn check(&mut self) -> Result<(), ElfError> {
        self.segments.sort_by_key(|segment| segment.address);
        let mut free_from = PROGRAM_BASE;
        for segment in &self.segments {
            let end = segment.address.checked_add(segment.size).ok_or(ElfError::BadSegment)?;
            if segment.address < free_from || end > HEAP_BASE || segment.file_size > segment.size {
                return Err(ElfError::BadSegment);
            }
            free_from = end;
        }
        let holds_entry = |segment: &Segment| {
            segment.protection.allows(Protection::EXECUTE)
                && self.entry.checked_sub(segment.address).is_some_and(|offset| offset < segment.size)
        };
        if self.segments.iter().any(holds_entry) { Ok(()) } else { Err(ElfError::BadEntry) }
    }

    /// The pages of all segments as runs of one protection each, ascending. A page that two segments share gets what
    /// either of them needs.
    pub fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for segment in &self.segments {
            let mut first = segment.address & !(PAGE_SIZE - 1);
            let end = (segment.address + segment.size).next_multiple_of(PAGE_SIZE);
            if let Some(last) = runs.last_mut().filter(|last| last.address + last.size > first) {
                let shared = Run {
                    address: first,
                    size: PAGE_SIZE,
                    protection: last.protection.or(segment.protection),
                };
                last.size -= PAGE_SIZE;
                if last.size == 0 {
                    runs.pop();
                }
                push_run(&mut runs, shared);
                first += PAGE_SIZE;
            }
            push_run(&mut runs, Run { address: first, size: end - first, protection: segment.protection });
        }
        runs
    }

    /// The file's GNU build id in hexadecimal, or where it has none the 64-bit FNV-1a hash of the whole file.
    pub fn build_id(
        &self,
        file: &mut (impl ProgramFile + ?Sized),
    ) -> Result<alloc::string::String, ElfError> {
        for (offset, size) in &self.notes {
            let size = usize::try_from((*size).min(MAX_NOTES)).map_err(|_| ElfError::BadHeaders)?;
            let mut bytes = vec![0; size];
            if file.read(*offset, &mut bytes)
                && let Some(id) = build_id_note(&bytes)
            {
                return Ok(hexadecimal(id));
            }
        }
        Ok(hexadecimal(&file_hash(file)?.to_be_bytes()))
    }
}

fn file_header(file: &mut (impl ProgramFile + ?Sized)) -> Result<FileHeader, ElfError> {
    let mut magic = [0; 4];
    if !file.read(0, &mut magic) || magic != *b"\x7fELF" {
        return Err(ElfError::NotElf);
    }
    let header = read_at::<FileHeader>(file, 0)?;
    if header.class != CLASS_64 || header.byte_order != 1 || header.machine != MACHINE_X86_64 {
        return Err(ElfError::OtherMachine);
    }
    if header.kind != TYPE_EXECUTABLE {
        return Err(ElfError::NotStatic);
    }
    if usize::from(header.header_size) != size_of::<ProgramHeader>() || header.header_count > MAX_HEADERS {
        return Err(ElfError::BadHeaders);
    }
    Ok(header)
}

fn read_at<T: FromBytes + IntoBytes>(
    file: &mut (impl ProgramFile + ?Sized),
    offset: u64,
) -> Result<T, ElfError> {
    let mut value = T::new_zeroed();
    if file.read(offset, value.as_mut_bytes()) { Ok(value) } else { Err(ElfError::Truncated) }
}

fn protection(flags: u32) -> Protection {
    let bit = |flag, protection: Protection| if flags & flag != 0 { protection } else { Protection::NONE };
    bit(4, Protection::READ).or(bit(2, Protection::WRITE)).or(bit(1, Protection::EXECUTE))
}

fn push_run(runs: &mut Vec<Run>, run: Run) {
    match runs.last_mut() {
        _ if run.size == 0 => {}
        Some(last) if last.address + last.size == run.address && last.protection == run.protection => {
            last.size += run.size;
        }
        _ => runs.push(run),
    }
}

fn build_id_note(mut notes: &[u8]) -> Option<&[u8]> {
    loop {
        let ([name_size, size, kind], rest) = <[u32; 3]>::read_from_prefix(notes).ok()?;
        let name_end = usize::try_from(name_size).ok()?;
        let start = name_end.checked_next_multiple_of(4)?;
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        let contents = rest.get(start..end)?;
        if kind == NOTE_BUILD_ID && rest.get(..name_end) == Some(b"GNU\0".as_slice()) {
            return Some(contents);
        }
        notes = rest.get(end.checked_next_multiple_of(4)?..)?;
    }
}

fn file_hash(file: &mut (impl ProgramFile + ?Sized)) -> Result<u64, ElfError> {
    let mut hash = Fnv::default();
    let mut buffer = vec![0; 0x8000];
    let mut offset = 0;
    while offset < file.size() {
        let count = (file.size() - offset).min(buffer.len() as u64);
        let piece = usize::try_from(count)
            .ok()
            .and_then(|count| buffer.get_mut(..count))
            .ok_or(ElfError::Truncated)?;
        if !file.read(offset, piece) {
            return Err(ElfError::Truncated);
        }
        hash.add(piece);
        offset += count;
    }
    Ok(hash.0)
}

fn hexadecimal(bytes: &[u8]) -> alloc::string::String {
    bytes.iter().map(|byte| alloc::format!("{byte:02x}")).collect()
}

/// The FNV-1a hash, 64 bits: of files without a build id, and of consumed input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fnv(pub u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    /// Hashes more bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

#[cfg(test)]
#[path = "elf_tests.rs"]
mod tests;
