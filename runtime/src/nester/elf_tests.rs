extern crate std;

use super::*;

const BASE: u64 = PROGRAM_BASE;

fn program_header(
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    file_size: u64,
    size: u64,
) -> ProgramHeader {
    ProgramHeader { kind, flags, offset, address, physical: address, file_size, size, alignment: PAGE_SIZE }
}

fn file(entry: u64, headers: &[ProgramHeader]) -> Vec<u8> {
    let header = FileHeader {
        magic: *b"\x7fELF",
        class: 2,
        byte_order: 1,
        ident: [0; 10],
        kind: TYPE_EXECUTABLE,
        machine: MACHINE_X86_64,
        version: 1,
        entry,
        headers: 64,
        sections: 0,
        flags: 0,
        size: 64,
        header_size: 56,
        header_count: headers.len() as u16,
        section_size: 0,
        section_count: 0,
        section_names: 0,
    };
    let mut bytes = header.as_bytes().to_vec();
    for header in headers {
        bytes.extend_from_slice(header.as_bytes());
    }
    bytes.resize(0x3000, 7);
    bytes
}

fn read(bytes: &[u8]) -> Result<Elf, ElfError> {
    Elf::read(&mut &bytes[..])
}

#[test]
fn a_good_file_gives_its_segments_in_order() {
    let data = program_header(SEGMENT_LOAD, 6, 0x1000, BASE + 0x2000, 0x10, 0x5000);
    let code = program_header(SEGMENT_LOAD, 5, 0, BASE, 0x1000, 0x1000);
    let elf = read(&file(BASE + 0x100, &[data, code])).unwrap();
    assert_eq!(elf.entry, BASE + 0x100);
    assert_eq!(elf.segments[0].protection, Protection::READ_EXECUTE);
    assert_eq!(elf.segments[1].address, BASE + 0x2000);
    assert_eq!(elf.runs().len(), 2);
}

#[test]
fn a_shared_page_gets_what_both_segments_need() {
    let code = program_header(SEGMENT_LOAD, 5, 0, BASE, 0x1800, 0x1800);
    let data = program_header(SEGMENT_LOAD, 6, 0x1800, BASE + 0x1800, 0x10, 0x1000);
    let runs = read(&file(BASE, &[code, data])).unwrap().runs();
    let expected = [
        (BASE, Protection::READ_EXECUTE),
        (BASE + 0x1000, Protection::ALL),
        (BASE + 0x2000, Protection::READ_WRITE),
    ];
    assert_eq!(runs.iter().map(|run| (run.address, run.protection)).collect::<Vec<_>>(), expected);
    assert!(runs.iter().all(|run| run.size == PAGE_SIZE));
}

#[test]
fn bad_files_are_told_apart() {
    let code = program_header(SEGMENT_LOAD, 5, 0, BASE, 0x1000, 0x1000);
    let good = file(BASE, &[code]);
    let changed = |offset: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[offset] = byte;
        read(&bytes)
    };
    assert_eq!(read(b"#!/bin/sh"), Err(ElfError::NotElf));
    assert_eq!(read(b""), Err(ElfError::NotElf));
    assert_eq!(read(&good[..70]), Err(ElfError::Truncated));
    assert_eq!(changed(4, 1), Err(ElfError::OtherMachine));
    assert_eq!(changed(18, 3), Err(ElfError::OtherMachine));
    assert_eq!(changed(16, 3), Err(ElfError::NotStatic));
    assert_eq!(changed(54, 1), Err(ElfError::BadHeaders));
    assert_eq!(read(&file(BASE + 0x1000, &[code])), Err(ElfError::BadEntry));
    let interpreter = program_header(SEGMENT_INTERPRETER, 4, 0, BASE, 1, 1);
    assert_eq!(read(&file(BASE, &[code, interpreter])), Err(ElfError::NotStatic));
}

#[test]
fn segments_outside_the_programs_range_are_refused() {
    for (address, size) in [(0x1000, 0x1000), (HEAP_BASE - 0x1000, 0x2000), (u64::MAX - 0x10, 0x100)] {
        let code = program_header(SEGMENT_LOAD, 5, 0, address, 0x10, size);
        assert_eq!(read(&file(address, &[code])), Err(ElfError::BadSegment));
    }
    let code = program_header(SEGMENT_LOAD, 5, 0, BASE, 0x1000, 0x1000);
    let overlapping = program_header(SEGMENT_LOAD, 6, 0, BASE + 0xfff, 0x10, 0x10);
    assert_eq!(read(&file(BASE, &[code, overlapping])), Err(ElfError::BadSegment));
    let too_long = program_header(SEGMENT_LOAD, 6, 0, BASE + 0x1000, 0x100, 0x10);
    assert_eq!(read(&file(BASE, &[code, too_long])), Err(ElfError::BadSegment));
    let cut_off = program_header(SEGMENT_LOAD, 6, 0x2fff, BASE + 0x1000, 0x10, 0x10);
    assert_eq!(read(&file(BASE, &[code, cut_off])), Err(ElfError::Truncated));
}

#[test]
fn the_build_id_is_the_notes_or_else_a_hash_of_the_file() {
    let code = program_header(SEGMENT_LOAD, 5, 0, BASE, 0x1000, 0x1000);
    let note = program_header(SEGMENT_NOTE, 4, 0x2000, BASE + 0x1000, 20, 20);
    let mut bytes = file(BASE, &[code, note]);
    let elf = read(&bytes).unwrap();
    assert_eq!(elf.build_id(&mut &bytes[..]).unwrap().len(), 16);
    let mut contents = [4u32, 4, NOTE_BUILD_ID].as_bytes().to_vec();
    contents.extend_from_slice(b"GNU\0\xde\xad\xbe\xef");
    bytes[0x2000..0x2014].copy_from_slice(&contents);
    assert_eq!(elf.build_id(&mut &bytes[..]).unwrap(), "deadbeef");
}

#[test]
fn no_bytes_make_the_reader_panic() {
    let seed = std::env::var("FLOB_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1u64);
    std::println!("seed {seed}");
    let code = program_header(SEGMENT_LOAD, 5, 0, BASE, 0x1000, 0x1000);
    let note = program_header(SEGMENT_NOTE, 4, 0x2000, BASE + 0x1000, 200, 200);
    let mut state = seed;
    for _ in 0..20_000 {
        let mut bytes = file(BASE, &[code, note]);
        for _ in 0..4 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let place = (state >> 33) as usize % 256;
            bytes[if state & 1 == 0 { place } else { 0x2000 + place }] = (state >> 20) as u8;
        }
        if let Ok(elf) = read(&bytes) {
            elf.runs();
            let _ = elf.build_id(&mut &bytes[..]);
        }
    }
}
