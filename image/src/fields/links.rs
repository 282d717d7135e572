//! Links by name, and their text: `null`, `unknown`, `external:stdin`, `0x2400` (a place).

use core::fmt;

use alloc::string::String;

use super::{FieldError, value::parse_number};
use crate::{Flob, Link};

impl fmt::Display for Link {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => out.write_str("null"),
            Self::Unknown => out.write_str("unknown"),
            Self::External(name) => write!(out, "external:{name}"),
            Self::Flob(place) => write!(out, "{place:#x}"),
        }
    }
}

/// The link that a text means.
pub fn parse_link(text: &str) -> Option<Link> {
    let text = text.trim();
    match text {
        "null" => Some(Link::Null),
        "unknown" => Some(Link::Unknown),
        _ => match text.strip_prefix("external:") {
            Some("") => None,
            Some(name) => Some(Link::External(String::from(name))),
            None => parse_number(text).map(Link::Flob),
        },
    }
}

/// The link of a flob with this name.
pub fn link<'a>(flob: &'a Flob, name: &str) -> Option<&'a Link> {
    let index = flob.state.kind().links().iter().position(|link| *link == name)?;
    flob.links.get(index)
}

/// Sets a link by its name, from text.
///
/// # Errors
/// If there is no such link or the text means none.
pub fn set_link(flob: &mut Flob, name: &str, text: &str) -> Result<(), FieldError> {
    let kind = flob.state.kind();
    let index = kind.links().iter().position(|link| *link == name);
    let unknown = || FieldError::Unknown { name: name.into(), kind };
    let slot = index.and_then(|index| flob.links.get_mut(index)).ok_or_else(unknown)?;
    *slot = parse_link(text).ok_or_else(|| FieldError::Invalid {
        name: name.into(),
        text: text.into(),
        expected: "null, external:NAME or the place of a flob, like 0x2400".into(),
    })?;
    Ok(())
}
