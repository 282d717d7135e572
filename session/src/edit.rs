//! Changes of a flob as people write them: `FIELD=VALUE`, where a link's value may be the name of a flob.

use flob_image::{Flob, Link, fields};
use flob_link::Change;

use crate::{Error, names::Names};

/// Makes the change `FIELD=VALUE` of a flob.
pub fn apply(names: &Names, flob: &mut Flob, change: &str) -> Result<(), Error> {
    let (name, value) =
        change.split_once('=').ok_or_else(|| Error::Usage(format!("'{change}' is not FIELD=VALUE")))?;
    let (name, value) = (name.trim(), value.trim());
    let at = flob.state.kind().links().iter().position(|link| *link == name);
    if let Some(link) = at.and_then(|at| flob.links.get_mut(at))
        && let Ok(target) = names.find_target(value)
    {
        *link = Link::Flob(target);
        return Ok(());
    }
    fields::set(flob, name, value).map_err(|error| Error::BadInput(error.to_string()))
}

/// What is to be written so that the old one becomes the new one.
pub fn difference(old: &Flob, new: &Flob) -> Change {
    let mask = fields::groups_changed(&old.state, &new.state);
    let state = (mask != 0).then(|| new.state.as_bytes().to_vec());
    let links = old.links.iter().zip(&new.links).map(|(old, new)| (old != new).then(|| new.clone()));
    Change { mask, state, links: links.collect() }
}
