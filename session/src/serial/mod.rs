//! A real serial device as the line to a guest that runs elsewhere: on another machine, or in an emulator that somebody started by
//! hand. It is opened raw, for this process alone. The guest is met as it is, and stays when the session ends.

#[cfg(test)]
mod cable;
mod open;
mod stream;

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

#[cfg(test)]
pub use cable::plug_in;
pub use stream::Device;

use crate::Error;

/// Bits a second, if nothing else is said: what the guest's 16550 is set to.
pub const SPEED: u32 = 115_200;

/// Which device, and how fast: `/dev/ttyUSB0` or `/dev/ttyUSB0,57600`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The device's file.
    pub path: PathBuf,
    /// Bits a second.
    pub speed: u32,
}

impl FromStr for Port {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (path, speed) = match text.rsplit_once(',') {
            Some((path, speed)) => (path, speed.parse().ok().filter(|speed| *speed > 0)),
            None => (text, Some(SPEED)),
        };
        match (path, speed) {
            ("", _) | (_, None) => Err(Error::Usage(format!(
                "'{text}' is no serial device: say its file and, behind a comma, bits a second, as in /dev/ttyUSB0,{SPEED}"
            ))),
            (path, Some(speed)) => Ok(Self { path: path.into(), speed }),
        }
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{},{}", self.path.display(), self.speed)
    }
}

impl Port {
    /// What a session on it is called: `ttyUSB0`, `pts-3`.
    pub fn label(&self) -> String {
        let inside = self
            .path
            .strip_prefix("/dev")
            .ok()
            .unwrap_or_else(|| self.path.file_name().map_or(self.path.as_path(), Path::new));
        inside.to_string_lossy().replace('/', "-")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_a_file_and_perhaps_a_speed() {
        let port = |text: &str| text.parse::<Port>().map(|port| (port.to_string(), port.label())).ok();
        let is = |text: &str, label: &str| Some((text.to_owned(), label.to_owned()));
        assert_eq!(port("/dev/ttyUSB0"), is("/dev/ttyUSB0,115200", "ttyUSB0"));
        assert_eq!(port("/dev/pts/3,9600"), is("/dev/pts/3,9600", "pts-3"));
        assert_eq!(port("somewhere/line,1"), is("somewhere/line,1", "line"));
        for wrong in ["", ",9600", "/dev/ttyS0,", "/dev/ttyS0,fast", "/dev/ttyS0,0"] {
            assert_eq!(port(wrong), None, "{wrong}");
        }
    }
}
