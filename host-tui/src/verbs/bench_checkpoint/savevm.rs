//! The emulator's own way to save a machine, to compare with: `savevm` into a qcow2 file.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    time::Instant,
};

use flob_session::{Error, boot::qemu};
use serde_json::{Value as Json, json};

const CLUSTER: usize = 1 << 16;

/// A drive for snapshots, and an emulator that has it.
pub struct Drive {
    emulator: PathBuf,
    monitor: PathBuf,
}

impl Drive {
    /// Makes an empty one in this folder.
    pub fn make(folder: &Path) -> Result<Self, Error> {
        let io = |error| Error::io("making a drive for snapshots", error);
        let (drive, emulator, monitor) =
            (folder.join("snapshots.qcow2"), folder.join("emulator"), folder.join("monitor"));
        fs::write(&drive, empty_qcow2()).map_err(io)?;
        let script = format!(
            "#!/bin/sh\nexec '{}' -drive 'if=none,format=qcow2,file={}' -qmp 'unix:{},server=on,wait=off' \"$@\"\n",
            qemu::find()?.display(),
            drive.display(),
            monitor.display()
        );
        fs::write(&emulator, script).map_err(io)?;
        fs::set_permissions(&emulator, fs::Permissions::from_mode(0o700)).map_err(io)?;
        Ok(Self { emulator, monitor })
    }

    /// The emulator.
    pub fn emulator(&self) -> &Path {
        &self.emulator
    }

    /// Seconds that `savevm` takes now.
    pub fn save(&self) -> Result<f64, Error> {
        let io = |error| Error::io("asking the emulator for a snapshot", error);
        let mut writing = UnixStream::connect(&self.monitor).map_err(io)?;
        let mut reading = BufReader::new(writing.try_clone().map_err(io)?);
        ask(&mut writing, &mut reading, &json!({ "execute": "qmp_capabilities" }))?;
        let begin = Instant::now();
        let command = json!({ "command-line": "savevm flob" });
        let command = json!({ "execute": "human-monitor-command", "arguments": command });
        let said = ask(&mut writing, &mut reading, &command)?;
        match said.as_str() {
            Some("") => Ok(begin.elapsed().as_secs_f64()),
            _ => Err(Error::Environment(format!("the emulator makes no snapshot: {said}"))),
        }
    }
}

fn ask(writing: &mut UnixStream, reading: &mut impl BufRead, command: &Json) -> Result<Json, Error> {
    let io = |error| Error::io("talking to the emulator", error);
    writeln!(writing, "{command}").map_err(io)?;
    loop {
        let mut line = String::new();
        if reading.read_line(&mut line).map_err(io)? == 0 {
            return Err(Error::Environment("the emulator's monitor has gone".into()));
        }
        // A greeting and events come between.
        let answer: Json = serde_json::from_str(&line).unwrap_or_default();
        if let Some(value) = answer.get("return") {
            return Ok(value.clone());
        }
        if answer.get("error").is_some() {
            return Err(Error::Environment(format!("the emulator refuses: {line}")));
        }
    }
}

/// An image of version 2 without contents: header, table of reference counts, a block of them, first-level table.
fn empty_qcow2() -> Vec<u8> {
    const DISK: u64 = 1 << 20;
    let at = |cluster: usize| (cluster * CLUSTER) as u64;
    let mut image = vec![0; 4 * CLUSTER];
    let mut put = |place: usize, bytes: &[u8]| {
        if let Some(room) = image.get_mut(place..place + bytes.len()) {
            room.copy_from_slice(bytes);
        }
    };
    put(0, b"QFI\xfb");
    put(4, &2_u32.to_be_bytes());
    put(20, &CLUSTER.trailing_zeros().to_be_bytes());
    put(24, &DISK.to_be_bytes());
    put(36, &1_u32.to_be_bytes());
    put(40, &at(3).to_be_bytes());
    put(48, &at(1).to_be_bytes());
    put(56, &1_u32.to_be_bytes());
    put(CLUSTER, &at(2).to_be_bytes());
    (0..4).for_each(|cluster| put(2 * CLUSTER + 2 * cluster, &1_u16.to_be_bytes()));
    image
}
