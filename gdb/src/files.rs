//! Files that the debugger may read over the connection: the program's ELF, and the source files that its debug
//! information names. Nothing else of the host's disk.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use object::{Object, ObjectSection};

use crate::packet::{escape, parse_hex, parse_hex_bytes};

/// Error numbers of the protocol's own list.
const ENOENT: u32 = 2;
const EIO: u32 = 5;
const EBADF: u32 = 9;
const EINVAL: u32 = 22;
const EMFILE: u32 = 24;
const EROFS: u32 = 30;

/// More cannot be open at a time.
const MAX_OPEN: usize = 16;
/// Most bytes of one answer before they are escaped, which may double them.
const MAX_READ: u64 = 0x7000;

/// The table of files, and those that are open.
#[derive(Debug, Default)]
pub struct Files {
    elf: Option<PathBuf>,
    sources: Option<BTreeSet<PathBuf>>,
    open: Vec<Option<Arc<[u8]>>>,
}

impl Files {
    /// For a program with this ELF.
    pub fn new(elf: Option<PathBuf>) -> Self {
        Self { elf: elf.and_then(|path| fs::canonicalize(path).ok()), ..Self::default() }
    }

    /// The program's ELF, as the debugger is told it.
    pub fn elf(&self) -> Option<&Path> {
        self.elf.as_deref()
    }

    /// Answers a `vFile:` packet (what follows the colon).
    pub fn answer(&mut self, request: &[u8]) -> Vec<u8> {
        let mut parts = request.splitn(2, |byte| *byte == b':');
        let (verb, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let arguments: Vec<&[u8]> = rest.split(|byte| *byte == b',').collect();
        let result = match (verb, arguments.as_slice()) {
            (b"open", [name, flags, _mode]) => self.open(name, flags),
            (b"close", [number]) => self.close(number),
            (b"pread", [number, count, offset]) => self.pread(number, count, offset),
            (b"fstat", [number]) => self.fstat(number),
            (b"setfs", [_process]) => Ok(b"F0".to_vec()),
            (b"open" | b"close" | b"pread" | b"fstat" | b"setfs", _) => Err(EINVAL),
            _ => return Vec::new(),
        };
        result.unwrap_or_else(|errno| format!("F-1,{errno:x}").into_bytes())
    }

    fn open(&mut self, name: &[u8], flags: &[u8]) -> Result<Vec<u8>, u32> {
        let name = parse_hex_bytes(name).and_then(|name| String::from_utf8(name).ok()).ok_or(EINVAL)?;
        if parse_hex(flags).ok_or(EINVAL)? != 0 {
            return Err(EROFS);
        }
        let path = Path::new(&name);
        if !self.is_served(path) {
            return Err(ENOENT);
        }
        let contents = fs::read(path).map_err(|_| EIO)?;
        let free = self.open.iter().position(Option::is_none).unwrap_or(self.open.len());
        if free >= MAX_OPEN {
            return Err(EMFILE);
        }
        if free == self.open.len() {
            self.open.push(None);
        }
        *self.open.get_mut(free).ok_or(EMFILE)? = Some(contents.into());
        Ok(format!("F{free:x}").into_bytes())
    }

    fn close(&mut self, number: &[u8]) -> Result<Vec<u8>, u32> {
        let slot = index(number).and_then(|index| self.open.get_mut(index)).ok_or(EBADF)?;
        slot.take().map(|_| b"F0".to_vec()).ok_or(EBADF)
    }

    fn pread(&self, number: &[u8], count: &[u8], offset: &[u8]) -> Result<Vec<u8>, u32> {
        let contents = self.contents(number)?;
        let count = parse_hex(count).ok_or(EINVAL)?.min(MAX_READ);
        let start = parse_hex(offset).ok_or(EINVAL)?.min(contents.len() as u64);
        let end = (start + count).min(contents.len() as u64);
        let piece = contents.get(start as usize..end as usize).unwrap_or_default();
        Ok([format!("F{:x};", piece.len()).into_bytes(), escape(piece)].concat())
    }

    /// The protocol's `struct stat`: 64 bytes, big-endian.
    fn fstat(&self, number: &[u8]) -> Result<Vec<u8>, u32> {
        const REGULAR_READABLE: u32 = 0o100_444;
        let size = self.contents(number)?.len() as u64;
        let mut stat = Vec::new();
        let [device, inode, links, user, group, raw_device] = [0u32, 1, 1, 0, 0, 0];
        for word in [device, inode, REGULAR_READABLE, links, user, group, raw_device] {
            stat.extend_from_slice(&word.to_be_bytes());
        }
        for long in [size, 512, size.div_ceil(512)] {
            stat.extend_from_slice(&long.to_be_bytes());
        }
        stat.extend_from_slice(&[0; 12]);
        Ok([format!("F{:x};", stat.len()).into_bytes(), escape(&stat)].concat())
    }

    fn contents(&self, number: &[u8]) -> Result<&Arc<[u8]>, u32> {
        index(number).and_then(|index| self.open.get(index)).and_then(Option::as_ref).ok_or(EBADF)
    }

    fn is_served(&mut self, path: &Path) -> bool {
        let Some(elf) = self.elf.as_deref() else { return false };
        if path == elf {
            return true;
        }
        let sources = self.sources.get_or_insert_with(|| sources_of(elf).unwrap_or_default());
        sources.contains(path)
    }
}

fn index(number: &[u8]) -> Option<usize> {
    parse_hex(number).and_then(|number| usize::try_from(number).ok())
}

/// Every file named in the line tables of this ELF, as an absolute path. `None`: it cannot be read.
fn sources_of(elf: &Path) -> Option<BTreeSet<PathBuf>> {
    let bytes = fs::read(elf).ok()?;
    let file = object::File::parse(bytes.as_slice()).ok()?;
    let load = |id: gimli::SectionId| -> Result<_, gimli::Error> {
        let section = file.section_by_name(id.name());
        let data = section.and_then(|section| section.uncompressed_data().ok()).unwrap_or_default();
        Ok(gimli::EndianArcSlice::new(Arc::from(data), gimli::LittleEndian))
    };
    let dwarf = gimli::Dwarf::load(load).ok()?;
    let mut paths = BTreeSet::new();
    let mut units = dwarf.units();
    while let Ok(Some(header)) = units.next() {
        if let Ok(unit) = dwarf.unit(header) {
            collect_files(&dwarf, &unit, &mut paths);
        }
    }
    Some(paths)
}

fn collect_files<R: gimli::Reader>(
    dwarf: &gimli::Dwarf<R>,
    unit: &gimli::Unit<R>,
    paths: &mut BTreeSet<PathBuf>,
) {
    let Some(program) = &unit.line_program else { return };
    let text = |value: gimli::AttributeValue<R>| -> Option<String> {
        Some(dwarf.attr_string(unit, value).ok()?.to_string_lossy().ok()?.into_owned())
    };
    let base = unit.comp_dir.as_ref().and_then(|dir| Some(dir.to_string_lossy().ok()?.into_owned()));
    for file in program.header().file_names() {
        let mut path = PathBuf::from(base.clone().unwrap_or_default());
        if let Some(directory) = file.directory(program.header()).and_then(text) {
            path.push(directory);
        }
        if let Some(name) = text(file.path_name()) {
            path.push(name);
            paths.insert(path);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::packet::hex;

    fn own() -> (Files, PathBuf) {
        let path = fs::canonicalize(std::env::current_exe().unwrap()).unwrap();
        (Files::new(Some(path.clone())), path)
    }

    fn open(files: &mut Files, path: &str, flags: &str) -> String {
        let packet = format!("open:{},{flags},1c0", hex(path.as_bytes()));
        String::from_utf8(files.answer(packet.as_bytes())).unwrap()
    }

    #[test]
    fn the_program_can_be_read_in_pieces() {
        let (mut files, path) = own();
        assert_eq!(open(&mut files, path.to_str().unwrap(), "0"), "F0");
        assert_eq!(files.answer(b"pread:0,4,0"), b"F4;\x7fELF");
        assert_eq!(files.answer(b"pread:0,4,ffffffffffffffff"), b"F0;");
        assert!(files.answer(b"fstat:0").starts_with(b"F40;"));
        assert_eq!(files.answer(b"close:0"), b"F0");
        assert_eq!(files.answer(b"pread:0,4,0"), b"F-1,9");
    }

    #[test]
    fn its_sources_can_be_read_and_nothing_else() {
        let (mut files, path) = own();
        let sources = sources_of(&path).unwrap();
        let this = sources.iter().find(|path| path.ends_with("gdb/src/files.rs")).unwrap().clone();
        assert_eq!(open(&mut files, this.to_str().unwrap(), "0"), "F0");
        assert_eq!(open(&mut files, "/etc/passwd", "0"), "F-1,2");
        assert_eq!(open(&mut files, &format!("{}/../../../etc/passwd", path.display()), "0"), "F-1,2");
    }

    #[test]
    fn nothing_can_be_written() {
        let (mut files, path) = own();
        assert_eq!(open(&mut files, path.to_str().unwrap(), "1"), "F-1,1e");
        assert_eq!(files.answer(b"unlink:2f"), b"");
        assert_eq!(files.answer(b"pread:zz"), b"F-1,16");
    }
}
