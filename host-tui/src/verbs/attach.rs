//! `flob attach`: the terminal interface on a session or a checkpoint.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use clap::Args;
use flob::tui;
use flob_image::store::Store;
use flob_session::{Client, Error, sessions};

use super::{checkpoint::diff::Compared, hub, serial::Serial};
use crate::cli::{Context, complete, source::symbols_of};

/// Arguments of `attach`.
#[derive(Args, Debug)]
pub struct Attach {
    /// The session's name; the only one if left out
    #[arg(conflicts_with = "serial", add = complete::sessions())]
    name: Option<String>,
    /// A checkpoint instead, without any guest
    #[arg(long, value_name = "ID", conflicts_with_all = ["name", "serial"])]
    at: Option<String>,
    #[command(flatten)]
    serial: Serial,
    /// Do the commands of this file first, as if typed after `:`; the first that fails ends it
    #[arg(long, value_name = "FILE")]
    commands: Option<PathBuf>,
}

/// A session to show: its name, and what connects to it.
type Session = (String, tui::Connect);

impl Attach {
    /// Opens it.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let config = tui::Config::load()?;
        let script = self.commands.as_deref().map(script).transpose()?;
        if let Some(id) = self.at {
            return show(None, Some(id), Manner { script, ..Manner::default() }, config);
        }
        if self.serial.serial.is_some() {
            return attach_to_device(self.serial, context, script);
        }
        let path = sessions::find(self.name.as_deref().or(context.session.as_deref()))?;
        let client = Client::connect_path(&path)?;
        let name = client.info()?.name;
        let manner = Manner { typed: true, coach: false, script };
        show(Some((name, Box::new(move || Ok(client)))), None, manner, config)
    }
}

/// A session of its own on the device, with the terminal interface on it.
fn attach_to_device(serial: Serial, context: &Context, script: Option<tui::Script>) -> Result<u8, Error> {
    let name = hub::name(&serial, context)?;
    serial.check()?;
    let manner = Manner { typed: true, coach: false, script };
    open(name.clone(), manner, move || hub::start(&serial, &name))
}

/// How the interface behaves.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// What is typed there is the program's input.
    pub typed: bool,
    /// A coach says what to press next.
    pub coach: bool,
    /// Commands that are done first.
    pub script: Option<tui::Script>,
}

/// Reads a file of commands.
fn script(path: &Path) -> Result<tui::Script, Error> {
    let text = std::fs::read_to_string(path);
    let text =
        text.map_err(|error| Error::io(format!("reading the commands in {}", path.display()), error))?;
    Ok(tui::Script::new(&text))
}

/// The terminal interface on the session of this name, which `start` brings up meanwhile.
pub fn open(
    name: String,
    manner: Manner,
    start: impl FnOnce() -> Result<(), Error> + Send + 'static,
) -> Result<u8, Error> {
    if std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty").is_err() {
        start()?;
        let program = Client::connect(Some(&name))?.info()?.program;
        eprintln!(
            "flob: {program} runs in session {name}; there is no terminal here for the interface: use 'flob ps', 'flob \
             tree' and the like, 'flob stop' to end it, or 'flob run --headless'"
        );
        return Ok(0);
    }
    // What is wrong with it is told before anything is started.
    let config = tui::Config::load()?;
    let called = name.clone();
    let connect = move || {
        start()?;
        Client::connect(Some(&called))
    };
    show(Some((name, Box::new(connect))), None, manner, config)
}

fn show(
    session: Option<Session>,
    checkpoint: Option<String>,
    manner: Manner,
    config: tui::Config,
) -> Result<u8, Error> {
    let store = Store::open_default()?;
    if let Some(id) = &checkpoint {
        store.load(id)?;
    }
    let (session, insight) = with_insight(session, store.clone());
    // Checkpoints need no session.
    let context = Context { session: None };
    let compare = move |one: &str, other: &str| Ok(Compared::new(&context, one, other)?.lines());
    let library = tui::Library { store, insight: Arc::clone(&insight), compare: Arc::new(compare) };
    let summary = tui::run(tui::Options {
        session,
        checkpoint,
        store: Some(Arc::new(library)),
        insight,
        typed_input: manner.typed,
        config,
        coach: manner.coach,
        script: manner.script,
    })?;
    // A terminal that is gone shows nothing more.
    let _ = std::io::stderr().write_all(&summary.output);
    for line in summary.farewell() {
        eprintln!("{line}");
    }
    Ok(0)
}

/// Names come from the ELF of whatever runs or is opened; where it is, the hub says once there is one.
fn with_insight(session: Option<Session>, store: Store) -> (Option<Session>, Arc<dyn tui::Insight>) {
    let connected: Arc<OnceLock<Client>> = Arc::default();
    let hub = Arc::clone(&connected);
    let insight = tui::Symbolic::new(move |environment| {
        let elf = hub.get().and_then(|client| client.info().ok()?.elf);
        symbols_of(environment, &store, elf)
    });
    let session = session.map(|(name, connect)| -> Session {
        let connect = move || {
            let client = connect()?;
            let _ = connected.set(client.clone());
            Ok(client)
        };
        (name, Box::new(connect))
    });
    (session, Arc::new(insight))
}
