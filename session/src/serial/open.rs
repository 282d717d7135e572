//! Opening a serial device: found, permitted, a terminal, nobody else's, and then raw.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
};

use rustix::{
    fs::{FlockOperation, OFlags, fcntl_getfl, fcntl_setfl, flock},
    io::Errno,
    termios::{ControlModes, OptionalActions, tcgetattr, tcsetattr},
};

use super::Port;
use crate::Error;

/// Major numbers of the ends of pseudo-terminals that programs run on.
const PSEUDO_TERMINALS: std::ops::RangeInclusive<u32> = 136..=143;

/// Opens it, or says what is in the way and what to do about it.
pub(super) fn open(port: &Port) -> Result<File, Error> {
    let file = open_file(port)?;
    lock(port, &file)?;
    set_up(port, &file)?;
    Ok(file)
}

/// The link that leads to a device, if one does: its own number, and when it was made or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name(Option<(u64, i64, i64)>);

impl Name {
    /// As it is now.
    pub fn of(port: &Port) -> Self {
        let link = fs::symlink_metadata(&port.path).ok().filter(fs::Metadata::is_symlink);
        Self(link.map(|link| (link.ino(), link.ctime(), link.ctime_nsec())))
    }
}

/// Opens it when it is back. A pseudo-terminal never is: what has its number later is somebody else's terminal. But a link to it may
/// have been made anew since `before`, by whoever keeps it.
pub(super) fn open_again(port: &Port, before: Name) -> Result<File, Error> {
    let now = Name::of(port);
    let is_new = now.0.is_some() && now != before;
    let is_pseudo = |found: fs::Metadata| PSEUDO_TERMINALS.contains(&rustix::fs::major(found.rdev()));
    if !is_new && fs::metadata(&port.path).is_ok_and(is_pseudo) {
        return Err(Error::NotFound(format!("{} is another terminal by now", port.path.display())));
    }
    open(port)
}

/// Without waiting for a carrier, which need not come.
fn open_file(port: &Port) -> Result<File, Error> {
    let flags = (OFlags::NOCTTY | OFlags::NONBLOCK).bits();
    let opened = OpenOptions::new().read(true).write(true).custom_flags(flags as i32).open(&port.path);
    let path = port.path.display();
    let file = opened.map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::NOENT) => Error::NotFound(format!("there is no {path}: is the device plugged in?")),
        Some(Errno::ACCESS | Errno::PERM) => Error::Environment(format!(
            "{path} may not be opened: join the group that owns it ('ls -l {path}' names it, often dialout: 'sudo usermod \
             -aG dialout $USER') and log in again"
        )),
        Some(Errno::BUSY) => busy(port),
        Some(Errno::ISDIR | Errno::NODEV | Errno::NXIO) => no_terminal(port),
        _ => Error::io(format!("opening {path}"), error),
    })?;
    if !rustix::termios::isatty(&file) {
        return Err(no_terminal(port));
    }
    Ok(file)
}

/// Locks it against whoever looks at the lock, as programs for serial lines do. Having the system refuse everybody else (`TIOCEXCL`)
/// would on a pseudo-terminal outlive us.
fn lock(port: &Port, file: &File) -> Result<(), Error> {
    flock(file, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
        Errno::WOULDBLOCK => busy(port),
        other => failed(port, other.into()),
    })
}

/// Undoes that. What fails here is undone when the file is closed.
pub(super) fn release(file: &File) {
    let _ = flock(file, FlockOperation::Unlock);
}

/// Eight bits, no parity, one stop bit, no flow control; every byte as it is. Hanging up is left to cables: it resets some machines.
fn set_up(port: &Port, file: &File) -> Result<(), Error> {
    let failed = |error: Errno| failed(port, error.into());
    let mut settings = tcgetattr(file).map_err(failed)?;
    settings.make_raw();
    settings.control_modes |= ControlModes::CREAD | ControlModes::CLOCAL;
    settings.control_modes -= ControlModes::CSTOPB | ControlModes::CRTSCTS | ControlModes::HUPCL;
    let unknown = |_| {
        Error::Usage(format!(
            "{} cannot do {} bits a second: try {}",
            port.path.display(),
            port.speed,
            super::SPEED
        ))
    };
    settings.set_speed(port.speed).map_err(unknown)?;
    tcsetattr(file, OptionalActions::Now, &settings).map_err(failed)?;
    let flags = fcntl_getfl(file).map_err(failed)?;
    fcntl_setfl(file, flags - OFlags::NONBLOCK).map_err(failed)
}

fn no_terminal(port: &Port) -> Error {
    Error::BadInput(format!(
        "{} is no serial device: name one like /dev/ttyUSB0, /dev/ttyS0, or the /dev/pts/N that 'qemu -serial pty' prints",
        port.path.display()
    ))
}

fn busy(port: &Port) -> Error {
    Error::Environment(format!(
        "{0} is in use by another program, or by another session ('flob sessions'): 'fuser -v {0}' says by whom",
        port.path.display()
    ))
}

fn failed(port: &Port, error: io::Error) -> Error {
    Error::io(format!("setting {} up", port.path.display()), error)
}
