//! `flob bench checkpoint`: saves of programs of several sizes of which some pages are written all the time. Each size has a run
//! whose instructions are counted, for the time that the program stands still; and others as fast as the machine is, for
//! everything else, with what the line carries and how long the emulator's `savevm` takes measured in the same run.

mod savevm;
mod session;
mod targets;

use std::{
    fs::File,
    io::Write,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use flob_session::Error;
use serde_json::{Value as Json, json};

use crate::cli::print;
use savevm::Drive;
use session::{Migration, Restore, Save, Session, Setup};

/// Full messages by which the line is measured.
const MESSAGES: u32 = 256;
const MIB: f64 = 1024.0 * 1024.0;
/// MiB of the guest, for programs of all sizes: a larger environment takes longer to be searched.
const MEMORY: u32 = 512;
/// The same, where there are programs that need more.
const LARGE_MEMORY: u32 = 1024;
/// The largest program, in MiB, that has room in the smaller.
const MOST_IN_SMALL: u32 = 128;
/// Every which page is written in each run.
const EVERY: [u32; 3] = [100, 10, 1];
/// Time in which the program writes all that it writes.
const ROUND: Duration = Duration::from_secs(1);

/// Of one size.
struct Figures {
    size: u32,
    flobs: usize,
    /// Instructions for which the program stood still.
    stop: u64,
    /// Instructions of the guest before the first of a program that is restored lazily.
    first_instruction: u64,
    /// The first save, of a program that writes.
    first: Save,
    /// A full save of a held program into a store that has nothing.
    full: Save,
    /// The same into one that has all pages.
    again: Save,
    /// Bytes of the file that the first is exported into.
    exported: u64,
    /// Saves with so many hundredths of the pages written since the one before.
    changes: Vec<(u32, Save)>,
    /// Bytes a second.
    line: f64,
    /// Bytes a second of a plain file as large as the program, written and synced: a save that lasts cannot be faster.
    disk: f64,
    /// Seconds.
    savevm: f64,
    /// From the request to restore until the program runs.
    restore: Restore,
    /// The same, lazily.
    lazy: Restore,
    /// Into another guest, of a program that writes.
    migration: Migration,
}

/// Measures and prints.
pub fn run(sizes: &[u32], as_json: bool) -> Result<u8, Error> {
    let is_large = sizes.iter().any(|size| *size > MOST_IN_SMALL);
    let memory = if is_large { LARGE_MEMORY } else { MEMORY };
    let figures = sizes.iter().map(|size| measure(*size, memory)).collect::<Result<Vec<_>, _>>()?;
    let targets = targets::targets(&figures);
    if as_json {
        let targets: Vec<_> = targets
            .iter()
            .map(|target| json!({ "target": target.what, "is": target.is, "limit": target.limit, "met": target.is_met() }))
            .collect();
        let sizes: Vec<_> = figures.iter().map(Figures::to_json).collect();
        print::json(&json!({ "sizes": sizes, "targets": targets }))?;
        return Ok(0);
    }
    let heading = [
        "PROGRAM",
        "WRITTEN",
        "SAVE",
        "OVER LINE",
        "IN STORE",
        "RATE",
        "STOP",
        "LINE",
        "DISK",
        "SAVEVM",
        "RESTORE",
        "EXPORTED",
        "LAZILY",
        "MIGRATION",
    ];
    print_table(&heading, figures.iter().flat_map(Figures::rows))?;
    print::line("")?;
    print_table(&["TARGET", "IS", "AT MOST", ""], targets.iter().map(targets::Target::cells))?;
    Ok(0)
}

fn print_table(heading: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Result<(), Error> {
    let heading = heading.iter().map(|cell| (*cell).to_owned()).collect();
    print::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())
}

fn measure(size: u32, memory: u32) -> Result<Figures, Error> {
    let folder = || tempfile::tempdir().map_err(|error| Error::io("making a folder", error));
    let setup = |every, is_counted| Setup { size, every, memory, is_counted };
    let Counted { stop, first_instruction, flobs } = counted(folder()?.path(), setup(EVERY[0], true))?;
    let mut changes = Vec::new();
    for every in EVERY.into_iter().skip(1) {
        let world = folder()?;
        let session = Session::start(world.path(), setup(every, false), None)?;
        session.save(true)?;
        changes.push((100 / every, session.saves(false, a_round)?));
    }
    let world = folder()?;
    let drive = Drive::make(world.path())?;
    let session = Session::start(world.path(), setup(EVERY[0], false), Some(&drive))?;
    session.hold()?;
    let full = session.saves(true, || session.empty_store())?;
    let again = session.saves(true, || Ok(()))?;
    session.release()?;
    session.empty_store()?;
    let first = session.save(true)?;
    let exported = session.export(&first.id)?;
    changes.insert(0, (100 / EVERY[0], session.saves(false, a_round)?));
    session.hold()?;
    changes.insert(0, (0, session.saves(false, || Ok(()))?));
    let line = session.line(MESSAGES)?;
    let line = line.bytes as f64 / Duration::from_nanos(line.nanoseconds).as_secs_f64();
    let disk = disk(world.path(), size)?;
    let savevm = drive.save()?;
    let restore = session.restore(&first.id, false)?;
    let lazy = session.restores_lazily(&first.id)?;
    drop(session);
    let migration = migration(folder()?.path(), setup(EVERY[0], false))?;
    Ok(Figures {
        size,
        flobs,
        stop,
        first_instruction,
        first,
        full,
        again,
        exported,
        changes,
        line,
        disk,
        savevm,
        restore,
        lazy,
        migration,
    })
}

/// Bytes a second of a file of so many MiB in this folder.
fn disk(folder: &Path, size: u32) -> Result<f64, Error> {
    let written = |error| Error::io("writing a file", error);
    let piece = vec![0xa5; MIB as usize];
    let begin = Instant::now();
    let mut file = File::create(folder.join("disk")).map_err(written)?;
    (0..size).try_for_each(|_| file.write_all(&piece)).and_then(|()| file.sync_all()).map_err(written)?;
    Ok(f64::from(size) * MIB / begin.elapsed().as_secs_f64())
}

/// Time in which the program writes all that it writes.
fn a_round() -> Result<(), Error> {
    thread::sleep(ROUND);
    Ok(())
}

/// Into a guest in which a small program runs.
fn migration(world: &Path, setup: Setup) -> Result<Migration, Error> {
    let source = Session::start(world, setup, None)?;
    let _target = Session::start_as("target", world, Setup { size: 1, ..setup }, None)?;
    source.migrate("target")
}

/// What is counted in instructions.
struct Counted {
    /// For which a save stops the program, the longer of a full and an incremental one.
    stop: u64,
    /// Before the first of a program that is restored lazily.
    first_instruction: u64,
    flobs: usize,
}

fn counted(world: &Path, setup: Setup) -> Result<Counted, Error> {
    let session = Session::start(world, setup, None)?;
    let (mut stop, mut id) = (0, String::new());
    for full in [true, false] {
        id = session.save(full)?.id;
        stop = stop.max(session.line(0)?.stop_time);
    }
    let flobs = session.client.look(false)?.flobs.len();
    let first_instruction = session.restore(&id, true)?.work;
    Ok(Counted { stop, first_instruction, flobs })
}

impl Figures {
    fn rows(&self) -> Vec<Vec<String>> {
        let row = |what: String, save: &Save| {
            vec![
                format!("{} MiB", self.size),
                what,
                format!("{:.0} ms", save.seconds * 1000.0),
                format!("{:.2} MiB", save.bytes as f64 / MIB),
                format!("{:.2} MiB", save.stored as f64 / MIB),
                format!("{:.0} MiB/s", save.rate() / MIB),
            ]
        };
        let mut full = row("full, held".into(), &self.full);
        full.extend([
            format!("{} instr. ({} flobs)", self.stop, self.flobs),
            format!("{:.0} MiB/s", self.line / MIB),
            format!("{:.0} MiB/s", self.disk / MIB),
            format!("{:.0} ms", self.savevm * 1000.0),
            format!("{:.0} ms", self.restore.seconds * 1000.0),
            String::new(),
            format!(
                "{:.0} ms, {} bytes, {} instr.; whole {:.0} ms",
                self.lazy.seconds * 1000.0,
                self.lazy.bytes,
                self.first_instruction,
                self.lazy.whole * 1000.0
            ),
            format!(
                "{:.0} ms, stop {:.0} ms, {} rounds, {} pages",
                self.migration.seconds * 1000.0,
                self.migration.stop * 1000.0,
                self.migration.rounds,
                self.migration.pages
            ),
        ]);
        let again = row("full, again".into(), &self.again);
        let mut first = row("full, runs".into(), &self.first);
        first.resize(11, String::new());
        first.push(format!("{:.2} of {:.2} MiB", self.exported as f64 / MIB, self.first.memory as f64 / MIB));
        let changes = self.changes.iter().map(|(share, save)| row(format!("{share} %"), save));
        let mut rows: Vec<_> = [full, again, first].into_iter().chain(changes).collect();
        rows.iter_mut().skip(1).for_each(|row| row.resize(14, String::new()));
        rows
    }

    fn to_json(&self) -> Json {
        let save = |save: &Save| json!({ "seconds": save.seconds, "bytes": save.bytes, "stored": save.stored, "memory": save.memory });
        let change =
            |(share, change): &(u32, Save)| json!({ "written_percent": share, "save": save(change) });
        json!({
            "size_mib": self.size,
            "flobs": self.flobs,
            "stop_instructions": self.stop,
            "first": save(&self.first),
            "held": save(&self.full),
            "again": save(&self.again),
            "changes": self.changes.iter().map(change).collect::<Vec<_>>(),
            "line_bytes_per_second": self.line,
            "disk_bytes_per_second": self.disk,
            "exported_bytes": self.exported,
            "savevm_seconds": self.savevm,
            "restore_seconds": self.restore.seconds,
            "lazy": {
                "seconds": self.lazy.seconds,
                "whole_seconds": self.lazy.whole,
                "bytes": self.lazy.bytes,
                "instructions": self.first_instruction,
            },
            "migration": {
                "seconds": self.migration.seconds,
                "stop_seconds": self.migration.stop,
                "rounds": self.migration.rounds,
                "pages": self.migration.pages,
            },
        })
    }
}
