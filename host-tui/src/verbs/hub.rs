//! `flob hub`: a session in a process of its own, which outlives the terminal it was started from. For flob's own use.

use std::{
    fs,
    io::{Read, Write},
    os::{
        fd::AsFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use clap::Args;
use flob_session::{
    Error,
    hub::{Ending, Session, Standard},
    sessions,
};
use rustix::event::{PollFd, PollFlags, poll};

use super::{
    black_box,
    run::{Run, redirected},
};
use crate::cli::Context;

/// Arguments of the hub.
#[derive(Args, Debug)]
pub struct HubProcess {
    /// Where to say that the session is up
    #[arg(long)]
    ready: PathBuf,
    /// Standard input is the program's; else what is typed is
    #[arg(long)]
    input: bool,
    /// Standard output is the program's too
    #[arg(long)]
    output: bool,
    #[command(flatten)]
    run: Run,
}

impl HubProcess {
    /// Runs the session until somebody ends it.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        // Fails only for the leader of a group, which is one of its own already.
        let _ = rustix::process::setsid();
        let mut starter =
            UnixStream::connect(&self.ready).map_err(|error| Error::io("telling who started us", error))?;
        match self.start(context) {
            Ok(session) => {
                // Who started us may have gone; the session stays.
                let _ = starter.write_all(b"0");
                drop(starter);
                Ok(live(&session))
            }
            Err(error) => {
                let _ = write!(starter, "{}{error}", char::from(error.exit_code()));
                Ok(error.exit_code())
            }
        }
    }

    fn start(&self, context: &Context) -> Result<Session, Error> {
        // Who started us knows: in place of a terminal we were given nothing to read and write.
        let standard = Standard { input: self.input, output: self.output };
        let (config, servers) = self.run.prepare(context.session.as_deref(), standard)?;
        let session = Session::start(config)?;
        servers.serve(session.socket())?;
        Ok(session)
    }
}

/// A program that has ended stays, to be looked at.
fn live(session: &Session) -> u8 {
    loop {
        match session.wait() {
            // It is held, and may be mended.
            Ending::Exited(_) | Ending::PagesLost(_) => {}
            Ending::StandsStill => black_box::keep_the_stuck(session),
            Ending::Died { .. } => black_box::keep_the_dead(session),
            Ending::Shutdown | Ending::Moved(_) => return 0,
            Ending::Failed(error) => return error.exit_code(),
        }
    }
}

/// What the session will be called: known before anything is started.
pub fn name(run: &Run, context: &Context) -> Result<String, Error> {
    let name = match &context.session {
        Some(name) => name.clone(),
        None => sessions::free_name(&label(run))?,
    };
    sessions::socket(&name)?;
    Ok(name)
}

/// Starts a hub process for a session of this name and waits until it is up.
pub fn start(run: &Run, name: &str) -> Result<(), Error> {
    let ready = sessions::socket(name)?.with_extension("ready");
    let _ = fs::remove_file(&ready);
    let io = |error| Error::io("starting the session", error);
    let listener = UnixListener::bind(&ready).map_err(io)?;
    let started = spawn(run, name, &ready).map_err(io).and_then(|child| wait(child, &listener));
    // It has served its purpose, or nobody will come.
    let _ = fs::remove_file(&ready);
    started
}

fn label(run: &Run) -> String {
    let program = run.program.as_deref().or(run.restore.as_deref()).unwrap_or_default();
    program.rsplit('/').next().unwrap_or_default().to_owned()
}

fn spawn(run: &Run, name: &str, ready: &std::path::Path) -> std::io::Result<Child> {
    let standard = redirected();
    let stream = |ours: bool| if ours { Stdio::inherit() } else { Stdio::null() };
    let errors = std::io::IsTerminal::is_terminal(&std::io::stderr());
    Command::new(std::env::current_exe()?)
        .args(["--session", name, "hub", "--ready"])
        .arg(ready)
        .args(standard.input.then_some("--input"))
        .args(standard.output.then_some("--output"))
        .args(run.to_arguments())
        .stdin(stream(standard.input))
        .stdout(stream(standard.output))
        .stderr(stream(!errors))
        .spawn()
}

/// Waits until the hub says something, or ends without a word.
fn wait(mut child: Child, listener: &UnixListener) -> Result<(), Error> {
    let io = |error: rustix::io::Errno| Error::io("waiting for the session", error.into());
    let process = rustix::process::Pid::from_child(&child);
    let ended = rustix::process::pidfd_open(process, rustix::process::PidfdFlags::empty()).map_err(io)?;
    let mut events = [
        PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN),
        PollFd::from_borrowed_fd(ended.as_fd(), PollFlags::IN),
    ];
    poll(&mut events, None).map_err(io)?;
    if !events[0].revents().contains(PollFlags::IN) {
        let status = child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        return Err(Error::Guest(format!("the session ended before it was up: {status}")));
    }
    let (mut hub, _) = listener.accept().map_err(|error| Error::io("waiting for the session", error))?;
    let mut said = Vec::new();
    hub.read_to_end(&mut said).map_err(|error| Error::io("waiting for the session", error))?;
    match said.split_first() {
        Some((b'0', [])) => Ok(()),
        Some((code, text)) => Err(Error::from_exit_code(*code, String::from_utf8_lossy(text).into_owned())),
        None => Err(Error::Guest("the session ended before it was up".into())),
    }
}
