//! `flob hub`: a session in a process of its own, which outlives the terminal it was started from. For flob's own use.

use std::{
    ffi::OsString,
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
    hub::{Config, Ending, Session, Standard},
    sessions,
};
use rustix::event::{PollFd, PollFlags, poll};

use super::{black_box, gdb_server::Servers, run::redirected};
use crate::cli::Context;

/// What a hub is started with.
pub trait Plan {
    /// The verb of a hub that is given [`Self::to_arguments`].
    const VERB: &str;

    /// What the session is called after.
    fn label(&self) -> String;

    /// The arguments that make a hub of its own do the same.
    fn to_arguments(&self) -> Vec<OsString>;

    /// Which standard streams are the program's.
    fn standard(&self) -> Standard {
        redirected()
    }

    /// Everything that can be found out before a guest is started.
    fn prepare(&self, name: Option<&str>, standard: Standard) -> Result<(Config, Servers), Error>;
}

/// Arguments of the hub.
#[derive(Args, Debug)]
pub struct HubProcess<P: Args> {
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
    plan: P,
}

impl<P: Args + Plan> HubProcess<P> {
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
        let (config, servers) = self.plan.prepare(context.session.as_deref(), standard)?;
        let session = Session::start(config)?;
        servers.serve(&session.door())?;
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
pub fn name(plan: &impl Plan, context: &Context) -> Result<String, Error> {
    let name = match &context.session {
        Some(name) => name.clone(),
        None => sessions::free_name(&plan.label())?,
    };
    sessions::socket(&name)?;
    Ok(name)
}

/// Starts a hub process for a session of this name and waits until it is up.
pub fn start(plan: &impl Plan, name: &str) -> Result<(), Error> {
    let ready = sessions::socket(name)?.with_extension("ready");
    let _ = fs::remove_file(&ready);
    let io = |error| Error::io("starting the session", error);
    let listener = UnixListener::bind(&ready).map_err(io)?;
    let started = spawn(plan, name, &ready).map_err(io).and_then(|child| wait(child, &listener));
    // It has served its purpose, or nobody will come.
    let _ = fs::remove_file(&ready);
    started
}

fn spawn<P: Plan>(plan: &P, name: &str, ready: &std::path::Path) -> std::io::Result<Child> {
    let standard = plan.standard();
    let stream = |ours: bool| if ours { Stdio::inherit() } else { Stdio::null() };
    let errors = std::io::IsTerminal::is_terminal(&std::io::stderr());
    Command::new(std::env::current_exe()?)
        .args(["--session", name, P::VERB, "--ready"])
        .arg(ready)
        .args(standard.input.then_some("--input"))
        .args(standard.output.then_some("--output"))
        .args(plan.to_arguments())
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
