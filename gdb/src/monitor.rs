//! `monitor …`: what gdb's user can ask of flob itself. A table of verbs; help is made from it.

use std::fmt::Write;

use flob_image::{Environment, Flob, Place};
use flob_session::Error;

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
            help: "a flob's state and links (KIND:PLACE or PLACE)",
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
    let environment = inferior.environment(false)?;
    let wanted = |flob: &&Flob| kind.is_empty() || flob.state.kind().name() == kind;
    let mut text = String::new();
    for flob in environment.flobs.iter().filter(wanted) {
        let _ = writeln!(text, "{:<24} {}", names::flob(environment, flob.place), links(environment, flob));
    }
    if text.is_empty() {
        return Err(Error::NotFound(format!("no flobs of kind \"{kind}\"")));
    }
    Ok(text)
}

fn show<G: Guest>(inferior: &mut Inferior<G>, name: &str) -> Result<String, Error> {
    let environment = inferior.environment(false)?;
    let flob = find(environment, name)?;
    let name = names::flob(environment, flob.place);
    Ok(format!("{name}\n{:#?}\n{}\n", flob.state, links(environment, flob)))
}

fn why<G: Guest>(inferior: &mut Inferior<G>, name: &str) -> Result<String, Error> {
    let threads = match name {
        "" => inferior.threads()?,
        _ => vec![find(inferior.environment(false)?, name)?.place],
    };
    let mut text = String::new();
    for thread in threads {
        let number = inferior.number(thread).map_or(0, |number| number.get());
        let environment = inferior.environment(false)?;
        let _ = writeln!(
            text,
            "{number:>3} {}: {}",
            names::flob(environment, thread),
            names::activity(environment, thread)
        );
    }
    Ok(text)
}

fn find<'a>(environment: &'a Environment, name: &str) -> Result<&'a Flob, Error> {
    let place = name.rsplit(':').next().unwrap_or_default();
    let place = place.strip_prefix("0x").unwrap_or(place);
    let place = Place::from_str_radix(place, 16).map_err(|_| {
        Error::Usage(format!("\"{name}\" is no flob: say KIND:PLACE as in the list of flobs"))
    })?;
    environment.flob(place).ok_or_else(|| Error::NotFound(format!("there is no flob at {place:#x}")))
}

fn links(environment: &Environment, flob: &Flob) -> String {
    let named = flob.state.kind().links().iter().zip(&flob.links);
    let told = named.filter(|(_, link)| **link != flob_image::Link::Null);
    told.map(|(name, link)| format!("{name}={}", names::link(environment, link)))
        .collect::<Vec<_>>()
        .join(" ")
}
