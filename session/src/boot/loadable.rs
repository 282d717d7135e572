//! What a guest needs of a program: the part of its ELF that is loaded. What debuggers read stays on the host; it is nine
//! tenths of the file, and a guest would have to carry it about at every start.

use object::{
    LittleEndian,
    elf::{FileHeader64, ProgramHeader64},
    read::elf::{FileHeader, ProgramHeader},
};

/// The file as the guest gets it: an ELF up to the end of its last segment, anything else as it is. Nothing in the guest reads
/// sections, and the header that names them may be a part of what is loaded: it stays as it is.
pub fn loadable(file: &[u8]) -> &[u8] {
    end_of_segments(file).and_then(|end| file.get(..end)).unwrap_or(file)
}

/// Where its headers and segments end in the file.
fn end_of_segments(elf: &[u8]) -> Option<usize> {
    let header = FileHeader64::<LittleEndian>::parse(elf).ok()?;
    let segments: &[ProgramHeader64<LittleEndian>] = header.program_headers(LittleEndian, elf).ok()?;
    let headers = header.e_phoff(LittleEndian).saturating_add(size_of_val(segments) as u64);
    let ends = segments.iter().map(|segment| {
        let (offset, size) = segment.file_range(LittleEndian);
        offset.saturating_add(size)
    });
    usize::try_from(ends.fold(headers, u64::max)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_elf_keeps_its_segments_and_loses_what_debuggers_read() {
        let whole = std::fs::read("/proc/self/exe").expect("this test is a file");
        let kept = loadable(&whole);
        assert!(kept.len() < whole.len() * 3 / 4, "{} of {}", kept.len(), whole.len());
        let of = |elf: &[u8]| -> Vec<Vec<u8>> {
            let header = FileHeader64::<LittleEndian>::parse(elf).expect("an ELF");
            let segments = header.program_headers(LittleEndian, elf).expect("its segments");
            segments.iter().map(|one| one.data(LittleEndian, elf).expect("is there").to_vec()).collect()
        };
        assert_eq!(of(kept), of(&whole));
    }

    #[test]
    fn what_is_no_elf_stays_as_it_is() {
        for contents in [&b""[..], b"\x7fELF", b"a text", &[0x7f; 4096]] {
            assert_eq!(loadable(contents), contents);
        }
    }
}
