//! What inspection verbs look at: a live session, or a checkpoint (`--at ID`). One environment, its names, its symbols.

use std::path::PathBuf;

use clap::Args;
use flob_image::{Environment, store::Store};
use flob_session::{Client, Error, Source, Stored, names::Names, place::Map, symbols::Symbols};

use super::{Context, complete};

/// Arguments of every inspection verb.
#[derive(Args, Clone, Debug)]
pub struct Look {
    /// Look at this checkpoint instead of a session
    #[arg(long, value_name = "ID", add = complete::checkpoints())]
    pub at: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// An environment to look at.
pub struct View {
    /// Where it comes from.
    pub source: Box<dyn Source>,
    /// It.
    pub environment: Environment,
    /// Its program's symbols.
    pub symbols: Symbols,
    /// Its names.
    pub names: Names,
}

impl Look {
    /// Opens what is to be looked at.
    pub fn open(&self, context: &Context, vectors: bool) -> Result<View, Error> {
        let store = Store::open_default()?;
        match &self.at {
            Some(id) => View::of(Box::new(Stored::open(&store, id)?), &store, vectors, None),
            None => View::live(Client::connect(context.session.as_deref())?, vectors),
        }
    }
}

impl View {
    /// Of a session.
    pub fn live(client: Client, vectors: bool) -> Result<Self, Error> {
        let elf = client.info()?.elf;
        Self::of(Box::new(client), &Store::open_default()?, vectors, elf)
    }

    fn of(
        mut source: Box<dyn Source>,
        store: &Store,
        vectors: bool,
        elf: Option<PathBuf>,
    ) -> Result<Self, Error> {
        let environment = source.environment(vectors)?;
        let symbols = symbols_of(&environment, store, elf);
        let names = Names::new(&environment, &symbols);
        Ok(Self { source, environment, symbols, names })
    }

    /// For sentences about threads, and the source that they need.
    pub fn why(&mut self) -> (Map<'_>, &mut dyn Source) {
        let why = Map { environment: &self.environment, names: &self.names, symbols: &self.symbols };
        (why, &mut *self.source)
    }
}

/// The symbols of an environment's program: of its file if that is still the same one, else of the store's copy. Without
/// either there are none, and addresses serve.
pub fn symbols_of(environment: &Environment, store: &Store, elf: Option<PathBuf>) -> Symbols {
    let file = elf.and_then(|path| std::fs::read(path).ok());
    let same = file.filter(|elf| flob_session::symbols::is_program_of(elf, environment));
    let kept = same.or_else(|| store.get_program(&environment.build_id).ok().flatten());
    kept.and_then(|elf| Symbols::parse(&elf).ok()).unwrap_or_else(Symbols::none)
}
