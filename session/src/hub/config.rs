//! What a session is started with.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    sync::Arc,
};

use flob_image::store::Store;
use flob_link::{Progress, host::Timing};

use super::{
    input::Input,
    now,
    restore::{Manner, Prepared},
};
use crate::{
    Claim, Error, LinkState, SessionInfo,
    boot::{
        Launcher, LinkDevice, Software,
        arguments::{Beginning, Disturbance},
    },
    serial, symbols,
};

/// Everything that a session needs to start.
pub struct Config {
    /// Its name.
    pub claim: Claim,
    /// Name of the program, under which it stands in the boot archive.
    pub program: String,
    /// Its arguments, without its name.
    pub arguments: Vec<String>,
    /// Its ELF on the host, if it is a file there.
    pub elf: Option<PathBuf>,
    /// Which guest.
    pub guest: GuestPlan,
    /// The program is held from its first instruction on.
    pub paused: bool,
    /// A checkpoint to begin with.
    pub restore: Option<String>,
    /// Unknown external links of the checkpoint become null.
    pub force: bool,
    /// The program runs before the checkpoint's memory is there.
    pub lazy: bool,
    /// The checkpoint store.
    pub store: Store,
    /// What to do with the standard streams.
    pub standard: Standard,
    /// How patient the link to the guest is.
    pub timing: Timing,
    /// Socket of the gdb server that goes with it.
    pub gdb_socket: Option<PathBuf>,
    /// TCP port of the gdb server that goes with it.
    pub gdb_port: Option<u16>,
}

/// Which guest a session is on.
pub enum GuestPlan {
    /// One of its own.
    Emulated(Box<Emulated>),
    /// One that runs elsewhere, behind a serial device. Its program is whatever it says it is.
    Remote {
        #[expect(missing_docs, reason = "the type says it")]
        port: serial::Port,
        /// ELFs, one of which may be the program's.
        known: Vec<Vec<u8>>,
    },
}

/// A guest to be started.
pub struct Emulated {
    /// What runs in the guest.
    pub software: Software,
    /// Names and options of the nesters above the debugger's, one after the other.
    pub above: Vec<String>,
    /// Main memory in MiB.
    pub memory: u32,
    /// What carries the line to the guest.
    pub link: LinkDevice,
    /// An instruction of the guest is a nanosecond of its time.
    pub counted: bool,
    /// How to start the guest's process.
    pub launcher: Launcher,
    /// How the run is disturbed, for tests.
    pub disturbance: Disturbance,
}

/// Which standard streams of this process are the program's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standard {
    /// Standard input feeds the program; else a client types.
    pub input: bool,
    /// The program's output and errors go to standard output and standard error.
    pub output: bool,
}

impl Config {
    pub(super) fn beginning(&self) -> Beginning {
        if self.paused { Beginning::Paused } else { Beginning::Run }
    }

    pub(super) const fn manner(&self) -> Manner {
        Manner { force: self.force, lazy: self.lazy }
    }

    /// The program's ELF.
    pub(super) fn program_elf(&self) -> Option<Vec<u8>> {
        let GuestPlan::Emulated(guest) = &self.guest else { return None };
        let programs = &guest.software.programs;
        programs.iter().find(|file| file.name == self.program).map(|file| file.contents.clone())
    }

    /// ELFs, one of which may be the program's.
    pub(super) fn known(&self) -> Vec<Vec<u8>> {
        match &self.guest {
            GuestPlan::Emulated(_) => Vec::new(),
            GuestPlan::Remote { known, .. } => known.clone(),
        }
    }

    /// Identification of the kernel, for checkpoints; empty where it is not known.
    pub(super) fn kernel(&self) -> String {
        match &self.guest {
            GuestPlan::Emulated(guest) => symbols::build_id(&guest.software.kernel),
            GuestPlan::Remote { .. } => String::new(),
        }
    }

    pub(super) fn info(&self, guest_process: Option<u32>) -> SessionInfo {
        SessionInfo {
            name: self.claim.name().to_owned(),
            program: self.program.clone(),
            arguments: self.arguments.clone(),
            hub_process: std::process::id(),
            guest_process,
            device: match &self.guest {
                GuestPlan::Emulated(_) => None,
                GuestPlan::Remote { port, .. } => Some(port.path.clone()),
            },
            elf: self.elf.clone(),
            gdb_socket: self.gdb_socket.clone(),
            gdb_port: self.gdb_port,
            started: now(),
            link: LinkState::Connecting,
            received: 0,
            sent: 0,
            restore_bytes: 0,
            fetching: None,
            lost: None,
            holders: Vec::new(),
            progress: Progress::default(),
            checkpoint: self.restore.clone(),
            restored: self.restore.is_some(),
        }
    }

    /// The session's input: this process's standard input, or what its checkpoint was given, or what will be typed.
    pub(super) fn open_input(&self, restored: Option<&Prepared>) -> Result<Arc<Input>, Error> {
        let io = |error| Error::io("reading the standard input", error);
        let input = Input::new(self.store.spool()?);
        if self.standard.input {
            input.fill_from(standard_input().map_err(io)?).map_err(io)?;
        }
        match restored {
            Some(checkpoint) => self.join_input(input, checkpoint),
            None => Ok(input),
        }
    }

    /// New input must begin with what the checkpoint has consumed; without new input, what was kept goes on.
    fn join_input(&self, input: Arc<Input>, checkpoint: &Prepared) -> Result<Arc<Input>, Error> {
        let (position, hash) = checkpoint.consumed();
        if self.standard.input {
            input.wait_for(position.max(1));
            let present = input.so_far();
            if present.length() > 0 {
                return if present.hash(position)? == Some(hash) {
                    Ok(input)
                } else {
                    Err(other_input(position))
                };
            }
        }
        let mut spool = checkpoint.spool()?;
        if !checkpoint.has_whole_input() && self.standard.input {
            eprintln!(
                "flob: only the first {} bytes of the checkpoint's input were kept: give the whole by '< FILE'",
                spool.length()
            );
        }
        if self.standard.input {
            spool.end();
        }
        input.close();
        Ok(Input::new(spool))
    }
}

fn other_input(position: u64) -> Error {
    Error::BadInput(format!(
        "the first {position} bytes of this input are not those that the checkpoint has consumed: give the same input, or \
         none to go on with what was kept of it"
    ))
}

/// A second handle to standard input, without the library's buffer.
fn standard_input() -> io::Result<File> {
    let handle: OwnedFd = io::stdin().as_fd().try_clone_to_owned()?;
    Ok(File::from(handle))
}
