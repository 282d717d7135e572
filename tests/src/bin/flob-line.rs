//! An emulator behind a bad line, to be named by `FLOB_QEMU`: the guest's serial port is a pseudo-terminal, as a real serial device
//! would be, and between it and the hub bytes are lost, garbled and held up as `FLOB_LINE` says (`lose=N,flip=N`: one byte in
//! so many; `rate=N`: bytes a second; `seed=N`). What is stopped with SIGSTOP carries nothing.
//!
//! With `FLOB_LINE_DEVICE=PATH` there is no hub at its standard streams: the other end of the line is another pseudo-terminal, to be
//! found at PATH, as a cable that is plugged in. Then it does what lines of its standard input say: `unplug`, `plug`, `reset` (another
//! guest begins); it ends with them.

use std::{
    env,
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, Read, Write},
    os::{fd::OwnedFd, unix::fs::symlink},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use fastrand::Rng;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_setfl},
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

/// Our end of a new pseudo-terminal, and the path of the other end.
fn open_terminal() -> io::Result<(File, String)> {
    let ours: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let path = ptsname(&ours, Vec::new())?.to_string_lossy().into_owned();
    Ok((File::from(ours), path))
}

/// Our end of a new pseudo-terminal that changes no byte, the other end, and its path.
fn terminal() -> io::Result<(File, File, String)> {
    let (ours, path) = open_terminal()?;
    let theirs = OpenOptions::new().read(true).write(true).open(&path)?;
    let mut settings = tcgetattr(&theirs)?;
    settings.make_raw();
    tcsetattr(&theirs, OptionalActions::Now, &settings)?;
    Ok((ours, theirs, path))
}

/// A cable's end at this path, when it is plugged in.
struct Cable {
    path: PathBuf,
    end: Option<File>,
}

impl Cable {
    fn plug(&mut self) -> io::Result<()> {
        let (end, name) = open_terminal()?;
        // Nobody may be listening: then what is sent is lost.
        fcntl_setfl(&end, OFlags::NONBLOCK)?;
        let fresh = self.path.with_extension("fresh");
        symlink(name, &fresh)?;
        fs::rename(fresh, &self.path)?;
        self.end = Some(end);
        Ok(())
    }

    fn unplug(&mut self) -> io::Result<()> {
        fs::remove_file(&self.path)?;
        self.end = None;
        Ok(())
    }
}

/// How long it takes until something is looked at that cannot be waited for.
const MOMENT: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// Carries between the guest's terminal and a cable, and does what is said.
fn serve(
    line: Line,
    mut guest: File,
    path: &Path,
    said: &Receiver<String>,
    mut start: impl FnMut() -> io::Result<Child>,
) -> io::Result<u8> {
    let mut cable = Cable { path: path.to_owned(), end: None };
    cable.plug()?;
    let mut emulator = start()?;
    let mut random = Rng::with_seed(line.seed);
    let mut room = [0; 4096];
    loop {
        match said.try_recv().as_deref() {
            Ok("plug") => cable.plug()?,
            Ok("unplug") => cable.unplug()?,
            Ok("reset") => {
                emulator.kill()?;
                emulator.wait()?;
                emulator = start()?;
            }
            Ok(_) | Err(mpsc::TryRecvError::Empty) => {}
            Err(mpsc::TryRecvError::Disconnected) => {
                emulator.kill()?;
                emulator.wait()?;
                return Ok(0);
            }
        }
        let mut ends = vec![PollFd::new(&guest, PollFlags::IN)];
        // One that nobody has opened would never let us wait.
        let is_open = cable.end.as_ref().is_some_and(is_open);
        ends.extend(cable.end.as_ref().filter(|_| is_open).map(|end| PollFd::new(end, PollFlags::IN)));
        poll(&mut ends, Some(&MOMENT))?;
        let comes: Vec<bool> = ends.iter().map(|end| end.revents().contains(PollFlags::IN)).collect();
        if comes[0] {
            let count = guest.read(&mut room)?;
            if let Some(end) = &mut cable.end {
                let _ = end.write_all(&line.carry(&mut random, &room[..count]));
            }
        }
        if comes.get(1) == Some(&true)
            && let Some(Ok(count)) = cable.end.as_mut().map(|end| end.read(&mut room))
        {
            guest.write_all(&line.carry(&mut random, &room[..count]))?;
        }
    }
}

/// Whether somebody has the other end.
fn is_open(end: &File) -> bool {
    let mut ends = [PollFd::new(end, PollFlags::IN)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut ends, Some(&at_once)).is_ok() && !ends[0].revents().contains(PollFlags::HUP)
}

/// Lines of the standard input.
fn orders() -> Receiver<String> {
    let (sender, orders) = mpsc::channel();
    thread::spawn(move || {
        io::stdin().lock().lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    orders
}

/// The emulator. It ends with this process, however that ends.
fn emulator(arguments: &[OsString]) -> io::Result<Child> {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "qemu-system-x86_64"]).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()
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
    let arguments: Vec<OsString> = env::args_os()
        .skip(1)
        .map(|word| if word == "stdio,id=link,signal=off" { (&device).into() } else { word })
        .collect();
    if let Some(path) = env::var_os("FLOB_LINE_DEVICE") {
        return serve(line, ours, Path::new(&path), &orders(), || emulator(&arguments));
    }
    let mut emulator = emulator(&arguments)?;
    let also_ours = ours.try_clone()?;
    // What cannot be carried any more is not missed: one of the ends has gone.
    thread::spawn(move || drop(line.run(io::stdin(), ours, 1)));
    thread::spawn(move || drop(line.run(also_ours, io::stdout(), 2)));
    let status = emulator.wait()?;
    drop(theirs);
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
