//! `flob bench kernel --profile ROW`: what the instructions of one row are spent on. The row runs in an emulator that logs each
//! instruction; those between the beginning and the end of what is measured are counted by where in the kernel's source they
//! come from, code that was inlined included.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{ChildStderr, Command},
};

use flob_session::{Error, boot::qemu, symbols::Symbols};

use super::{bench_machine, bench_rows::ROWS};
use crate::{cli::print, guest};

/// Main memory of the machine, in MiB.
const MEMORY: u32 = 128;
/// Functions of the bench that do what is measured, from their first instruction to their last.
const MEASURED: [&str; 2] = ["bench::timed::call_stub", "bench::timed::touched"];
/// Where the kernel's half of all addresses begins.
const KERNEL_HALF: u64 = 0xffff_8000_0000_0000;
/// What in the kernel runs long before anything is measured.
const KERNEL_START: [&str; 3] = ["kernel_main", "memset", "flob_kernel::hardware::Hardware::new"];
/// Functions of the table, and files of the line.
const FUNCTIONS: usize = 25;
const FILES: usize = 8;

/// A range of addresses of code.
type Code = std::ops::Range<u64>;

/// Where in the kernel's source the instructions of a row come from.
struct Profile {
    instructions: usize,
    files: BTreeMap<String, usize>,
    functions: BTreeMap<(String, String), usize>,
}

/// Runs the row and prints what it is spent on.
pub fn run(name: &str) -> Result<u8, Error> {
    let Some(row) = ROWS.iter().find(|row| row.name == name && row.difference.is_none()) else {
        let names: Vec<&str> =
            ROWS.iter().filter(|row| row.difference.is_none()).map(|row| row.name).collect();
        return Err(Error::NotFound(format!("no row '{name}' is measured by itself: {}", names.join(", "))));
    };
    let profile = Profile::of(row.name)?;
    print::line(&format!("{name}: {} instructions of the kernel\n", profile.instructions))?;
    let files = profile.files.into_iter().map(|(file, count)| (count, vec![file]));
    print::table(&table(&["INSTR", "SOURCE"], files.collect(), usize::MAX))?;
    print::line("")?;
    let functions = profile.functions.into_iter();
    let functions = functions.map(|((file, function), count)| (count, vec![file, function]));
    print::table(&table(&["INSTR", "SOURCE", "FUNCTION"], functions.collect(), FUNCTIONS))?;
    Ok(0)
}

/// The same in one line, the largest files only.
pub fn summary(name: &str) -> Result<String, Error> {
    let mut files: Vec<(String, usize)> = Profile::of(name)?.files.into_iter().collect();
    files.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let files: Vec<String> =
        files.into_iter().take(FILES).map(|(file, count)| format!("{file} {count}")).collect();
    Ok(files.join(", "))
}

impl Profile {
    fn of(name: &str) -> Result<Self, Error> {
        let software = guest::bench(false);
        let kernel = Symbols::parse(&software.kernel)?;
        let bench = software.programs.first().map(|file| Symbols::parse(&file.contents)).transpose()?;
        let bench = bench.unwrap_or_else(Symbols::none);
        let measured: Vec<Code> = MEASURED.iter().flat_map(|name| code(&bench, name)).collect();
        let logged: Vec<Code> = kernel_code(&kernel).into_iter().chain(measured.iter().cloned()).collect();
        let (windows, said) = watch(&software, name, &logged, &measured)?;
        let Some(window) = median(&windows, name, &said) else {
            return Err(Error::Guest(format!("the emulator has logged nothing of '{name}'")));
        };
        let mut profile =
            Self { instructions: window.len(), files: BTreeMap::new(), functions: BTreeMap::new() };
        for address in window {
            let (file, function) = place(&kernel, *address);
            *profile.functions.entry((file.clone(), function)).or_default() += 1;
            *profile.files.entry(file).or_default() += 1;
        }
        Ok(profile)
    }
}

/// What a function's symbol covers.
fn code(symbols: &Symbols, name: &str) -> Vec<Code> {
    symbols.named(name).map(|symbol| symbol.address..symbol.address + symbol.size).collect()
}

/// The kernel's code but for its start: what lies between the functions that are left out.
fn kernel_code(kernel: &Symbols) -> Vec<Code> {
    let mut without: Vec<Code> = KERNEL_START.iter().flat_map(|name| code(kernel, name)).collect();
    without.sort_by_key(|range| range.start);
    let mut pieces = Vec::new();
    let mut at = KERNEL_HALF;
    for range in without {
        pieces.push(at..range.start);
        at = range.end;
    }
    pieces.push(at..u64::MAX);
    pieces
}

/// Runs the row; of each time that something was measured, the kernel's instructions, and what the bench has said.
fn watch(
    software: &flob_session::boot::Software,
    row: &str,
    logged: &[Code],
    measured: &[Code],
) -> Result<(Vec<Vec<u64>>, String), Error> {
    let folder = tempfile::tempdir().map_err(|error| Error::io("making a folder", error))?;
    let mut command = bench_machine::command(software, MEMORY, &format!("only={row}$"), &folder)?;
    let filter: Vec<String> =
        logged.iter().map(|code| format!("{:#x}..{:#x}", code.start, code.end - 1)).collect();
    // Each instruction by itself; newer emulators call that by another name.
    if version()? >= (8, 1) {
        command.args(["-accel", "tcg,one-insn-per-tb=on"]);
    } else {
        command.arg("-singlestep");
    }
    command.args(["-d", "exec,nochain", "-dfilter", &filter.join(",")]);
    let mut child = command.spawn().map_err(|error| Error::io("starting the emulator", error))?;
    let windows = child.stderr.take().map_or_else(|| Ok(Vec::new()), |log| read(log, measured));
    if windows.is_err() {
        let _ = child.kill();
    }
    // A few lines, which wait in the pipe.
    let said = child.wait_with_output().map_err(|error| Error::io("waiting for the emulator", error))?;
    let windows = windows.map_err(|error| Error::io("reading the emulator's log", error))?;
    Ok((windows, String::from_utf8_lossy(&said.stdout).into_owned()))
}

/// The emulator's version, as far as it counts here.
fn version() -> Result<(u32, u32), Error> {
    let told = Command::new(qemu::find()?).arg("--version").output();
    let told = told.map_err(|error| Error::io("asking the emulator for its version", error))?;
    let told = String::from_utf8_lossy(&told.stdout);
    let number = told.split_whitespace().skip_while(|word| *word != "version").nth(1).unwrap_or_default();
    let mut parts = number.split('.').map(|part| part.parse().unwrap_or(0));
    Ok((parts.next().unwrap_or(0), parts.next().unwrap_or(0)))
}

fn read(log: ChildStderr, measured: &[Code]) -> std::io::Result<Vec<Vec<u64>>> {
    let mut windows = Vec::new();
    let mut open: Option<Vec<u64>> = None;
    for line in BufReader::new(log).lines() {
        let Some(address) = address(&line?) else { continue };
        match measured.iter().find(|code| code.contains(&address)) {
            Some(code) if address == code.start => open = Some(Vec::new()),
            // A return: the last instruction, of one byte.
            Some(code) if address == code.end - 1 => windows.extend(open.take()),
            Some(_) => {}
            None => open.iter_mut().for_each(|window| window.push(address)),
        }
    }
    Ok(windows)
}

/// The address in a line `Trace 0: HOST [BASE/ADDRESS/…] …`.
fn address(line: &str) -> Option<u64> {
    let (_, inside) = line.strip_prefix("Trace ")?.split_once('[')?;
    u64::from_str_radix(inside.split('/').nth(1)?, 16).ok()
}

/// The last of the windows that took as long as the bench's median, but for the few instructions of programs in it: one row may
/// do several things.
fn median<'a>(windows: &'a [Vec<u64>], name: &str, said: &str) -> Option<&'a Vec<u64>> {
    let row = said.lines().find_map(|line| line.strip_prefix(&format!("row {name} ")))?;
    let median: usize = row.split(' ').next()?.parse().ok()?;
    windows
        .iter()
        .rev()
        .filter(|window| !window.is_empty())
        .min_by_key(|window| window.len().abs_diff(median))
}

/// The file of the kernel's that an instruction comes from, and the function.
fn place(kernel: &Symbols, address: u64) -> (String, String) {
    let calls = kernel.inlined(address);
    let own = calls.iter().find(|call| call.file.contains("kernel/"));
    let function = own.or_else(|| calls.first()).map_or_else(String::new, |call| call.function.clone());
    let function = function.rsplit_once("::").map_or(function.clone(), |(_, last)| last.to_owned());
    let file = own.and_then(|call| call.file.rsplit_once("kernel/")).map(|(_, file)| file.to_owned());
    (file.unwrap_or_else(|| "x86_64/src/entry.s".into()), function)
}

/// A table, its largest figures first.
fn table(heading: &[&str], mut rows: Vec<(usize, Vec<String>)>, most: usize) -> Vec<Vec<String>> {
    rows.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let heading = heading.iter().map(|&word| word.to_owned()).collect();
    let cells =
        |(count, cells): (usize, Vec<String>)| std::iter::once(count.to_string()).chain(cells).collect();
    std::iter::once(heading).chain(rows.into_iter().take(most).map(cells)).collect()
}
