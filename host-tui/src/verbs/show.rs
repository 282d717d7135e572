//! `flob show`: one flob, every field and link.

use clap::Args;
use flob_image::{Flob, fields, json::flob_to_json};
use flob_session::{Error, names::id};
use serde_json::Value as Json;

use crate::cli::{
    Context, complete, print,
    source::{Look, View},
};

/// Arguments of `show`.
#[derive(Args, Debug)]
pub struct Show {
    #[command(flatten)]
    look: Look,
    /// Its name, a part of it, its short id (#a3f), or its place (0x2400; a number without its 0x is none)
    #[arg(add = complete::flobs(None))]
    flob: String,
    /// Vector registers too
    #[arg(long)]
    vectors: bool,
}

impl Show {
    /// Shows it.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let view = self.look.open(context, self.vectors || self.look.json)?;
        let place = view.names.find(&self.flob)?;
        let flob = view.environment.flob(place).ok_or_else(|| Error::NotFound("it is gone".into()))?;
        if self.look.json {
            let mut value = flob_to_json(flob);
            if let Json::Object(map) = &mut value {
                map.insert("name".into(), view.names.flob(place).into());
                map.insert("id".into(), id(place).into());
            }
            print::json(&value)?;
        } else {
            print::line(&format!("{} {}", view.names.flob(place), id(place)))?;
            print::table(&rows(&view, flob, self.vectors))?;
        }
        Ok(0)
    }
}

fn rows(view: &View, flob: &Flob, vectors: bool) -> Vec<Vec<String>> {
    let kind = flob.state.kind();
    let shown = fields::of(kind)
        .iter()
        .filter(|field| !field.is_reserved() && (vectors || !field.name.starts_with("vectors.")));
    let fields = shown.map(|field| {
        vec![format!("  {}", field.name), field.value(&flob.state).to_string(), field.doc.to_owned()]
    });
    let links = kind.links().iter().zip(&flob.links);
    let links = links
        .map(|(name, link)| vec![format!("  {name}"), format!("→ {}", view.names.link(link)), String::new()]);
    fields.chain(links).collect()
}
