//! `flob gdb`: gdb on a session, connected.

use std::{
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, atomic::AtomicBool},
};

use clap::Args;
use flob_abi::FlobKind;
use flob_gdb::Selection;
use flob_session::{Client, Error, SessionInfo, sessions};

use crate::cli::{Context, source::View};

/// gdb's own two seconds are short where the line to the guest is slow.
const PATIENCE: &str = "set remotetimeout 30";

/// Arguments of `gdb`.
#[derive(Args, Debug)]
pub struct Gdb {
    /// Another space than the program's first: its name, a part of it, or its short id
    #[arg(long, value_name = "SPACE")]
    space: Option<String>,
    /// Arguments for gdb itself
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Gdb {
    /// Becomes gdb, or waits for it.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let client = Client::connect(context.session.as_deref())?;
        let info = client.info()?;
        match &self.space {
            None => {
                let socket = info.gdb_socket.as_deref();
                let socket =
                    socket.ok_or_else(|| Error::NotFound("this session has no gdb server".into()))?;
                Err(not_started(self.command(&info, socket).exec()))
            }
            Some(space) => self.on_space(client, &info, space),
        }
    }

    /// The session's own server is for the program's first space: this one is served from here, as long as gdb runs.
    fn on_space(&self, client: Client, info: &SessionInfo, space: &str) -> Result<u8, Error> {
        let place = View::live(client, false)?.names.find_kind(space, FlobKind::Space)?;
        let failed = |error| Error::io("serving gdb", error);
        let folder = tempfile::Builder::new().prefix("flob-gdb-").tempdir().map_err(failed)?;
        let socket = folder.path().join("gdb");
        let session: PathBuf = sessions::socket(&info.name)?;
        let report = |error: &Error| eprintln!("flob: {error}");
        flob_gdb::listen_unix(&socket, &session, Selection::Space(place), report)?;
        // Ctrl-C is meant for gdb alone.
        signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::new(AtomicBool::new(false)))
            .map_err(failed)?;
        let status = self.command(info, &socket).status().map_err(not_started)?;
        Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
    }

    fn command(&self, info: &SessionInfo, socket: &Path) -> Command {
        let mut command = Command::new("gdb");
        command.args(["-q", "-ex", PATIENCE]).args(&info.elf);
        command.arg("-ex").arg(format!("target remote {}", socket.display())).args(&self.arguments);
        command
    }
}

fn not_started(error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::NotFound {
        return Error::Environment("gdb was not found: install it (Debian: apt install gdb)".into());
    }
    Error::io("starting gdb", error)
}
