//! Edits of a checkpoint that are given on the command line: `--set FLOB.FIELD=VALUE` and `--poke PLACE=BYTES`.

use std::collections::BTreeMap;

use clap::Args;
use flob_abi::{FlobKind, PAGE_SIZE};
use flob_image::{Environment, Place, fields, store::Checkpoint};
use flob_session::{Error, translate::Translation};

use super::super::{memory, set};
use crate::cli::source::View;

/// The edits; none if `$EDITOR` is to make them.
#[derive(Args, Debug)]
pub struct Direct {
    /// Set a field or link instead of opening the editor: FORKS[2].locked=false
    #[arg(long, value_name = "FLOB.FIELD=VALUE")]
    set: Vec<String>,
    /// Write bytes (hexadecimal) at SYMBOL, SYMBOL[3], an address of the program's space, or SPACE:ADDRESS; a symbol whose type is
    /// plain can be given a value: +42, -5, 0x2a, 1.5, true
    #[arg(long, value_name = "PLACE=BYTES")]
    poke: Vec<String>,
}

impl Direct {
    /// Whether nothing was given.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.poke.is_empty()
    }

    /// The environment with the fields and links set.
    pub fn environment(&self, view: &View) -> Result<Environment, Error> {
        let mut environment = view.environment.clone();
        for edit in &self.set {
            let (place, change) = target(view, edit)?;
            if let Some(flob) = environment.flob_mut(place) {
                set::apply(view, flob, change)?;
            }
        }
        Ok(environment)
    }

    /// The pages that differ, with the bytes written.
    pub fn pages(&self, view: &View, checkpoint: &Checkpoint) -> Result<Vec<(u64, Vec<u8>)>, Error> {
        let translation = Translation::new(&view.environment);
        let mut pages = BTreeMap::new();
        for edit in &self.poke {
            let (at, bytes) = edit.split_once('=').ok_or_else(|| wrong(edit, "PLACE=BYTES"))?;
            let (space, address) = spot(view, at)?;
            let bytes = value(view, at, bytes.trim())?;
            for (offset, byte) in (0..).zip(bytes) {
                let place = address.checked_add(offset).and_then(|at| translation.place(space, at));
                let place = place.ok_or_else(|| {
                    Error::NotFound(format!("there is no memory at {:#x}", address.saturating_add(offset)))
                })?;
                write(checkpoint, &mut pages, place, byte)?;
            }
        }
        Ok(pages.into_iter().collect())
    }
}

fn wrong(edit: &str, form: &str) -> Error {
    Error::Usage(format!("'{edit}' is not {form}"))
}

/// The flob that an edit names, and the rest of it. Names of flobs and of fields have dots of their own: the first dot that
/// leaves a flob before it and a field or link behind it counts.
fn target<'a>(view: &View, edit: &'a str) -> Result<(Place, &'a str), Error> {
    let (left, _) = edit.split_once('=').ok_or_else(|| wrong(edit, "FLOB.FIELD=VALUE"))?;
    let mut problem = None;
    for (dot, _) in left.match_indices('.') {
        let (flob, field) = (&left[..dot], left[dot + 1..].trim());
        match view.names.find(flob) {
            Ok(place) if has_field(view, place, field) => return Ok((place, &edit[dot + 1..])),
            Ok(_) => problem = Some(Error::NotFound(format!("'{flob}' has no field or link '{field}'"))),
            Err(unclear) => problem = problem.or(Some(unclear.into())),
        }
    }
    Err(problem.unwrap_or_else(|| wrong(edit, "FLOB.FIELD=VALUE")))
}

fn has_field(view: &View, place: Place, field: &str) -> bool {
    view.environment.flob(place).is_some_and(|flob| fields::get(flob, field).is_some())
}

/// The space and address that `SYMBOL`, `ADDRESS` or `SPACE:ADDRESS` means.
fn spot(view: &View, at: &str) -> Result<(Place, u64), Error> {
    if let Some((space, address)) = at.rsplit_once(':')
        && let Ok(space) = view.names.find_kind(space, FlobKind::Space)
    {
        return Ok((space, memory::address(view, address)?));
    }
    let first = view.environment.flobs.iter().find(|flob| flob.state.kind() == FlobKind::Space);
    let first = first.ok_or_else(|| Error::NotFound("the program has no space".into()))?;
    Ok((first.place, memory::address(view, at)?))
}

/// The bytes that a text means at a place: a value where its type is plain, else hexadecimal digits, two a byte.
fn value(view: &View, at: &str, text: &str) -> Result<Vec<u8>, Error> {
    let is_bytes =
        !text.is_empty() && text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let symbol =
        at.rsplit_once(':').filter(|(space, _)| view.names.find_kind(space, FlobKind::Space).is_ok());
    let symbol = symbol.map_or(at, |(_, symbol)| symbol);
    let cell = view.symbols.cell_named(symbol).filter(|_| !is_bytes);
    match cell.and_then(|cell| cell.plain.map(|plain| (cell, plain))) {
        Some((cell, plain)) => plain.parse(text, cell.size as usize).ok_or_else(|| {
            let bits = 8 * cell.size;
            Error::Usage(format!(
                "'{text}' is no value of '{symbol}': {plain:?}, {bits} bits, or bytes in hexadecimal"
            ))
        }),
        None => memory::parse_bytes(text),
    }
}

fn write(
    checkpoint: &Checkpoint,
    pages: &mut BTreeMap<u64, Vec<u8>>,
    place: Place,
    byte: u8,
) -> Result<(), Error> {
    let number = place / PAGE_SIZE;
    if let std::collections::btree_map::Entry::Vacant(entry) = pages.entry(number) {
        entry.insert(checkpoint.read(number * PAGE_SIZE, PAGE_SIZE as usize)?);
    }
    let within = (place % PAGE_SIZE) as usize;
    if let Some(target) = pages.get_mut(&number).and_then(|page| page.get_mut(within)) {
        *target = byte;
    }
    Ok(())
}
