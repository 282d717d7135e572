//! `flob bench checkpoint`: full saves of programs of several sizes. Each size has two runs: one whose instructions are counted,
//! for the time that the program stands still; one as fast as the machine is, for everything else, with what the line
//! carries measured in the same run.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use flob_link::Scope;
use flob_session::{Client, Error, HubReply, HubRequest, LineFigures, Owner};
use serde_json::{Value as Json, json};

use crate::cli::print;

/// Saves of each size; the one that took least counts, for other work of the machine only ever adds.
const SAVES: usize = 3;
/// Full messages by which the line is measured.
const MESSAGES: u32 = 256;
const MIB: f64 = 1024.0 * 1024.0;
/// A line of the table.
struct Figures {
    size: u32,
    flobs: usize,
    /// Instructions for which the program stood still.
    stop: u64,
    /// Of a held program's save, and of one that writes all the time.
    held: Save,
    writing: Save,
    /// Bytes a second.
    line: f64,
}

/// A save.
#[derive(Clone, Copy)]
struct Save {
    seconds: f64,
    bytes: u64,
}

impl Save {
    fn rate(self) -> f64 {
        self.bytes as f64 / self.seconds
    }
}

/// Measures and prints.
pub fn run(sizes: &[u32], as_json: bool) -> Result<u8, Error> {
    let figures = sizes.iter().map(|size| measure(*size)).collect::<Result<Vec<_>, _>>()?;
    if as_json {
        print::json(&Json::Array(figures.iter().map(Figures::to_json).collect()))?;
        return Ok(0);
    }
    let heading = [
        "PROGRAM",
        "FLOBS",
        "STOP",
        "SAVE (HELD)",
        "BYTES",
        "RATE",
        "LINE",
        "OF LINE",
        "SAVE (WRITING)",
        "BYTES",
    ];
    let heading = heading.map(str::to_owned).to_vec();
    print::table(&std::iter::once(heading).chain(figures.iter().map(Figures::cells)).collect::<Vec<_>>())?;
    Ok(0)
}

fn measure(size: u32) -> Result<Figures, Error> {
    let world = tempfile::tempdir().map_err(|error| Error::io("making a folder", error))?;
    let counted = Session::start(world.path(), size, true)?;
    counted.save()?;
    let stop = counted.line(0)?.stop_time;
    let flobs = counted.client.look(false)?.flobs.len();
    drop(counted);

    let session = Session::start(world.path(), size, false)?;
    let writing = session.saves()?;
    session.client.request(HubRequest::Hold { owner: Owner::User, scope: Scope::Environment })?;
    let held = session.saves()?;
    let line = session.line(MESSAGES)?;
    let line = line.bytes as f64 / Duration::from_nanos(line.nanoseconds).as_secs_f64();
    Ok(Figures { size, flobs, stop, held, writing, line })
}

impl Figures {
    fn cells(&self) -> Vec<String> {
        let rate = |bytes: f64| format!("{:.0} MiB/s", bytes / MIB);
        let milliseconds = |save: Save| format!("{:.0} ms", save.seconds * 1000.0);
        let bytes = |save: Save| format!("{:.1} MiB", save.bytes as f64 / MIB);
        vec![
            format!("{} MiB", self.size),
            self.flobs.to_string(),
            format!("{} instr.", self.stop),
            milliseconds(self.held),
            bytes(self.held),
            rate(self.held.rate()),
            rate(self.line),
            format!("{:.0} %", self.held.rate() / self.line * 100.0),
            milliseconds(self.writing),
            bytes(self.writing),
        ]
    }

    fn to_json(&self) -> Json {
        let save = |save: Save| json!({ "seconds": save.seconds, "bytes": save.bytes });
        json!({
            "size_mib": self.size,
            "flobs": self.flobs,
            "stop_instructions": self.stop,
            "held": save(self.held),
            "writing": save(self.writing),
            "line_bytes_per_second": self.line,
        })
    }
}

/// A headless session; it ends when this is dropped.
struct Session {
    hub: Child,
    client: Client,
}

impl Session {
    /// Starts `scribble` and waits until its memory is filled.
    fn start(world: &Path, size: u32, is_counted: bool) -> Result<Self, Error> {
        let io = |error| Error::io("starting a session", error);
        let mut command = Command::new(std::env::current_exe().map_err(io)?);
        command.args(["-s", "bench", "run", "--headless", "--memory", "512"]);
        command.args(is_counted.then_some("--counted"));
        command.args(["scribble", &size.to_string()]);
        command.env("XDG_RUNTIME_DIR", world).env("FLOB_STORE", world.join("store"));
        let mut hub = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(io)?;
        let said = hub.stdout.take().map(BufReader::new).and_then(|output| output.lines().next());
        let client = match said {
            Some(Ok(line)) if line == "ready" => {
                Client::connect_path(&world.join("flob").join("bench.session"))
            }
            other => Err(Error::Guest(format!("scribble did not get ready: {other:?}"))),
        };
        match client {
            Ok(client) => Ok(Self { hub, client }),
            Err(error) => {
                // It may have ended already.
                let _ = hub.kill();
                let _ = hub.wait();
                Err(error)
            }
        }
    }

    /// Saves some times; the save that took least.
    fn saves(&self) -> Result<Save, Error> {
        let all = (0..SAVES).map(|_| self.save()).collect::<Result<Vec<_>, _>>()?;
        let least = all.into_iter().min_by(|one, other| one.seconds.total_cmp(&other.seconds));
        least.ok_or_else(|| Error::Internal("nothing was saved".into()))
    }

    fn save(&self) -> Result<Save, Error> {
        let before = self.line(0)?.received;
        let begin = Instant::now();
        self.client.request(HubRequest::Save { name: None, when: None, full: true })?;
        let seconds = begin.elapsed().as_secs_f64();
        Ok(Save { seconds, bytes: self.line(0)?.received - before })
    }

    fn line(&self, messages: u32) -> Result<LineFigures, Error> {
        match self.client.request(HubRequest::MeasureLine { messages })? {
            HubReply::Line(figures) => Ok(figures),
            other => Err(Error::Internal(format!("the hub gave another kind of answer: {other:?}"))),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A session that has ended already needs no end.
        let _ = self.client.request(HubRequest::Shutdown);
        let _ = self.hub.wait();
    }
}
