//! A pseudo-terminal with a command in it, for benchmarks: keys in, bytes out.

use std::{
    borrow::Cow,
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
    process::{Child, Command},
    time::{Duration, Instant},
};

use flob_session::Error;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags},
    io::Errno,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

const SIZE: Winsize = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };

/// The terminal.
pub struct Terminal {
    ours: File,
    child: Child,
    /// Everything that came.
    seen: Vec<u8>,
}

fn failed(error: impl Into<io::Error>) -> Error {
    Error::io("using a pseudo-terminal", error.into())
}

impl Terminal {
    /// Starts a command with the terminal as its standard streams; `setsid --ctty` makes it its controlling one.
    pub fn start(mut command: Command) -> Result<Self, Error> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).map_err(failed)?;
        grantpt(&ours).map_err(failed)?;
        unlockpt(&ours).map_err(failed)?;
        let name = ptsname(&ours, Vec::new()).map_err(failed)?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let theirs: OwnedFd = rustix::fs::open(name, flags, Mode::empty()).map_err(failed)?;
        tcsetwinsize(&theirs, SIZE).map_err(failed)?;
        let copy = || theirs.try_clone().map_err(failed);
        let child = command.stdin(copy()?).stdout(copy()?).stderr(copy()?).spawn().map_err(failed)?;
        Ok(Self { ours: File::from(ours), child, seen: Vec::new() })
    }

    /// Types.
    pub fn press(&mut self, keys: &str) -> Result<(), Error> {
        self.ours.write_all(keys.as_bytes()).map_err(failed)
    }

    /// Waits until a text was drawn.
    pub fn wait_for(&mut self, text: &str, patience: Duration) -> Result<(), Error> {
        let begin = Instant::now();
        while !self.seen.windows(text.len()).any(|window| window == text.as_bytes()) {
            let left = patience.saturating_sub(begin.elapsed());
            if !self.take(left)? {
                let said = self.said();
                return Err(Error::Guest(format!("'{text}' never came on the screen; there came: {said:?}")));
            }
        }
        Ok(())
    }

    /// Waits until anything is drawn.
    pub fn wait_for_more(&mut self, patience: Duration) -> Result<(), Error> {
        if self.take(patience)? { Ok(()) } else { Err(Error::Guest("a key was not answered".into())) }
    }

    /// Waits until nothing has been drawn for so long.
    pub fn wait_until_quiet(&mut self, quiet: Duration) -> Result<(), Error> {
        while self.take(quiet)? {}
        Ok(())
    }

    /// Takes what comes; false if nothing has come for so long.
    fn take(&mut self, patience: Duration) -> Result<bool, Error> {
        let mut events = [PollFd::new(&self.ours, PollFlags::IN)];
        let patience = Timespec::try_from(patience).map_err(|_| Error::Internal("no such time".into()))?;
        if poll(&mut events, Some(&patience)).map_err(failed)? == 0 {
            return Ok(false);
        }
        let mut buffer = [0; 64 * 1024];
        let count = match self.ours.read(&mut buffer) {
            // That is how Linux tells the end of what runs there.
            Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => {
                let text = format!("what ran in the terminal has ended; it said: {:?}", self.said());
                return Err(Error::Guest(text));
            }
            read => read.map_err(failed)?,
        };
        self.seen.extend_from_slice(buffer.get(..count).unwrap_or_default());
        Ok(true)
    }

    fn said(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.seen)
    }

    /// Ends the command.
    pub fn end(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_what_runs_there_is_told_with_what_it_said() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such program"]);
        let mut terminal = Terminal::start(command).expect("started");
        let error = terminal.wait_for("ready", Duration::from_secs(60)).expect_err("it never says that");
        assert!(error.to_string().contains("ended; it said: \"no such program"), "{error}");
        terminal.end();
    }
}
