//! From environment to text.

use std::fmt::Write;

use toml_edit::Value as Toml;

use crate::fields::{self, Field, Format, Value};
use crate::json::has_vectors;
use crate::{Environment, Flob, Link, Place};

/// Column of the comments.
const COMMENT_COLUMN: usize = 40;

/// The text of the flobs at these places, or of all. `names` gives the name of the flob at a place, for comments.
pub fn to_text(
    environment: &Environment,
    places: Option<&[Place]>,
    names: &dyn Fn(Place) -> String,
) -> String {
    let mut text = String::new();
    text.push_str("# Flobs of `");
    text.push_str(&one_line(&environment.program));
    text.push_str("`. Change values and save; what is taken out stays as it is.\n");
    text.push_str("# A link is \"null\", \"external:NAME\" or the place of a flob, like \"0x2400\".\n");
    let opened = |flob: &&Flob| places.is_none_or(|places| places.contains(&flob.place));
    for flob in environment.flobs.iter().filter(opened) {
        write_flob(&mut text, flob, names);
    }
    text
}

fn write_flob(text: &mut String, flob: &Flob, names: &dyn Fn(Place) -> String) {
    let kind = flob.state.kind();
    let hash = fields::field(&flob.state, "hash").map(|hash| hash.to_string()).unwrap_or_default();
    let name = one_line(&names(flob.place));
    // Writing to a string cannot fail.
    let _ = write!(text, "\n# {name} (hash {hash})\n[{}.{:#x}]\n", kind.name(), flob.place);
    let vectors = has_vectors(flob);
    let shown = |field: &&Field| field.settable && (vectors || !field.name.starts_with("vectors."));
    for field in fields::of(kind).iter().filter(shown) {
        write_line(text, field.name, &toml_value(&field.value(&flob.state)), field.doc);
    }
    for (name, link) in kind.links().iter().zip(&flob.links) {
        let target = match link {
            Link::Flob(place) => one_line(&names(*place)),
            Link::Null | Link::External(_) | Link::Unknown => String::new(),
        };
        write_line(text, name, &Toml::from(link.to_string()), &target);
    }
}

fn write_line(text: &mut String, name: &str, value: &Toml, comment: &str) {
    let is_bare = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '.';
    let quote = if name.chars().all(is_bare) { "" } else { "\"" };
    let line = format!("{quote}{name}{quote} = {value}");
    // Writing to a string cannot fail.
    let _ = if comment.is_empty() {
        writeln!(text, "{line}")
    } else {
        writeln!(text, "{line:COMMENT_COLUMN$} # {comment}")
    };
}

fn toml_value(value: &Value) -> Toml {
    match (value.format(), value.width(), value.number()) {
        (Format::Bool, _, number @ 0..=1) => Toml::from(number == 1),
        (Format::Decimal, ..=4, number) => match i64::try_from(number) {
            Ok(number) => Toml::from(number),
            Err(_) => Toml::from(value.portable()),
        },
        _ => Toml::from(value.portable()),
    }
}

/// A comment must not end early.
fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
