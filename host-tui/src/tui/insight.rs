//! What the TUI wants to know of an environment beyond its raw state: names, places in the source, symbols, and why a
//! thread waits. With a program's ELF at hand the session answers; [`Plain`] does without one.

use std::{collections::HashMap, fmt::Debug};

use flob_abi::FlobKind;
use flob_image::{Environment, Flob, Link, Place, State};

/// Knows names. Called from the worker only, once a snapshot, never while drawing.
pub trait Insight: Debug + Send + Sync {
    /// A name for each flob of the environment, in the order of its list.
    fn names(&self, environment: &Environment) -> Vec<String>;

    /// The space in whose memory each flob lies, as an index into the list of flobs; `None` if in none.
    fn homes(&self, environment: &Environment) -> Vec<Option<u32>>;

    /// Function, file and line where a thread stands: `eat at philosophers.rs:41`.
    fn position(&self, environment: &Environment, thread: Place) -> Option<String>;

    /// The sentence of `flob why`, if it differs from what the snapshot finds out by itself.
    fn why(&self, environment: &Environment, thread: Place) -> Option<String>;

    /// The address of a symbol.
    fn symbol(&self, name: &str) -> Option<u64>;
}

/// Names made from addresses alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Insight for Plain {
    fn names(&self, environment: &Environment) -> Vec<String> {
        let homes = self.homes(environment);
        environment.flobs.iter().zip(homes).map(|(flob, home)| plain_name(environment, flob, home)).collect()
    }

    fn homes(&self, environment: &Environment) -> Vec<Option<u32>> {
        environment.flobs.iter().map(|flob| home(environment, flob)).collect()
    }

    fn position(&self, environment: &Environment, thread: Place) -> Option<String> {
        match &environment.flob(thread)?.state {
            State::Thread(state) => Some(format!("{:#x}", state.registers.rip)),
            _ => None,
        }
    }

    fn why(&self, _: &Environment, _: Place) -> Option<String> {
        None
    }

    fn symbol(&self, _: &str) -> Option<u64> {
        None
    }
}

fn plain_name(environment: &Environment, flob: &Flob, home: Option<u32>) -> String {
    let kind = flob.state.kind().name();
    let space = home.and_then(|index| environment.flobs.get(index as usize));
    match space {
        Some(space) if space.place != flob.place => format!("{kind}:{:x}/{:#x}", space.place, flob.place),
        _ => format!("{kind}:{:#x}", flob.place),
    }
}

/// Threads, regions and mappings name their space; of the others, the first space is taken in whose memory they lie.
fn home(environment: &Environment, flob: &Flob) -> Option<u32> {
    let link = match flob.state.kind() {
        FlobKind::Space => return index_of(environment, flob.place),
        FlobKind::Thread | FlobKind::Region => flob.links.first(),
        FlobKind::Mapping => flob.links.get(1),
        _ => None,
    };
    match link {
        Some(Link::Flob(space)) => index_of(environment, *space),
        _ => None,
    }
}

fn index_of(environment: &Environment, place: Place) -> Option<u32> {
    let index = environment.flobs.binary_search_by_key(&place, |flob| flob.place).ok()?;
    u32::try_from(index).ok()
}

/// Names looked up once, for tests and demonstrations without symbols.
#[derive(Clone, Debug, Default)]
pub struct Named {
    /// Name of the flob at each place.
    pub names: HashMap<Place, String>,
    /// The space each flob lies in.
    pub homes: HashMap<Place, Place>,
    /// Where a thread stands.
    pub positions: HashMap<Place, String>,
    /// Addresses of symbols.
    pub symbols: HashMap<String, u64>,
}

impl Insight for Named {
    fn names(&self, environment: &Environment) -> Vec<String> {
        let plain = Plain.names(environment);
        let named = |(flob, plain): (&Flob, String)| self.names.get(&flob.place).cloned().unwrap_or(plain);
        environment.flobs.iter().zip(plain).map(named).collect()
    }

    fn homes(&self, environment: &Environment) -> Vec<Option<u32>> {
        let plain = Plain.homes(environment);
        let find = |place: &Place| self.homes.get(place).and_then(|space| index_of(environment, *space));
        environment.flobs.iter().zip(plain).map(|(flob, plain)| find(&flob.place).or(plain)).collect()
    }

    fn position(&self, environment: &Environment, thread: Place) -> Option<String> {
        self.positions.get(&thread).cloned().or_else(|| Plain.position(environment, thread))
    }

    fn why(&self, _: &Environment, _: Place) -> Option<String> {
        None
    }

    fn symbol(&self, name: &str) -> Option<u64> {
        self.symbols.get(name).copied()
    }
}
