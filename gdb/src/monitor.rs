//! `monitor …`: what gdb's user can ask of flob itself. A table of verbs; help is made from it.

use std::fmt::Write;

use flob_image::{
    Flob, Place,
    fields::{self, Field},
};
use flob_session::{
    Error,
    names::{Names, id},
    why::Why,
};

use crate::{guest::Guest, inferior::Inferior, names};

struct Verb<G> {
    name: &'static str,
    arguments: &'static str,
    help: &'static str,
    run: fn(&mut Inferior<G>, &str) -> Result<String, Error>,
}

fn verbs<G: Guest>() -> [Verb<G>; 4] {
    [
        Verb { name: "help", arguments: "", help: "this list", run: |_, _| Ok(help::<G>()) },
        Verb { name: "flobs", arguments: "[KIND]", help: "all flobs, or those of a kind", run: flobs },
        Verb {
            name: "show",
            arguments: "FLOB",
            help: "a flob's state and links (its name, short id or place)",
            run: show,
        },
        Verb {
            name: "why",
            arguments: "[THREAD]",
            help: "what each thread, or this one, waits for",
            run: why,
        },
    ]
}

/// Runs one command; the answer is what the user reads.
pub fn run<G: Guest>(inferior: &mut Inferior<G>, line: &str) -> String {
    let line = line.trim();
    let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let name = if name.is_empty() { "help" } else { name };
    let Some(verb) = verbs::<G>().into_iter().find(|verb| verb.name == name) else {
        return format!("flob: there is no monitor command \"{name}\"; monitor help lists them\n");
    };
    (verb.run)(inferior, argument.trim()).unwrap_or_else(|error| format!("flob: {error}\n"))
}

fn help<G: Guest>() -> String {
    verbs::<G>().iter().fold(String::new(), |mut text, verb| {
        let call = format!("monitor {} {}", verb.name, verb.arguments);
        let _ = writeln!(text, "{call:<24} {}", verb.help);
        text
    })
}

fn flobs<G: Guest>(inferior: &mut Inferior<G>, kind: &str) -> Result<String, Error> {
    let Why { environment, names, .. } = inferior.why(false)?;
    let wanted = |flob: &&Flob| kind.is_empty() || flob.state.kind().name() == kind;
    let mut text = String::new();
    for flob in environment.flobs.iter().filter(wanted) {
        let _ = writeln!(text, "{:<24} {}", names.flob(flob.place), links(names, flob));
    }
    if text.is_empty() {
        return Err(Error::NotFound(format!("no flobs of kind \"{kind}\"")));
    }
    Ok(text)
}

fn show<G: Guest>(inferior: &mut Inferior<G>, name: &str) -> Result<String, Error> {
    let why = inferior.why(false)?;
    let flob = find(&why, name)?;
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

fn why<G: Guest>(inferior: &mut Inferior<G>, name: &str) -> Result<String, Error> {
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

/// By its name, or by its place in hexadecimal.
fn find<'a>(why: &Why<'a>, name: &str) -> Result<&'a Flob, Error> {
    let by_place = Place::from_str_radix(name.strip_prefix("0x").unwrap_or(name), 16).ok();
    if let Some(flob) = by_place.and_then(|place| why.environment.flob(place)) {
        return Ok(flob);
    }
    let place = why.names.find(name)?;
    why.environment.flob(place).ok_or_else(|| Error::NotFound(format!("there is no flob at {place:#x}")))
}

fn links(names: &Names, flob: &Flob) -> String {
    let named = flob.state.kind().links().iter().zip(&flob.links);
    let told = named.filter(|(_, link)| **link != flob_image::Link::Null);
    told.map(|(name, link)| format!("{name}={}", names.link(link))).collect::<Vec<_>>().join(" ")
}
