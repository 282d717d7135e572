//! What runs in the guest: the kernel and programs that this command carries, and programs from files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use flob_abi::archive::NAME_SIZE;
use flob_session::{
    Error,
    boot::{File, Software},
};

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The program that every guest has: it holds the debugger's nester as well.
const PLATFORM: &str = flob_abi::archive::FIRST_PROGRAM;
/// The debugger's nester by itself, for guests that have it below another one.
pub const DEBUGGER: &str = "debugger-nester";
/// A nester that guests have if it is asked for.
const CHECKPOINTER: &str = "checkpointer";
/// The first program of the machine that `flob bench kernel` measures in.
const BENCH: &str = "bench";

/// A program to run.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name in the guest.
    pub name: String,
    /// Its ELF.
    pub elf: Vec<u8>,
    /// Where that is, unless this command carries it.
    pub file: Option<PathBuf>,
}

/// Names of the bundled programs that can be run.
pub fn bundled() -> impl Iterator<Item = &'static str> {
    PROGRAMS.iter().map(|(name, _)| *name).filter(|name| !is_own(name))
}

/// Whether a carried program is not for users to run.
fn is_own(name: &str) -> bool {
    [PLATFORM, DEBUGGER, BENCH, CHECKPOINTER].contains(&name)
}

/// What `flob bench kernel` measures with, on the ordinary kernel or on the one that counts.
pub fn bench(counting: bool) -> Software {
    let elf = PROGRAMS.iter().find(|(name, _)| *name == BENCH).map(|(_, elf)| elf.to_vec());
    let first = File { name: flob_abi::archive::FIRST_PROGRAM.into(), contents: elf.unwrap_or_default() };
    let kernel = if counting { MEASURED_KERNEL } else { KERNEL };
    Software { kernel: kernel.to_vec(), programs: vec![first] }
}

/// The program that is meant: a bundled one by its name, or the ELF in a file.
pub fn find(program: &str) -> Result<Program, Error> {
    let carried = PROGRAMS.iter().find(|(name, _)| *name == program && !is_own(name));
    if let Some((name, elf)) = carried {
        return Ok(Program { name: (*name).into(), elf: elf.to_vec(), file: None });
    }
    let path = Path::new(program);
    if !path.is_file() {
        let names: Vec<&str> = bundled().collect();
        return Err(Error::NotFound(format!(
            "'{program}' is neither a bundled program ({}) nor a file",
            names.join(", ")
        )));
    }
    let context = || format!("reading {program}");
    let elf = fs::read(path).map_err(|error| Error::io(context(), error))?;
    check(program, &elf)?;
    let name =
        path.file_name().map_or_else(|| program.to_owned(), |name| name.to_string_lossy().into_owned());
    let name: String = name.chars().take(NAME_SIZE / 4).collect();
    let file = fs::canonicalize(path).map_err(|error| Error::io(context(), error))?;
    Ok(Program { name, elf, file: Some(file) })
}

/// A program that this command carries, whoever it is for.
pub fn carried(name: &str) -> Option<Program> {
    let (name, elf) = PROGRAMS.iter().find(|(carried, _)| *carried == name)?;
    Some(Program { name: (*name).into(), elf: elf.to_vec(), file: None })
}

/// Everything for a guest with these programs.
pub fn software<'a>(others: impl IntoIterator<Item = &'a Program>) -> Software {
    let file = |program: &Program| File { name: program.name.clone(), contents: program.elf.clone() };
    let mut programs: Vec<File> = carried(PLATFORM).iter().map(file).collect();
    for program in others {
        if programs.iter().all(|present| present.name != program.name) {
            programs.push(file(program));
        }
    }
    Software { kernel: KERNEL.to_vec(), programs }
}

/// A program for the guest is an ELF for x86-64, linked to fixed addresses.
fn check(name: &str, elf: &[u8]) -> Result<(), Error> {
    let bad = |what: &str| Err(Error::BadInput(format!("{name} {what}")));
    let half =
        |offset: usize| elf.get(offset..offset + 2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
    match (elf.get(..4), elf.get(4..6), half(16), half(18)) {
        (Some(b"\x7fELF"), Some([2, 1]), Some(2), Some(62)) if is_whole(elf) => Ok(()),
        (Some(b"\x7fELF"), Some([2, 1]), Some(2), Some(62)) => {
            bad("is cut off: parts that its headers name are missing")
        }
        (Some(b"\x7fELF"), Some([2, 1]), Some(_), Some(62)) => bad(
            "is not linked statically to fixed addresses: a guest program links flob-runtime and its linker script",
        ),
        (Some(b"\x7fELF"), ..) => bad("is no ELF for x86-64"),
        _ => bad("is no ELF file"),
    }
}

/// Whether both header tables and all segments are in the file.
fn is_whole(elf: &[u8]) -> bool {
    let number = |offset: usize, size: usize| {
        let bytes = elf.get(offset..offset.checked_add(size)?)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    };
    let is_inside = |offset: Option<u64>, size: Option<u64>| {
        offset
            .zip(size)
            .and_then(|(offset, size)| offset.checked_add(size))
            .is_some_and(|end| end <= elf.len() as u64)
    };
    // Where its offset, the size of an entry and the number of entries stand in the file's header.
    let table = |offset, size, count| {
        let [offset, size, count] = [number(offset, 8), number(size, 2), number(count, 2)];
        let bytes = size.zip(count).map(|(size, count)| size * count);
        is_inside(offset, bytes).then_some((offset?, size?, count?))
    };
    let (segments, sections) = (table(32, 54, 56), table(40, 58, 60));
    let Some(((start, size, count), _)) = segments.zip(sections) else { return false };
    (0..count).all(|index| {
        let segment = usize::try_from(start + index * size).unwrap_or(usize::MAX - 64);
        is_inside(number(segment + 8, 8), number(segment + 32, 8))
    })
}
