//! `flob set`: fields and links of a flob, live.

use clap::Args;
use flob_image::{Flob, fields};
use flob_session::{Client, Error, HubRequest, edit};
use serde_json::{Value as Json, json};

use super::undo;
use crate::cli::{Context, complete, print, source::View};

/// Arguments of `set`.
#[derive(Args, Debug)]
pub struct Set {
    /// Its name, a part of it, its short id (#a3f), or its place (0x2400; a number without its 0x is none)
    #[arg(add = complete::flobs(None))]
    flob: String,
    /// FIELD=VALUE; for a link the value is `null`, the name or place (0x2400) of a flob, or `external:NAME`
    #[arg(required = true, value_name = "FIELD=VALUE")]
    changes: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
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
        undo::remember(&client, &format!("set {} {}", view.names.flob(place), self.changes.join(" ")));
        let hash = fields::field(&old.state, "hash").map_or(0, |value| value.number());
        client.request(HubRequest::Set { place, hash, change: edit::difference(old, &new) })?;
        if self.json {
            print::json(
                &json!({ "flob": view.names.flob(place), "changes": changed(old, &new, &self.changes) }),
            )?;
            return Ok(0);
        }
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

/// Each field or link that was named, before and after.
fn changed(old: &Flob, new: &Flob, changes: &[String]) -> Vec<Json> {
    let names = changes.iter().filter_map(|change| change.split_once('=')).map(|(name, _)| name.trim());
    names.map(|name| json!({ "field": name, "before": fields::get(old, name), "after": fields::get(new, name) })).collect()
}

/// Makes the change `FIELD=VALUE` of a flob.
pub fn apply(view: &View, flob: &mut Flob, change: &str) -> Result<(), Error> {
    edit::apply(&view.names, flob, change)
}
