//! `flob graph`: who waits for whom; with `--dot` every flob and link for graphviz, with `--svg` as a picture.

mod layout;
mod svg;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use clap::Args;
use flob_abi::FlobKind;
use flob_image::{Flob, Link, Place};
use flob_session::Error;
use serde_json::{Value as Json, json};

use crate::cli::{
    Context, print,
    source::{Look, View},
};

/// Arguments of `graph`.
#[derive(Args, Debug)]
pub struct Graph {
    #[command(flatten)]
    look: Look,
    /// Print all flobs and links in the language of graphviz: flob graph --dot | dot -Tsvg
    #[arg(long, conflicts_with = "json")]
    dot: bool,
    /// Print all flobs and links as a picture: flob graph --svg > graph.svg
    #[arg(long, conflicts_with_all = ["json", "dot"])]
    svg: bool,
}

/// An arrow between two flobs, or from one to something outside.
struct Edge {
    from: Place,
    name: &'static str,
    to: Link,
}

impl Graph {
    /// Prints it.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let mut view = self.look.open(context, false)?;
        let (why, _) = view.why();
        let (stuck, waits) = (why.stuck(), why.wait_graph());
        match (self.dot, self.svg, self.look.json) {
            (true, ..) => print::text(&dot(&view, &stuck))?,
            (_, true, _) => print::text(&svg(&view, &stuck))?,
            (.., true) => print::json(&to_json(&view, &stuck))?,
            _ => waits.iter().try_for_each(|line| print::line(line))?,
        }
        Ok(0)
    }
}

/// Every link that leads somewhere. A link to a space or region only says where a flob belongs: the graph has it too.
fn edges(view: &View) -> impl Iterator<Item = Edge> + '_ {
    view.environment.flobs.iter().flat_map(|flob| {
        let links = flob.state.kind().links().iter().zip(&flob.links);
        let links = links.filter(|(_, link)| **link != Link::Null);
        links.map(|(name, link)| Edge { from: flob.place, name, to: link.clone() })
    })
}

/// The shape of each kind.
const fn shape(kind: FlobKind) -> &'static str {
    match kind {
        FlobKind::Space => "folder",
        FlobKind::Thread => "ellipse",
        FlobKind::Mutex | FlobKind::Condition => "diamond",
        FlobKind::Port | FlobKind::PortSet => "house",
        FlobKind::Region | FlobKind::Mapping => "box",
        FlobKind::Reference => "plaintext",
    }
}

fn dot(view: &View, stuck: &BTreeSet<Place>) -> String {
    let mut text = format!("digraph {} {{\n  rankdir=LR;\n", quoted(&view.environment.program));
    for flob in &view.environment.flobs {
        let color = if stuck.contains(&flob.place) { ", color=red" } else { "" };
        let (name, shape) = (quoted(&view.names.flob(flob.place)), shape(flob.state.kind()));
        text += &format!("  n{:x} [label={name}, shape={shape}{color}];\n", flob.place);
    }
    let mut outside: BTreeMap<String, usize> = BTreeMap::new();
    let mut arrows = String::new();
    for edge in edges(view) {
        let to = match &edge.to {
            Link::Flob(place) => format!("n{place:x}"),
            other => {
                let next = outside.len();
                format!("o{}", outside.entry(view.names.link(other)).or_insert(next))
            }
        };
        let color = if is_stuck(&edge, stuck) { ", color=red" } else { "" };
        arrows += &format!("  n{:x} -> {to} [label={}{color}];\n", edge.from, quoted(edge.name));
    }
    for (name, number) in outside {
        text += &format!("  o{number} [label={}, style=dashed];\n", quoted(&name));
    }
    text + &arrows + "}\n"
}

fn svg(view: &View, stuck: &BTreeSet<Place>) -> String {
    let mut nodes = Vec::new();
    let mut index: HashMap<Link, usize> = HashMap::new();
    for flob in &view.environment.flobs {
        index.insert(Link::Flob(flob.place), nodes.len());
        let (name, kind) = (view.names.flob(flob.place), flob.state.kind().name());
        nodes.push(svg::Node { name, kind, is_stuck: stuck.contains(&flob.place) });
    }
    let mut arrows = Vec::new();
    for edge in edges(view) {
        let from = index.get(&Link::Flob(edge.from)).copied().unwrap_or_default();
        let to = *index.entry(edge.to.clone()).or_insert_with(|| {
            nodes.push(svg::Node { name: view.names.link(&edge.to), kind: "outside", is_stuck: false });
            nodes.len() - 1
        });
        arrows.push(svg::Arrow { from, to, name: edge.name, is_stuck: is_stuck(&edge, stuck) });
    }
    svg::picture(&view.environment.arguments.join(" "), &nodes, &arrows)
}

fn is_stuck(edge: &Edge, stuck: &BTreeSet<Place>) -> bool {
    edge.name == "waiting_for" && stuck.contains(&edge.from)
}

/// A string as graphviz wants it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn to_json(view: &View, stuck: &BTreeSet<Place>) -> Json {
    let node = |flob: &Flob| {
        json!({
            "flob": view.names.flob(flob.place),
            "kind": flob.state.kind().name(),
            "deadlock": stuck.contains(&flob.place),
        })
    };
    let arrow = |edge: Edge| json!({ "from": view.names.flob(edge.from), "link": edge.name, "to": view.names.link(&edge.to) });
    json!({
        "flobs": view.environment.flobs.iter().map(node).collect::<Vec<_>>(),
        "links": edges(view).map(arrow).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_with_quotes_stay_one_string() {
        assert_eq!(super::quoted(r#"a "b" \c"#), r#""a \"b\" \\c""#);
    }
}
