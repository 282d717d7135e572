//! `flob attach`: the terminal interface on a session or a checkpoint.

use std::{io::Write, sync::Arc};

use clap::Args;
use flob::tui;
use flob_image::store::Store;
use flob_session::{Client, Error, sessions, symbols::Symbols};

use crate::cli::{Context, source::symbols_of};

/// Arguments of `attach`.
#[derive(Args, Debug)]
pub struct Attach {
    /// The session's name; the only one if left out
    name: Option<String>,
    /// A checkpoint instead, without any guest
    #[arg(long, value_name = "ID", conflicts_with = "name")]
    at: Option<String>,
}

impl Attach {
    /// Opens it.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        if let Some(id) = self.at {
            return show(None, Some(id), false);
        }
        let name = self.name.as_deref().or(context.session.as_deref());
        let path = sessions::find(name)?;
        show(Some(Client::connect_path(&path)?), None, true)
    }
}

/// The terminal interface on the session of this name; `typed`: what is typed there is the program's input.
pub fn open(name: &str, typed: bool) -> Result<u8, Error> {
    let client = Client::connect(Some(name))?;
    if std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty").is_err() {
        let program = client.info()?.program;
        eprintln!(
            "flob: {program} runs in session {name}; there is no terminal here for the interface: use 'flob ps', 'flob \
             tree' and the like, 'flob stop' to end it, or 'flob run --headless'"
        );
        return Ok(0);
    }
    show(Some(client), None, typed)
}

fn show(client: Option<Client>, checkpoint: Option<String>, typed_input: bool) -> Result<u8, Error> {
    let store = Store::open_default()?;
    let symbols = match (&client, &checkpoint) {
        (Some(client), _) => symbols_of(&client.look(false)?, &store, client.info()?.elf),
        (None, Some(id)) => symbols_of(store.load(id)?.environment(), &store, None),
        (None, None) => Symbols::none(),
    };
    let insight: Arc<dyn tui::Insight> = Arc::new(tui::Symbolic::new(symbols));
    let library = tui::Library { store, insight: Arc::clone(&insight) };
    let summary = tui::run(tui::Options {
        client,
        checkpoint,
        store: Some(Arc::new(library)),
        insight,
        typed_input,
        theme: tui::Theme::from_environment(),
    })?;
    // A terminal that is gone shows nothing more.
    let _ = std::io::stderr().write_all(&summary.output);
    for line in summary.farewell() {
        eprintln!("{line}");
    }
    Ok(0)
}
