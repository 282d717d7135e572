//! `flob set`: fields and links of a flob, live.

use clap::Args;
use flob_image::{Flob, Link, fields};
use flob_link::Change;
use flob_session::{Client, Error, HubRequest};

use crate::cli::{Context, print, source::View};

/// Arguments of `set`.
#[derive(Args, Debug)]
pub struct Set {
    /// Its name, a part of it, or its short id
    flob: String,
    /// FIELD=VALUE; for a link the value is `null`, the name of a flob, or `external:NAME`
    #[arg(required = true, value_name = "FIELD=VALUE")]
    changes: Vec<String>,
}

impl Set {
    /// Changes it, all at once.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let client = Client::connect(context.session.as_deref())?;
        let view = View::live(client.clone(), false)?;
        let place = view.names.find(&self.flob)?;
        let old = view.environment.flob(place).ok_or_else(|| Error::NotFound("it is gone".into()))?;
        let mut new = old.clone();
        for change in &self.changes {
            apply(&view, &mut new, change)?;
        }
        let hash = fields::field(&old.state, "hash").map_or(0, |value| value.number());
        client.request(HubRequest::Set { place, hash, change: difference(old, &new) })?;
        for change in self.changes.iter().filter_map(|change| change.split_once('=')) {
            let shown = |flob: &Flob| fields::get(flob, change.0.trim()).unwrap_or_default();
            print::line(&format!(
                "{} {}: {} → {}",
                view.names.flob(place),
                change.0.trim(),
                shown(old),
                shown(&new)
            ))?;
        }
        Ok(0)
    }
}

/// Makes the change `FIELD=VALUE` of a flob.
pub fn apply(view: &View, flob: &mut Flob, change: &str) -> Result<(), Error> {
    let (name, value) =
        change.split_once('=').ok_or_else(|| Error::Usage(format!("'{change}' is not FIELD=VALUE")))?;
    let (name, value) = (name.trim(), value.trim());
    let at = flob.state.kind().links().iter().position(|link| *link == name);
    if let Some(link) = at.and_then(|at| flob.links.get_mut(at))
        && let Ok(target) = view.names.find(value)
    {
        *link = Link::Flob(target);
        return Ok(());
    }
    fields::set(flob, name, value).map_err(|error| Error::BadInput(error.to_string()))
}

fn difference(old: &Flob, new: &Flob) -> Change {
    let mask = fields::groups_changed(&old.state, &new.state);
    let state = (mask != 0).then(|| new.state.as_bytes().to_vec());
    let links = old.links.iter().zip(&new.links).map(|(old, new)| (old != new).then(|| new.clone()));
    Change { mask, state, links: links.collect() }
}
