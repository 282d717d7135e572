//! What differs between two environments: flobs by field and link, streams, and memory by page ranges.
//!
//! A flob is the same in both if place, kind and hash are: a re-created one counts as removed and added.

use alloc::{string::String, vec::Vec};
use core::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{Environment, Flob, Link, Place, fields};

/// A field that changed, both values as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// As in the table of fields.
    pub field: String,
    /// Value in the first environment.
    pub before: String,
    /// Value in the second.
    pub after: String,
}

/// A link that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkChange {
    /// Its name.
    pub link: String,
    /// Target in the first environment.
    pub before: Link,
    /// Target in the second.
    pub after: Link,
}

/// A flob that is in both, with differences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlobChange {
    /// Where it is.
    pub place: Place,
    /// Its kind's name.
    pub kind: String,
    /// Fields that changed.
    pub fields: Vec<FieldChange>,
    /// Links that changed.
    pub links: Vec<LinkChange>,
}

/// A stream whose position changed; 0 where it is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamChange {
    /// `stdin` …
    pub name: String,
    /// Position in the first environment.
    pub before: u64,
    /// Position in the second.
    pub after: u64,
}

/// All differences but memory; for that see [`pages`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// Only in the second.
    pub added: Vec<Flob>,
    /// Only in the first.
    pub removed: Vec<Flob>,
    /// In both, with differences.
    pub changed: Vec<FlobChange>,
    /// Streams that moved.
    pub streams: Vec<StreamChange>,
    /// Nanoseconds by which the clock moved on.
    pub clock: i128,
}

impl Diff {
    /// Whether there is no difference.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Compares two environments.
pub fn diff(before: &Environment, after: &Environment) -> Diff {
    let mut result = Diff { clock: i128::from(after.clock) - i128::from(before.clock), ..Diff::default() };
    for flob in &before.flobs {
        match after.flob(flob.place).filter(|other| is_same(flob, other)) {
            Some(other) => result.changed.extend(diff_flob(flob, other)),
            None => result.removed.push(flob.clone()),
        }
    }
    let is_new = |flob: &&Flob| !before.flob(flob.place).is_some_and(|other| is_same(other, flob));
    result.added = after.flobs.iter().filter(is_new).cloned().collect();
    result.streams = diff_streams(before, after);
    result
}

fn is_same(one: &Flob, other: &Flob) -> bool {
    let hash = |flob: &Flob| fields::field(&flob.state, "hash").map(|value| value.number());
    one.state.kind() == other.state.kind() && hash(one) == hash(other)
}

/// Differences of one flob, if there are any. Both must be of one kind.
pub fn diff_flob(before: &Flob, after: &Flob) -> Option<FlobChange> {
    let kind = before.state.kind();
    let field_change = |field: &fields::Field| FieldChange {
        field: field.name.into(),
        before: alloc::format!("{}", field.value(&before.state)),
        after: alloc::format!("{}", field.value(&after.state)),
    };
    let link_pairs = kind.links().iter().zip(before.links.iter().zip(&after.links));
    let links = link_pairs.filter(|(_, (one, other))| one != other).map(|(name, (one, other))| LinkChange {
        link: String::from(*name),
        before: one.clone(),
        after: other.clone(),
    });
    let change = FlobChange {
        place: before.place,
        kind: kind.name().into(),
        fields: fields::changed(&before.state, &after.state).map(field_change).collect(),
        links: links.collect(),
    };
    if change.fields.is_empty() && change.links.is_empty() { None } else { Some(change) }
}

fn diff_streams(before: &Environment, after: &Environment) -> Vec<StreamChange> {
    let position = |environment: &Environment, name: &str| {
        environment.streams.iter().find(|stream| stream.name == name).map_or(0, |stream| stream.position)
    };
    let mut names: Vec<&str> = Vec::new();
    for stream in before.streams.iter().chain(&after.streams) {
        if !names.contains(&stream.name.as_str()) {
            names.push(&stream.name);
        }
    }
    let changes = names.into_iter().map(|name| StreamChange {
        name: name.into(),
        before: position(before, name),
        after: position(after, name),
    });
    changes.filter(|change| change.before != change.after).collect()
}

/// Ranges of page numbers whose contents differ. Both lists are (page number, hash), ascending by number; a page that
/// is in neither is zero in both.
pub fn pages<Hash: PartialEq>(before: &[(u64, Hash)], after: &[(u64, Hash)]) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    let (mut one, mut other) = (before.iter().peekable(), after.iter().peekable());
    loop {
        let number = match (one.peek(), other.peek()) {
            (None, None) => return ranges,
            (Some((number, _)), None) | (None, Some((number, _))) => *number,
            (Some((left, _)), Some((right, _))) => *left.min(right),
        };
        let left = one.next_if(|page| page.0 == number).map(|page| &page.1);
        let right = other.next_if(|page| page.0 == number).map(|page| &page.1);
        if left == right {
            continue;
        }
        match ranges.last_mut() {
            Some(last) if last.end == number => last.end = number.saturating_add(1),
            _ => ranges.push(number..number.saturating_add(1)),
        }
    }
}
