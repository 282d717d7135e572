//! Symbols of a program: what an address in its code or data is called, and where in the source it comes from.
//!
//! The table of symbols is here, statics and their types in [`statics`], unwinding in [`unwind`].

mod lines;
mod statics;
mod unwind;

use std::{collections::HashMap, fs, path::Path, sync::Arc};

use addr2line::Context;
use flob_image::Environment;
use gimli::{EndianArcSlice, RunTimeEndian};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};

pub use statics::{Plain, Static};
pub use unwind::Caller;

use crate::Error;

type Reader = EndianArcSlice<RunTimeEndian>;

/// A name for a range of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// First address.
    pub address: u64,
    /// In bytes.
    pub size: u64,
    /// Demangled, without the compiler's hash: `philosophers::table::FORKS`.
    pub name: String,
    /// Data, not code.
    pub is_data: bool,
}

impl Symbol {
    /// The last part of its name: `FORKS`.
    pub fn short_name(&self) -> &str {
        short_name(&self.name)
    }
}

/// A static, or an element of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// `TOTAL`, `COUNTS[2]`.
    pub name: String,
    /// First address.
    pub address: u64,
    /// In bytes.
    pub size: u64,
    /// Its type, where that is plain.
    pub plain: Option<Plain>,
}

/// A function and a place in the source.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Location {
    /// The function, demangled; empty if not known.
    pub function: String,
    /// The source file, as the compiler was given it; empty if not known.
    pub file: String,
    /// The line; 0 if not known.
    pub line: u32,
}

impl Location {
    /// `philosophers.rs:41`, or the function where no line is known.
    pub fn short(&self) -> String {
        match Path::new(&self.file).file_name() {
            Some(name) if self.line != 0 => format!("{}:{}", name.to_string_lossy(), self.line),
            _ => short_name(&self.function).to_owned(),
        }
    }

    /// Whether it is code of the program's own: not of the library that every program links, nor of Rust's.
    pub fn is_of_program(&self) -> bool {
        const LIBRARIES: [&str; 4] = ["runtime/src/", "/library/", "/rustc/", "/.cargo/registry/"];
        !self.file.is_empty() && !LIBRARIES.iter().any(|library| self.file.contains(library))
    }
}

/// Everything that is known of a program's ELF. Can be sent to another thread, not shared.
pub struct Symbols {
    symbols: Vec<Symbol>,
    lines: Option<Context<Reader>>,
    dwarf: Option<Arc<gimli::Dwarf<Reader>>>,
    statics: HashMap<u64, Static>,
    unwinder: unwind::Unwinder,
}

impl Symbols {
    /// Of the ELF in this file.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let bytes =
            fs::read(path).map_err(|error| Error::io(format!("reading {}", path.display()), error))?;
        Self::parse(&bytes)
    }

    /// Of this ELF. What it lacks (debug information, say) is simply not known.
    pub fn parse(elf: &[u8]) -> Result<Self, Error> {
        let file =
            object::File::parse(elf).map_err(|error| Error::BadInput(format!("no symbols: {error}")))?;
        let dwarf = load_dwarf(&file).map(Arc::new);
        let statics = dwarf.as_ref().and_then(|dwarf| statics::find(dwarf).ok()).unwrap_or_default();
        let lines = dwarf.clone().and_then(|dwarf| Context::from_arc_dwarf(dwarf).ok());
        Ok(Self {
            symbols: read_symbols(&file),
            lines,
            dwarf,
            statics,
            unwinder: unwind::Unwinder::new(&file),
        })
    }

    /// Nothing is known.
    pub fn none() -> Self {
        Self {
            symbols: Vec::new(),
            lines: None,
            dwarf: None,
            statics: HashMap::new(),
            unwinder: unwind::Unwinder::none(),
        }
    }

    /// The symbol that covers this address, and the offset in it.
    pub fn symbol(&self, address: u64) -> Option<(&Symbol, u64)> {
        let after = self.symbols.partition_point(|symbol| symbol.address <= address);
        let candidates = self.symbols.get(..after)?.iter().rev();
        // Symbols of no size reach nowhere but where they are; few overlap.
        let mut near = candidates.take(8).map(|symbol| (symbol, address - symbol.address));
        near.find(|(symbol, offset)| *offset < symbol.size.max(1))
    }

    /// Bytes of an element of the static array that begins at this address, if one does.
    pub fn element_size(&self, address: u64) -> Option<u64> {
        self.statics.get(&address).filter(|found| found.is_array).map(|found| found.size)
    }

    /// The static, or element of one, whose bytes this address is among: `TOTAL`, `COUNTS[2]`.
    pub fn cell(&self, address: u64) -> Option<Cell> {
        let (symbol, offset) = self.symbol(address)?;
        let known = self.statics.get(&symbol.address).copied();
        let size = known.map_or(symbol.size, |known| known.size).max(1);
        let mut name = symbol.short_name().to_owned();
        if known.is_some_and(|known| known.is_array) {
            name += &format!("[{}]", offset / size);
        }
        let plain = known.and_then(|known| known.plain);
        Some(Cell { name, address: address - offset % size, size, plain })
    }

    /// The cell that is called `SYMBOL`, `SYMBOL[3]` or `SYMBOL+0x10` (then nothing is known of its type).
    pub fn cell_named(&self, text: &str) -> Option<Cell> {
        let number = |digits: &str| match digits.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => digits.parse().ok(),
        };
        if let Some(symbol) = self.named(text).next() {
            let element = self.element_size(symbol.address);
            let known = self.cell(symbol.address).filter(|_| element.is_none());
            let whole = Cell { name: text.into(), address: symbol.address, size: symbol.size, plain: None };
            return Some(known.unwrap_or(whole));
        }
        if let Some((name, index)) = text.strip_suffix(']').and_then(|text| text.rsplit_once('[')) {
            let symbol = self.named(name).next()?;
            let offset = number(index)?.checked_mul(self.element_size(symbol.address)?)?;
            let is_within = offset < symbol.size;
            return is_within.then(|| self.cell(symbol.address + offset)).flatten();
        }
        let (name, offset) = text.rsplit_once('+')?;
        let (symbol, offset) = (self.named(name).next()?, number(offset)?);
        let address = symbol.address.checked_add(offset)?;
        Some(Cell { name: text.into(), address, size: symbol.size.saturating_sub(offset), plain: None })
    }

    /// The addresses at which code of a `FILE:LINE` begins, or of the next line that has any, where FILE is the end of a path; `None` if
    /// the text is no such place.
    pub fn addresses_at(&self, text: &str) -> Option<Vec<u64>> {
        let (file, line) = text.rsplit_once(':')?;
        let line = line.parse().ok()?;
        let found = self.dwarf.as_ref().and_then(|dwarf| lines::addresses(dwarf, file, line).ok());
        Some(found.unwrap_or_default())
    }

    /// The address that `SYMBOL`, `SYMBOL[3]`, `SYMBOL+0x10` or `FILE:LINE` means.
    pub fn address_named(&self, text: &str) -> Option<u64> {
        let line = || self.addresses_at(text)?.first().copied();
        self.cell_named(text).map(|cell| cell.address).or_else(line)
    }

    /// The symbols with this name, whole or its last part.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Symbol> {
        self.symbols.iter().filter(move |symbol| symbol.name == name || symbol.short_name() == name)
    }

    /// Where in the source the instruction at this address is.
    pub fn location(&self, address: u64) -> Option<Location> {
        self.inlined(address).into_iter().next()
    }

    /// The function calls that this instruction is in, innermost first: more than one where code was inlined.
    pub fn inlined(&self, address: u64) -> Vec<Location> {
        let mut found = self.lines.as_ref().and_then(|lines| inlined(lines, address)).unwrap_or_default();
        if found.is_empty()
            && let Some((symbol, _)) = self.symbol(address)
        {
            found.push(Location { function: symbol.name.clone(), ..Location::default() });
        }
        found
    }

    /// The caller of a function whose registers are these; `read` reads the stack.
    pub fn caller(&self, callee: &Caller, read: &mut dyn FnMut(u64) -> Option<u64>) -> Option<Caller> {
        self.unwinder.caller(callee, read)
    }
}

/// The GNU build id of an ELF in hexadecimal, or where it has none the FNV-1a hash of the whole file.
pub fn build_id(elf: &[u8]) -> String {
    let note =
        object::File::parse(elf).ok().and_then(|file| file.build_id().ok().flatten().map(<[u8]>::to_vec));
    let id = note
        .unwrap_or_else(|| flob_image::hash::fnv1a(flob_image::hash::FNV_START, elf).to_be_bytes().to_vec());
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether this is the ELF of the program that runs in this environment.
pub fn is_program_of(elf: &[u8], environment: &Environment) -> bool {
    !environment.build_id.is_empty() && build_id(elf) == environment.build_id
}

/// The last part of a path, with what belongs to it: `FORKS` of `philosophers::table::FORKS`.
fn short_name(name: &str) -> &str {
    // Colons within `<…>` belong to a type.
    let plain_end = name.find('<').unwrap_or(name.len());
    let cut = name.get(..plain_end).and_then(|plain| plain.rfind("::")).map_or(0, |at| at + 2);
    name.get(cut..).unwrap_or(name)
}

fn read_symbols(file: &object::File<'_>) -> Vec<Symbol> {
    let wanted = |kind| matches!(kind, SymbolKind::Data | SymbolKind::Text);
    let symbol = |symbol: object::Symbol<'_, '_>| {
        let name = symbol.name().ok().filter(|name| !name.is_empty())?;
        Some(Symbol {
            address: symbol.address(),
            size: symbol.size(),
            name: plain(name),
            is_data: symbol.kind() == SymbolKind::Data,
        })
    };
    let defined = file.symbols().filter(|symbol| wanted(symbol.kind()) && symbol.is_definition());
    let mut symbols: Vec<Symbol> = defined.filter_map(symbol).collect();
    symbols.sort_by_key(|symbol| (symbol.address, symbol.size));
    symbols
}

fn load_dwarf(file: &object::File<'_>) -> Option<gimli::Dwarf<Reader>> {
    let section = |id: gimli::SectionId| {
        let section = file.section_by_name(id.name());
        let bytes = section.and_then(|section| section.uncompressed_data().ok()).unwrap_or_default();
        Ok::<_, gimli::Error>(EndianArcSlice::new(Arc::from(&*bytes), RunTimeEndian::Little))
    };
    gimli::Dwarf::load(section).ok()
}

fn inlined(lines: &Context<Reader>, address: u64) -> Option<Vec<Location>> {
    let mut frames = lines.find_frames(address).skip_all_loads().ok()?;
    let mut found = Vec::new();
    while let Ok(Some(frame)) = frames.next() {
        let function = frame.function.as_ref().and_then(|function| Some(plain(&function.raw_name().ok()?)));
        let function = function.unwrap_or_default();
        let (file, line) = frame.location.map_or((None, None), |location| (location.file, location.line));
        found.push(Location { function, file: file.unwrap_or_default().to_owned(), line: line.unwrap_or(0) });
    }
    Some(found)
}

/// Demangled; without the number that the compiler puts behind statics that it has split or moved.
fn plain(name: &str) -> String {
    let is_number = |end: &str| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit());
    let full = format!("{:#}", rustc_demangle::demangle(name));
    match full.rsplit_once('.') {
        Some((name, end)) if is_number(end) => name.to_owned(),
        _ => full,
    }
}

#[cfg(test)]
mod plain_tests {
    #[test]
    fn numbers_of_the_compiler_are_no_part_of_a_name() {
        let cases = [
            ("_ZN6random8handlers5TRAPS17he4a2f0977194173bE", "random::handlers::TRAPS"),
            ("_ZN6random8handlers5TRAPS17he4a2f0977194173bE.0", "random::handlers::TRAPS"),
            ("_ZN6random8handlers5TRAPS17he4a2f0977194173bE.llvm.1234567890", "random::handlers::TRAPS"),
            ("flob_ipc_stub", "flob_ipc_stub"),
        ];
        for (mangled, plain) in cases {
            assert_eq!(super::plain(mangled), plain);
        }
    }
}
