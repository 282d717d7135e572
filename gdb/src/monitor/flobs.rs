//! Looking at flobs, and changing them.

use std::fmt::Write;

use flob_abi::FlobKind;
use flob_image::{
    Flob, Link, Place,
    fields::{self, Field},
};
use flob_session::{
    Error, edit,
    names::{Names, id},
    place::Map,
    translate::Translation,
};

use crate::{guest::Guest, inferior::Inferior, names};

/// All flobs, or those of a kind.
pub fn flobs<G: Guest>(inferior: &mut Inferior<G>, kind: &str) -> Result<String, Error> {
    let Map { environment, names, .. } = inferior.why(false)?;
    let wanted = |flob: &&Flob| kind.is_empty() || flob.state.kind().name() == kind;
    let mut text = String::new();
    for flob in environment.flobs.iter().filter(wanted) {
        let _ = writeln!(text, "{:<24} {}", names.flob(flob.place), links(names, flob));
    }
    if text.is_empty() {
        let kinds = FlobKind::ALL.map(FlobKind::name).join(", ");
        return Err(Error::NotFound(format!("no flobs of kind \"{kind}\"; kinds are {kinds}")));
    }
    Ok(text)
}

/// What is mapped where in the space, and with what rights.
pub fn memory<G: Guest>(inferior: &mut Inferior<G>, _: &str) -> Result<String, Error> {
    let space = inferior.space;
    let Map { environment, names, .. } = inferior.why(false)?;
    let mut mappings: Vec<_> = names::mappings(environment, space).collect();
    mappings.sort_by_key(|(state, _)| state.start);
    let mut text = String::new();
    for (state, flob) in mappings {
        let rights =
            fields::field(&flob.state, "protection").map_or_else(String::new, |rights| rights.to_string());
        let range = format!("{:#x}-{:#x}", state.start, state.start.saturating_add(state.size));
        let shows = flob.links.first().map_or_else(String::new, |region| names.link(region));
        let _ =
            writeln!(text, "{range:<31} {rights} {shows}+{:#x}  {}", state.offset, names.flob(flob.place));
    }
    Ok(text)
}

/// A flob with all its fields.
pub fn show<G: Guest>(inferior: &mut Inferior<G>, name: &str) -> Result<String, Error> {
    if name.is_empty() {
        return Err(Error::Usage("which flob? monitor show FLOB; monitor flobs lists them".into()));
    }
    let space = inferior.space;
    let why = inferior.why(false)?;
    let flob = match name.strip_prefix('*') {
        Some(address) => at_address(&why, space, address)?,
        None => find(&why, name)?,
    };
    let mut text = format!("{} {}\n", why.names.flob(flob.place), id(flob.place));
    let is_shown = |field: &&Field| !field.is_reserved() && !field.name.starts_with("vectors.");
    for field in fields::of(flob.state.kind()).iter().filter(is_shown) {
        let _ = writeln!(text, "  {:<22} {}", field.name, field.value(&flob.state));
    }
    for (name, link) in flob.state.kind().links().iter().zip(&flob.links) {
        let _ = writeln!(text, "  {name:<22} {}", why.names.link(link));
    }
    Ok(text)
}

/// What threads wait for.
pub fn why<G: Guest>(inferior: &mut Inferior<G>, name: &str) -> Result<String, Error> {
    let threads = match name {
        "" => inferior.threads()?,
        _ => vec![find(&inferior.why(false)?, name)?.place],
    };
    let mut text = String::new();
    for thread in threads {
        let number = inferior.number(thread).map_or(0, |number| number.get());
        let why = inferior.why(false)?;
        let activity = names::activity(&why, thread);
        let _ = writeln!(text, "{number:>3} {}: {activity}", why.names.short(thread));
    }
    Ok(text)
}

/// Sets fields and links of a flob, all at once: `FLOB FIELD=VALUE …`.
pub fn set<G: Guest>(inferior: &mut Inferior<G>, line: &str) -> Result<String, Error> {
    let mut words = line.split_whitespace();
    let (name, changes) = (words.next().unwrap_or_default(), words.collect::<Vec<_>>());
    if changes.is_empty() {
        let text = "monitor set FLOB FIELD=VALUE ...; monitor show FLOB lists the fields";
        return Err(Error::Usage(text.into()));
    }
    let why = inferior.why(false)?;
    let old = find(&why, name)?.clone();
    let mut new = old.clone();
    let mut text = String::new();
    for change in changes {
        edit::apply(why.names, &mut new, change)?;
        let field = change.split_once('=').map_or(change, |(field, _)| field);
        let shown = |flob: &Flob| fields::get(flob, field).unwrap_or_default();
        let _ = writeln!(text, "{} {field}: {} -> {}", why.names.flob(old.place), shown(&old), shown(&new));
    }
    inferior.set_flob(&old, &new, &format!("set {}", line.trim()))?;
    Ok(text)
}

/// Who waits for whom.
pub fn wait_graph<G: Guest>(inferior: &mut Inferior<G>, _: &str) -> Result<String, Error> {
    let lines = inferior.why(false)?.wait_graph();
    Ok(if lines.is_empty() { "nobody waits\n".into() } else { lines.join("\n") + "\n" })
}

/// The flob at an address of the debugger's space.
fn at_address<'a>(why: &Map<'a>, space: Place, address: &str) -> Result<&'a Flob, Error> {
    let number = u64::from_str_radix(address.trim_start_matches("0x"), 16).ok();
    let place = number.and_then(|number| Translation::new(why.environment).place(space, number));
    let flob = place.and_then(|place| why.environment.flob(place));
    flob.ok_or_else(|| Error::NotFound(format!("there is no flob at the address {address}")))
}

/// All threads of the environment by their whole names, with what they do.
pub fn threads<G: Guest>(inferior: &mut Inferior<G>, _: &str) -> Result<String, Error> {
    let why = inferior.why(false)?;
    let threads = why.environment.flobs.iter().filter(|flob| flob.state.kind() == FlobKind::Thread);
    let line =
        |flob: &Flob| format!("{}: {}\n", why.names.flob(flob.place), names::activity(&why, flob.place));
    Ok(threads.map(line).collect())
}

/// By whatever it is called.
fn find<'a>(why: &Map<'a>, name: &str) -> Result<&'a Flob, Error> {
    let place = why.names.find(name)?;
    why.environment.flob(place).ok_or_else(|| Error::NotFound(format!("there is no flob at {place:#x}")))
}

fn links(names: &Names, flob: &Flob) -> String {
    let named = flob.state.kind().links().iter().zip(&flob.links);
    let told = named.filter(|(_, link)| **link != Link::Null);
    told.map(|(name, link)| format!("{name}={}", names.link(link))).collect::<Vec<_>>().join(" ")
}
