//! Changes of a flob as people write them: `FIELD=VALUE`, where a link's value may be the name of a flob.

use flob_image::{Flob, Link, fields};
use flob_link::Change;

use crate::{
    Error,
    names::{Names, Unclear},
};

/// Makes the change `FIELD=VALUE` of a flob.
pub fn apply(names: &Names, flob: &mut Flob, change: &str) -> Result<(), Error> {
    let (name, value) =
        change.split_once('=').ok_or_else(|| Error::Usage(format!("'{change}' is not FIELD=VALUE")))?;
    let (name, value) = (name.trim(), value.trim());
    let is_link = flob.state.kind().links().contains(&name);
    let value = if is_link { link(names, value)?.to_string() } else { value.to_owned() };
    fields::set(flob, name, &value).map_err(|error| Error::BadInput(error.to_string()))
}

/// Where a link is to lead: `null`, `external:NAME`, or a flob by whatever it is called.
pub fn link(names: &Names, text: &str) -> Result<Link, Unclear> {
    match fields::parse_link(text) {
        Some(link) if !matches!(link, Link::Flob(_)) => Ok(link),
        _ => names.find_target(text).map(Link::Flob),
    }
}

/// What is to be written so that the old one becomes the new one.
pub fn difference(old: &Flob, new: &Flob) -> Change {
    let mask = fields::groups_changed(&old.state, &new.state);
    let state = (mask != 0).then(|| new.state.as_bytes().to_vec());
    let links = old.links.iter().zip(&new.links).map(|(old, new)| (old != new).then(|| new.clone()));
    Change { mask, state, links: links.collect() }
}
