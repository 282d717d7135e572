//! Editing: what was typed and not applied yet, and what it comes to.

use flob_image::{Environment, Flob, Place, fields};
use flob_link::{Change, Memory};
use flob_session::edit::link;

use super::{choices::Choices, line::Line, snapshot::Snapshot, store::Poke};

/// A change that waits to be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Of a field or a link.
    Field {
        /// The flob.
        place: Place,
        /// Its field or link.
        name: String,
        /// What it was, for people.
        old: String,
        /// What it will be: a text that `fields::set` takes.
        new: String,
    },
    /// Of memory.
    Memory {
        /// What will be written where.
        poke: Poke,
        /// What was there.
        old: Vec<u8>,
    },
}

/// A field, a link or memory being edited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Editor {
    /// What is edited.
    pub target: Target,
    /// What it is now.
    pub old: String,
    /// What is typed.
    pub line: Line,
    /// For a link: the flobs to choose from.
    pub choices: Choices,
}

/// What an editor edits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A field or a link of a flob.
    Field(Place, String),
    /// Memory from an address on.
    Memory(Memory, u64),
}

impl Editor {
    /// Checks what is typed so far: the edit it makes, or what is wrong with it.
    pub fn check(&self, snapshot: &Snapshot) -> Result<Edit, String> {
        match &self.target {
            Target::Field(place, name) => check_field(snapshot, *place, name, self.line.text()),
            Target::Memory(memory, address) => {
                let bytes = parse_bytes(self.line.text())?;
                let poke = Poke { memory: *memory, address: *address, bytes };
                Ok(Edit::Memory { poke, old: parse_bytes(&self.old).unwrap_or_default() })
            }
        }
    }
}

/// The edit that sets a field or link to what a text says; flobs may be named.
pub fn check_field(snapshot: &Snapshot, place: Place, name: &str, text: &str) -> Result<Edit, String> {
    let flob = snapshot.environment.flob(place).ok_or_else(|| super::text::flob_gone(place))?;
    let is_link = flob.state.kind().links().contains(&name);
    let new = if is_link { link(&snapshot.names, text)?.to_string() } else { text.trim().to_owned() };
    let mut copy = flob.clone();
    fields::set(&mut copy, name, &new).map_err(|error| error.to_string())?;
    let old = fields::get(flob, name).unwrap_or_default();
    let new = fields::get(&copy, name).unwrap_or_default();
    Ok(Edit::Field { place, name: name.to_owned(), old, new })
}

/// Bytes as people write them: two hexadecimal digits each, spaces allowed.
pub fn parse_bytes(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some((char::from(*high).to_digit(16)? << 4 | char::from(*low).to_digit(16)?) as u8),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    bytes.filter(|bytes| !bytes.is_empty()).ok_or_else(|| super::text::NOT_BYTES.to_owned())
}

/// Bytes as [`parse_bytes`] takes them.
pub fn format_bytes(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// Flobs as the edits make them, each beside what it was.
fn edited<'a>(environment: &'a Environment, edits: &[Edit]) -> Result<Vec<(&'a Flob, Flob)>, String> {
    let mut flobs: Vec<(&Flob, Flob)> = Vec::new();
    for edit in edits {
        let Edit::Field { place, name, new, .. } = edit else { continue };
        let known = flobs.iter().position(|(old, _)| old.place == *place);
        let index = match known {
            Some(index) => index,
            None => {
                let old = environment.flob(*place).ok_or_else(|| super::text::flob_gone(*place))?;
                flobs.push((old, old.clone()));
                flobs.len() - 1
            }
        };
        if let Some((_, flob)) = flobs.get_mut(index) {
            fields::set(flob, name, new).map_err(|error| error.to_string())?;
        }
    }
    Ok(flobs)
}

/// What the edits come to for a live session.
pub fn changes(environment: &Environment, edits: &[Edit]) -> Result<Vec<(Place, u64, Change)>, String> {
    let change = |(old, new): &(&Flob, Flob)| {
        let mask = fields::groups_changed(&old.state, &new.state);
        let links = old.links.iter().zip(&new.links).map(|(old, new)| (old != new).then(|| new.clone()));
        let state = (mask != 0).then(|| new.state.as_bytes().to_vec());
        (new.place, hash(old), Change { mask, state, links: links.collect() })
    };
    Ok(edited(environment, edits)?.iter().map(change).collect())
}

/// The environment with the edits made.
pub fn with_edits(environment: &Environment, edits: &[Edit]) -> Result<Environment, String> {
    let mut copy = environment.clone();
    for (_, new) in edited(environment, edits)? {
        if let Some(flob) = copy.flob_mut(new.place) {
            *flob = new;
        }
    }
    Ok(copy)
}

/// The memory edits among these.
pub fn pokes(edits: &[Edit]) -> Vec<Poke> {
    let poke = |edit: &Edit| match edit {
        Edit::Memory { poke, .. } => Some(poke.clone()),
        Edit::Field { .. } => None,
    };
    edits.iter().filter_map(poke).collect()
}

/// Every kind's state begins with its hash.
fn hash(flob: &Flob) -> u64 {
    let bytes = flob.state.as_bytes().first_chunk::<8>().copied().unwrap_or_default();
    u64::from_le_bytes(bytes)
}
