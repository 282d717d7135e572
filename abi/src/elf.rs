//! What an ELF file for x86-64 begins with, as far as programs are loaded by it. Source: System V ABI, chapters 4 and 5.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What every ELF file begins with.
pub const MAGIC: [u8; 4] = *b"\x7fELF";
/// [`FileHeader::class`] of files with 64-bit structures.
pub const CLASS_64: u8 = 2;
/// [`FileHeader::machine`].
pub const MACHINE_X86_64: u16 = 62;
/// [`ProgramHeader::kind`] of what is loaded.
pub const SEGMENT_LOAD: u32 = 1;

/// The head of the file (`Elf64_Ehdr`).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FileHeader {
    /// [`MAGIC`].
    pub magic: [u8; 4],
    /// 1: 32 bits, 2: 64 bits.
    pub class: u8,
    /// 1: little-endian, 2: big-endian.
    pub byte_order: u8,
    /// Version, operating system, padding.
    pub ident: [u8; 10],
    /// 2: executable at fixed addresses.
    pub kind: u16,
    /// The processor.
    pub machine: u16,
    /// 1.
    pub version: u32,
    /// Address of the first instruction.
    pub entry: u64,
    /// Where in the file the program headers are.
    pub headers: u64,
    /// Where in the file the section headers are.
    pub sections: u64,
    /// Of the processor.
    pub flags: u32,
    /// Bytes of this header.
    pub size: u16,
    /// Bytes of a program header.
    pub header_size: u16,
    /// How many program headers there are.
    pub header_count: u16,
    /// Bytes of a section header.
    pub section_size: u16,
    /// How many sections there are.
    pub section_count: u16,
    /// Which of them has the names.
    pub section_names: u16,
}

/// A segment (`Elf64_Phdr`).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ProgramHeader {
    /// What it is for.
    pub kind: u32,
    /// 1: executable, 2: writable, 4: readable.
    pub flags: u32,
    /// Where in the file it begins.
    pub offset: u64,
    /// Where in memory it belongs.
    pub address: u64,
    /// The same for machines without paging.
    pub physical: u64,
    /// Bytes of it that are in the file.
    pub file_size: u64,
    /// Bytes it takes in memory; those that the file has not are zero.
    pub size: u64,
    /// Of its address.
    pub alignment: u64,
}
