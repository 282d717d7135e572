//! From text back to the environment.

use std::ops::Range;

use toml_edit::{Document, Item, Key, TableLike, Value as Toml};

use super::{Change, TextError};
use crate::fields::{self, FieldError, value::parse_number};
use crate::{Environment, Flob};

/// Applies an edited text and says what it changed.
///
/// # Errors
/// If the text is no TOML, names a flob or field that does not exist, or has a value that is none of its field. Then
/// nothing is changed.
pub fn apply_text(environment: &mut Environment, text: &str) -> Result<Vec<Change>, TextError> {
    let at = Lines { text };
    let document = Document::parse(text).map_err(|error| at.error(error.span(), error.message()))?;
    let mut edited = Vec::new();
    for (kind_key, kind_name) in keys(document.as_table()) {
        let flobs = document.get(kind_name).and_then(Item::as_table_like);
        let flobs =
            flobs.ok_or_else(|| at.error(kind_key.span(), "expected a table like [mutex.0x2400] here"))?;
        for (place_key, place) in keys(flobs) {
            let item = flobs.get(place).unwrap_or(&Item::None);
            let before =
                find(environment, kind_name, place).map_err(|message| at.error(place_key.span(), message))?;
            let mut after = before.clone();
            let fields = item.as_table_like();
            let fields =
                fields.ok_or_else(|| at.error(place_key.span(), "expected the fields of a flob here"))?;
            apply_table(&mut after, fields, "", &at)?;
            edited.push((before.clone(), after));
        }
    }
    let changes = edited.iter().flat_map(|(before, after)| changes(before, after)).collect();
    for (_, after) in edited {
        if let Some(flob) = environment.flob_mut(after.place) {
            *flob = after;
        }
    }
    Ok(changes)
}

/// The keys of a table, with where they stand.
fn keys(table: &dyn TableLike) -> impl Iterator<Item = (&Key, &str)> {
    table.iter().filter_map(|(name, _)| table.get_key_value(name).map(|(key, _)| (key, name)))
}

fn find<'a>(environment: &'a Environment, kind: &str, place: &str) -> Result<&'a Flob, String> {
    let number =
        parse_number(place).ok_or_else(|| format!("`{place}` is no place; places look like 0x2400"))?;
    match environment.flob(number) {
        None => Err(format!("there is no flob at {place}")),
        Some(flob) if flob.state.kind().name() != kind => {
            Err(format!("the flob at {place} is a {}, no {kind}", flob.state.kind().name()))
        }
        Some(flob) => Ok(flob),
    }
}

/// Sets all fields of a table; `registers.rip = …` makes tables within it.
fn apply_table(
    flob: &mut Flob,
    table: &dyn TableLike,
    prefix: &str,
    at: &Lines<'_>,
) -> Result<(), TextError> {
    for (key, key_name) in keys(table) {
        let name = format!("{prefix}{key_name}");
        let item = table.get(key_name).unwrap_or(&Item::None);
        if let Some(inner) = item.as_table_like() {
            apply_table(flob, inner, &format!("{name}."), at)?;
            continue;
        }
        let value = item.as_value().and_then(plain_text);
        let value = value.ok_or_else(|| {
            at.error(key.span(), format!("`{name}` needs a text in quotes, a number, true or false"))
        })?;
        fields::set(flob, &name, &value).map_err(|error| match error {
            FieldError::Unknown { .. } | FieldError::ReadOnly { .. } => at.error(key.span(), error),
            FieldError::Invalid { .. } => at.error(item.span(), error),
        })?;
    }
    Ok(())
}

fn plain_text(value: &Toml) -> Option<String> {
    match value {
        Toml::String(text) => Some(text.value().clone()),
        Toml::Integer(number) => Some(number.value().to_string()),
        Toml::Boolean(truth) => Some(truth.value().to_string()),
        Toml::Float(_) | Toml::Datetime(_) | Toml::Array(_) | Toml::InlineTable(_) => None,
    }
}

fn changes(before: &Flob, after: &Flob) -> Vec<Change> {
    let names = fields::changed(&before.state, &after.state).map(|field| field.name);
    let links = before.state.kind().links().iter().zip(before.links.iter().zip(&after.links));
    let links = links.filter(|(_, (before, after))| before != after).map(|(name, _)| *name);
    let text = |flob: &Flob, name: &str| fields::get(flob, name).unwrap_or_default();
    let change = |name: &str| Change {
        place: before.place,
        name: name.to_owned(),
        before: text(before, name),
        after: text(after, name),
    };
    names.chain(links).map(change).collect()
}

/// Finds the line of a span.
struct Lines<'a> {
    text: &'a str,
}

impl Lines<'_> {
    fn error(&self, span: Option<Range<usize>>, message: impl ToString) -> TextError {
        let start = span.map_or(0, |span| span.start);
        let before = self.text.as_bytes().get(..start).unwrap_or(self.text.as_bytes());
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        // Some messages of the TOML parser have several lines.
        let message = message.to_string().lines().collect::<Vec<_>>().join("; ");
        TextError { line, message }
    }
}
