//! Debuggers of other people on a session: started with the program's file, and connected.

use std::{
    fs, io,
    os::unix::{fs::symlink, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, atomic::AtomicBool},
};

use clap::Args;
use flob_abi::FlobKind;
use flob_gdb::Selection;
use flob_image::Place;
use flob_session::{Client, Error, SessionInfo, sessions};

use crate::cli::{Context, complete, source::View};

/// gdb's own two seconds are short where the line to the guest is slow.
const PATIENCE: &str = "set remotetimeout 30";
/// Commands and pretty printers for gdb.
const HELPER: &str = include_str!("../../../gdb/flob.py");

/// What all of them take.
#[derive(Args, Debug)]
pub struct Start {
    /// Another space than the program's first: its name, a part of it, its short id, or its number as a process
    #[arg(long, value_name = "SPACE", add = complete::flobs(Some(FlobKind::Space)))]
    space: Option<String>,
    /// Arguments for the debugger itself
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Debugger {
    /// With commands and pretty printers of our own.
    Gdb,
    /// It asks for no file: the program's is passed.
    Lldb,
}

impl Start {
    /// Becomes the debugger, or waits for it.
    pub fn run(self, debugger: Debugger, context: &Context) -> Result<u8, Error> {
        let client = Client::connect(context.session.as_deref())?;
        let info = client.info()?;
        match &self.space {
            None => {
                let socket = info.gdb_socket.as_deref();
                let socket =
                    socket.ok_or_else(|| Error::NotFound("this session has no gdb server".into()))?;
                Err(debugger.not_started(debugger.command(&info, socket, &self.arguments)?.exec()))
            }
            Some(space) => self.on_space(debugger, client, &info, space),
        }
    }

    /// The session's own server is for the program's first space: this one is served from here, as long as the debugger runs.
    fn on_space(
        &self,
        debugger: Debugger,
        client: Client,
        info: &SessionInfo,
        space: &str,
    ) -> Result<u8, Error> {
        let place = find_space(client, space)?;
        let failed = |error| Error::io("serving the debugger", error);
        let folder = tempfile::Builder::new().prefix("flob-gdb-").tempdir().map_err(failed)?;
        let socket = folder.path().join("gdb");
        let session: PathBuf = sessions::socket(&info.name)?;
        let report = |error: &Error| eprintln!("flob: {error}");
        flob_gdb::listen_unix(&socket, &session, Selection::Space(place), report)?;
        // Ctrl-C is meant for the debugger alone.
        signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::new(AtomicBool::new(false)))
            .map_err(failed)?;
        let mut command = debugger.command(info, &socket, &self.arguments)?;
        let status = command.status().map_err(|error| debugger.not_started(error))?;
        Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
    }
}

/// The space that is meant by a number (as `info os processes` has it), a name or a short id.
pub fn find_space(client: Client, text: &str) -> Result<Place, Error> {
    let View { environment, names, .. } = View::live(client, false)?;
    let Ok(number) = text.parse() else { return Ok(names.find_kind(text, FlobKind::Space)?) };
    flob_session::names::space_of_process(&environment, number).ok_or_else(|| {
        let known = flob_session::names::spaces(&environment);
        let known = known.map(|space| {
            format!("\n  {} {}", flob_session::names::process(&environment, space), names.flob(space))
        });
        Error::NotFound(format!("there is no space {number}, but these:{}", known.collect::<String>()))
    })
}

impl Debugger {
    const fn name(self) -> &'static str {
        match self {
            Self::Gdb => "gdb",
            Self::Lldb => "lldb",
        }
    }

    fn command(self, info: &SessionInfo, socket: &Path, arguments: &[String]) -> Result<Command, Error> {
        let mut command = Command::new(self.name());
        let program = info.elf.as_deref().map(|elf| named(elf, info)).transpose()?;
        match self {
            Self::Gdb => {
                command.args(["-q", "-ex", PATIENCE]).args(program);
                command.arg("-ex").arg(format!("target remote {}", socket.display()));
                command.arg("-ex").arg(format!("source {}", helper()?.display())).args(arguments);
            }
            Self::Lldb => {
                let connect =
                    format!("process connect --plugin gdb-remote unix-connect://{}", socket.display());
                command.arg("--one-line").arg(connect).args(arguments).args(program);
            }
        }
        Ok(command)
    }

    fn not_started(self, error: io::Error) -> Error {
        let name = self.name();
        if error.kind() == io::ErrorKind::NotFound {
            return Error::Environment(format!(
                "{name} was not found: install it (Debian: apt install {name})"
            ));
        }
        Error::io(format!("starting {name}"), error)
    }
}

/// The program's file by the program's name: that is what a debugger shows with each frame, and the store names files by what is in them.
fn named(elf: &Path, info: &SessionInfo) -> Result<PathBuf, Error> {
    let Some(name) = Path::new(&info.program).file_name() else { return Ok(elf.into()) };
    let folder = sessions::directory()?.join(format!("{}.logs", info.name)).join("program");
    let (path, fresh) = (folder.join(name), folder.join(format!(".{}", std::process::id())));
    let linked = fs::create_dir_all(&folder)
        .and_then(|()| symlink(elf, &fresh))
        .and_then(|()| fs::rename(&fresh, &path));
    linked.map(|()| path).map_err(|error| Error::io(format!("writing in {}", folder.display()), error))
}

/// Where gdb finds its helper: a file beside the sessions' sockets, made anew by each version of flob.
fn helper() -> Result<PathBuf, Error> {
    let folder = sessions::directory()?;
    let path = folder.join("flob.py");
    if fs::read_to_string(&path).is_ok_and(|text| text == HELPER) {
        return Ok(path);
    }
    let failed = |error| Error::io(format!("writing {}", path.display()), error);
    let mut file = tempfile::NamedTempFile::new_in(&folder).map_err(failed)?;
    io::Write::write_all(&mut file, HELPER.as_bytes()).map_err(failed)?;
    file.persist(&path).map_err(|error| failed(error.error))?;
    Ok(path)
}
