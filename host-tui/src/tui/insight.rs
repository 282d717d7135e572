//! What the TUI wants to know of an environment beyond its raw state: names, homes, places in the source, symbols, and
//! why each thread waits. The same names and sentences as everywhere in flob.

use std::{
    collections::HashMap,
    fmt::{self, Debug},
    sync::{Mutex, PoisonError},
};

use flob_abi::{FlobKind, Registers};
use flob_image::{Environment, Flob, Link, Place, State};
use flob_link::{Change, Memory};
use flob_session::{
    Condition, Error, Source, Spot,
    names::Names,
    place::{self, Map},
    symbols::Symbols,
    translate::Translation,
};

/// What is known of an environment.
#[derive(Clone, Debug, Default)]
pub struct Explained {
    /// What each flob is called.
    pub names: Names,
    /// The space in whose memory each flob lies, as an index into the list; `None` if in none.
    pub homes: Vec<Option<u32>>,
    /// Of each thread, in the order of places: where it stands in the source, and the sentence of `flob why`.
    pub threads: Vec<(String, String)>,
}

/// Knows names and reasons. Asked by the workers only, once a snapshot, never while drawing; symbols excepted.
pub trait Insight: Debug + Send + Sync {
    /// Finds everything out; `source` reads stacks.
    fn explain(&self, environment: &Environment, source: &mut dyn Source) -> Explained;

    /// The address of a symbol of this environment's program, of a part of one, or of a line of its source.
    fn symbol(&self, environment: &Environment, name: &str) -> Option<u64>;

    /// The symbol of this environment's program that covers an address, and the offset in it.
    fn covering(&self, environment: &Environment, address: u64) -> Option<(String, u64)>;

    /// What a place to stop at is called.
    fn describe(&self, environment: &Environment, spot: &Spot) -> String;

    /// The breakpoints that `LOCATION [if EXPRESSION]` means.
    fn breakpoints(
        &self,
        environment: &Environment,
        text: &str,
    ) -> Result<Vec<(Spot, Option<Condition>)>, Error>;
}

/// Finds the symbols of an environment's program.
type Load = Box<dyn Fn(&Environment) -> Symbols + Send + Sync>;

/// Knows what the symbols of each program's ELF say.
pub struct Symbolic {
    load: Load,
    /// By build id: a restore may bring another program.
    symbols: Mutex<HashMap<String, Symbols>>,
    stacks: Mutex<HashMap<Place, Stack>>,
}

/// What was read of a thread's stack while it had these registers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stack {
    registers: Registers,
    reads: HashMap<(u64, u32), Vec<u8>>,
}

impl Debug for Symbolic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Symbolic").finish_non_exhaustive()
    }
}

impl Symbolic {
    /// With the symbols that `load` finds; [`Symbols::none`] for names by address.
    pub fn new(load: impl Fn(&Environment) -> Symbols + Send + Sync + 'static) -> Self {
        Self { load: Box::new(load), symbols: Mutex::default(), stacks: Mutex::default() }
    }
}

impl Insight for Symbolic {
    fn explain(&self, environment: &Environment, source: &mut dyn Source) -> Explained {
        // Nothing is left half done in there if somebody panics.
        let mut known = self.symbols.lock().unwrap_or_else(PoisonError::into_inner);
        let symbols = known.entry(environment.build_id.clone()).or_insert_with(|| (self.load)(environment));
        let symbols = &*symbols;
        let mut stacks = self.stacks.lock().unwrap_or_else(PoisonError::into_inner);
        let names = Names::new(environment, symbols);
        let why = Map { environment, names: &names, symbols };
        let mut known = std::mem::take(&mut *stacks);
        let mut threads = Vec::new();
        for flob in &environment.flobs {
            let State::Thread(state) = &flob.state else { continue };
            let fresh = || Stack { registers: state.registers, reads: HashMap::new() };
            let stack = known.remove(&flob.place).filter(|stack| stack.registers == state.registers);
            let mut reader = Remembering { source, stack: stack.unwrap_or_else(fresh) };
            let position = why.location(flob.place, &mut reader).map(|location| location.short());
            let position = position.unwrap_or_else(|| format!("{:#x}", state.registers.rip));
            threads.push((position, why.sentence(flob.place, &mut reader)));
            stacks.insert(flob.place, reader.stack);
        }
        let homes = homes(environment, names.translation());
        Explained { names, homes, threads }
    }

    fn symbol(&self, environment: &Environment, name: &str) -> Option<u64> {
        // A worker may be using them; then this is simply not known right now.
        let symbols = self.symbols.try_lock().ok()?;
        symbols.get(&environment.build_id)?.address_named(name)
    }

    fn covering(&self, environment: &Environment, address: u64) -> Option<(String, u64)> {
        // As above.
        let symbols = self.symbols.try_lock().ok()?;
        let (symbol, offset) = symbols.get(&environment.build_id)?.symbol(address)?;
        Some((symbol.short_name().to_owned(), offset))
    }

    fn describe(&self, environment: &Environment, spot: &Spot) -> String {
        self.with_symbols(environment, |symbols| place::describe(symbols, spot))
    }

    fn breakpoints(
        &self,
        environment: &Environment,
        text: &str,
    ) -> Result<Vec<(Spot, Option<Condition>)>, Error> {
        self.with_symbols(environment, |symbols| {
            let names = Names::new(environment, symbols);
            let map = Map { environment, names: &names, symbols };
            map.breakpoints(map.space(None)?, text)
        })
    }
}

impl Symbolic {
    /// Does something with the symbols of an environment's program.
    fn with_symbols<T>(&self, environment: &Environment, act: impl FnOnce(&Symbols) -> T) -> T {
        let mut known = self.symbols.lock().unwrap_or_else(PoisonError::into_inner);
        act(known.entry(environment.build_id.clone()).or_insert_with(|| (self.load)(environment)))
    }
}

/// Reads a stack, and remembers what it has read: a thread with the same registers has the same stack above them.
struct Remembering<'a> {
    source: &'a mut dyn Source,
    stack: Stack,
}

impl Source for Remembering<'_> {
    fn environment(&mut self, vectors: bool) -> Result<Environment, Error> {
        self.source.environment(vectors)
    }

    fn read(&mut self, memory: Memory, address: u64, count: u32) -> Result<Vec<u8>, Error> {
        if let Some(bytes) = self.stack.reads.get(&(address, count)) {
            return Ok(bytes.clone());
        }
        let bytes = self.source.read(memory, address, count)?;
        self.stack.reads.insert((address, count), bytes.clone());
        Ok(bytes)
    }

    fn write(&mut self, memory: Memory, address: u64, bytes: &[u8]) -> Result<(), Error> {
        self.source.write(memory, address, bytes)
    }

    fn set(&mut self, place: Place, hash: u64, change: Change) -> Result<(), Error> {
        self.source.set(place, hash, change)
    }

    fn is_live(&self) -> bool {
        self.source.is_live()
    }
}

/// The space that each flob lies in: threads, regions and mappings name it, of the others it is the first that sees them.
pub fn homes(environment: &Environment, translation: &Translation) -> Vec<Option<u32>> {
    let home = |flob: &Flob| {
        let link = match flob.state.kind() {
            FlobKind::Space => return index_of(environment, flob.place),
            FlobKind::Thread | FlobKind::Region => flob.links.first(),
            FlobKind::Mapping => flob.links.get(1),
            _ => None,
        };
        match link {
            Some(Link::Flob(space)) => index_of(environment, *space),
            _ => index_of(environment, translation.addresses(flob.place).next()?.0),
        }
    };
    environment.flobs.iter().map(home).collect()
}

fn index_of(environment: &Environment, place: Place) -> Option<u32> {
    let index = environment.flobs.binary_search_by_key(&place, |flob| flob.place).ok()?;
    u32::try_from(index).ok()
}
