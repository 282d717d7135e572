//! `flob tree`: every space with its threads and what lies in it.

use std::collections::BTreeMap;

use clap::Args;
use flob_abi::FlobKind;
use flob_image::{Flob, Place};
use flob_session::{Error, names::id};
use serde_json::{Value as Json, json};

use crate::cli::{
    Context, print,
    source::{Look, View},
};

/// Arguments of `tree`.
#[derive(Args, Debug)]
pub struct Tree {
    #[command(flatten)]
    look: Look,
}

impl Tree {
    /// Prints the tree.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let mut view = self.look.open(context, false)?;
        if self.look.json {
            print::json(&to_json(&mut view))?;
        } else {
            print::text(&to_text(&mut view))?;
        }
        Ok(0)
    }
}

/// Flobs by the name of the space they are named in, spaces in their order, kinds in theirs.
fn by_space(view: &View) -> Vec<(Place, Vec<&Flob>)> {
    let mut groups: BTreeMap<String, Vec<&Flob>> = BTreeMap::new();
    for flob in view.environment.flobs.iter().filter(|flob| flob.state.kind() != FlobKind::Space) {
        let name = view.names.flob(flob.place);
        let space =
            name.split_once(':').and_then(|(_, rest)| rest.rsplit_once('/')).map_or("", |(space, _)| space);
        groups.entry(space.to_owned()).or_default().push(flob);
    }
    let spaces = view.environment.flobs.iter().filter(|flob| flob.state.kind() == FlobKind::Space);
    let group = |space: &Flob| {
        let mut flobs = groups.remove(&view.names.short(space.place)).unwrap_or_default();
        flobs.sort_by_key(|flob| (flob.state.kind(), flob.place));
        (space.place, flobs)
    };
    spaces.map(group).collect()
}

fn to_text(view: &mut View) -> String {
    let sentences = sentences(view);
    let mut text = String::new();
    for (space, flobs) in by_space(view) {
        text += &format!("{} {}\n", view.names.flob(space), id(space));
        let last = flobs.len().saturating_sub(1);
        for (index, flob) in flobs.iter().enumerate() {
            let branch = if index == last { "└─" } else { "├─" };
            let name = view.names.flob(flob.place);
            text += &format!("{branch} {name} {}{}\n", id(flob.place), remark(view, flob, &sentences));
        }
    }
    text
}

/// What is worth a word beside the name.
fn remark(view: &View, flob: &Flob, sentences: &BTreeMap<Place, String>) -> String {
    if let Some(sentence) = sentences.get(&flob.place) {
        return format!("  {sentence}");
    }
    let links = flob.state.kind().links().iter().zip(&flob.links);
    let shown = links.filter(|(name, link)| **name != "space" && **link != flob_image::Link::Null);
    let shown: Vec<String> =
        shown.map(|(name, link)| format!("{name} → {}", view.names.link(link))).collect();
    if shown.is_empty() { String::new() } else { format!("  {}", shown.join(", ")) }
}

fn sentences(view: &mut View) -> BTreeMap<Place, String> {
    let threads = view.environment.flobs.iter().filter(|flob| flob.state.kind() == FlobKind::Thread);
    let threads: Vec<Place> = threads.map(|flob| flob.place).collect();
    let (why, source) = view.why();
    threads.into_iter().map(|thread| (thread, why.sentence(thread, source))).collect()
}

fn to_json(view: &mut View) -> Json {
    let sentences = sentences(view);
    let flob = |flob: &Flob| {
        let links = flob.state.kind().links().iter().zip(&flob.links);
        let links: serde_json::Map<String, Json> =
            links.map(|(name, link)| ((*name).to_owned(), Json::from(view.names.link(link)))).collect();
        json!({
            "name": view.names.flob(flob.place),
            "id": id(flob.place),
            "kind": flob.state.kind().name(),
            "links": links,
            "why": sentences.get(&flob.place),
        })
    };
    let space = |(space, flobs): (Place, Vec<&Flob>)| {
        json!({
            "name": view.names.flob(space),
            "id": id(space),
            "flobs": flobs.into_iter().map(flob).collect::<Vec<_>>(),
        })
    };
    Json::Array(by_space(view).into_iter().map(space).collect())
}
