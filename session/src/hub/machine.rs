//! The guest of a session: an emulator of its own, which ends with it, or one behind a serial device, which stays.

use std::{io, path::Path, process::ExitStatus, sync::Arc, time::Duration};

use flob_link::host::{Link, Log, Timing};

use super::{Config, GuestPlan, config::Emulated, news::News};
use crate::{
    Error,
    boot::{Guest, arguments, qemu},
    serial::Device,
    wire::Line,
};

/// A guest that has not said hello after this long is not coming up.
const BOOT_PATIENCE: Duration = Duration::from_secs(60);
/// One that runs already answers sooner, on a slow line too.
const ANSWER_PATIENCE: Duration = Duration::from_secs(20);

/// See above.
pub(super) enum Machine {
    Own(Guest),
    Remote(Device),
}

impl Machine {
    /// Starts it, or opens the line to it.
    pub fn begin(config: &Config, beginning: arguments::Beginning, folder: &Path) -> Result<Self, Error> {
        match &config.guest {
            GuestPlan::Emulated(guest) => boot(config, guest, beginning, folder).map(Self::Own),
            GuestPlan::Remote { port, .. } => Device::open(port.clone()).map(Self::Remote),
        }
    }

    /// Starts the link to it.
    pub fn connect(&self, timing: Timing, log: Log, news: Arc<News>) -> io::Result<Link> {
        let tell = Box::new(move |notice| news.push(notice));
        match self {
            Self::Own(guest) => {
                let end = || guest.line.try_clone().map(Line);
                Link::start(end()?, end()?, timing, log, tell)
            }
            Self::Remote(device) => Link::start(device.clone(), device.clone(), timing, log, tell),
        }
    }

    /// How long its hello is waited for.
    pub const fn patience(&self) -> Duration {
        match self {
            Self::Own(_) => BOOT_PATIENCE,
            Self::Remote(_) => ANSWER_PATIENCE,
        }
    }

    /// Its process number, if it is ours.
    pub fn process(&self) -> Option<u32> {
        match self {
            Self::Own(guest) => Some(guest.process()),
            Self::Remote(_) => None,
        }
    }

    pub const fn is_remote(&self) -> bool {
        matches!(self, Self::Remote(_))
    }

    /// Ends it if it is ours; else somebody else may have the device from now on.
    pub fn end(&mut self) -> Option<ExitStatus> {
        match self {
            Self::Own(guest) => guest.end(),
            Self::Remote(device) => {
                device.release();
                None
            }
        }
    }
}

fn boot(
    config: &Config,
    guest: &Emulated,
    beginning: arguments::Beginning,
    folder: &Path,
) -> Result<Guest, Error> {
    let stack =
        arguments::Stack { above: &guest.above, program: &config.program, arguments: &config.arguments };
    let words = arguments::command_line(beginning, guest.disturbance, stack)?;
    let command_line = format!("{} {words}", arguments::run_word());
    let machine = qemu::Machine {
        software: &guest.software,
        command_line: &command_line,
        memory: guest.memory,
        link: guest.link,
        counted: guest.counted,
        folder,
    };
    Guest::start(machine, &guest.launcher)
}
