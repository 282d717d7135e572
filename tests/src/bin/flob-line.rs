//! An emulator behind a bad line, to be named by `FLOB_QEMU`: the guest's serial port is a pseudo-terminal, as a real serial device
//! would be, and between it and the hub bytes are lost, garbled and held up as `FLOB_LINE` says (`lose=N,flip=N`: one byte in
//! so many; `rate=N`: bytes a second; `seed=N`). What is stopped with SIGSTOP carries nothing.

use std::{
    env,
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::fd::OwnedFd,
    process::{Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use fastrand::Rng;
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};

/// How bad it is.
#[derive(Clone, Copy, Default)]
struct Line {
    lose: u64,
    flip: u64,
    rate: u64,
    seed: u64,
}

impl Line {
    fn of(text: &str) -> Option<Self> {
        let mut line = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=')?;
            let field = match name {
                "lose" => &mut line.lose,
                "flip" => &mut line.flip,
                "rate" => &mut line.rate,
                "seed" => &mut line.seed,
                _ => return None,
            };
            *field = value.parse().ok()?;
        }
        Some(line)
    }

    /// What arrives of these bytes.
    fn carry(self, random: &mut Rng, bytes: &[u8]) -> Vec<u8> {
        let mut one_in = |chances: u64| chances > 0 && random.u64(..chances) == 0;
        let mut arrived = Vec::new();
        for byte in bytes {
            if !one_in(self.lose) {
                arrived.push(if one_in(self.flip) { byte ^ 0x10 } else { *byte });
            }
        }
        arrived
    }

    /// Carries everything to the end.
    fn run(self, mut from: impl Read, mut to: impl Write, direction: u64) -> io::Result<()> {
        let mut random = Rng::with_seed(self.seed ^ direction);
        // A slow line carries little at a time.
        let mut room = vec![0; if self.rate > 0 { 16 } else { 4096 }];
        loop {
            let count = from.read(&mut room)?;
            if count == 0 {
                return Ok(());
            }
            to.write_all(&self.carry(&mut random, room.get(..count).unwrap_or_default()))?;
            to.flush()?;
            if let Some(time) = (count as u64 * 1_000_000).checked_div(self.rate) {
                thread::sleep(Duration::from_micros(time));
            }
        }
    }
}

/// Our end of a new pseudo-terminal that changes no byte, the other end, and its path.
fn terminal() -> io::Result<(File, File, String)> {
    let ours: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let path = ptsname(&ours, Vec::new())?.to_string_lossy().into_owned();
    let theirs = OpenOptions::new().read(true).write(true).open(&path)?;
    let mut settings = tcgetattr(&theirs)?;
    settings.make_raw();
    tcsetattr(&theirs, OptionalActions::Now, &settings)?;
    Ok((File::from(ours), theirs, path))
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("flob-line: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<u8> {
    let line = Line::of(&env::var("FLOB_LINE").unwrap_or_default());
    let line = line.ok_or_else(|| io::Error::other("FLOB_LINE is not understood"))?;
    let (ours, theirs, path) = terminal()?;
    let device = format!("serial,id=link,path={path}");
    let arguments = env::args_os().skip(1);
    let arguments =
        arguments.map(|word| if word == "stdio,id=link,signal=off" { (&device).into() } else { word });
    // It ends with this process, however that ends.
    let mut emulator = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "qemu-system-x86_64"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let also_ours = ours.try_clone()?;
    // What cannot be carried any more is not missed: one of the ends has gone.
    thread::spawn(move || drop(line.run(io::stdin(), ours, 1)));
    thread::spawn(move || drop(line.run(also_ours, io::stdout(), 2)));
    let status = emulator.wait()?;
    drop(theirs);
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
