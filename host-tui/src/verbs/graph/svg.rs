//! The graph as a picture that stands by itself: SVG. Colours are those of a light or dark surrounding; kinds and links are
//! classes, so that a page that includes it can have its own.

use std::fmt::Write;

use super::layout::{HEIGHT, Layout, layered};

/// Width of a letter, about, and room at the sides of a name.
const LETTER: f64 = 7.2;
const SIDES: f64 = 20.0;
const MARGIN: f64 = 16.0;

const STYLE: &str = "
  svg { background: #fff; color: #222; font: 12px monospace; }
  rect { fill: #f4f4f4; stroke: #888; }
  .thread rect { fill: #e2efff; } .space rect { fill: #fff3d6; }
  .mutex rect, .condition rect { fill: #ffe6ea; } .port rect, .port_set rect { fill: #e4f7e4; }
  .outside rect { stroke-dasharray: 4 3; fill: none; }
  .arrow path { fill: none; stroke: #999; } .arrow text { font-size: 9px; fill: #777; text-anchor: middle; }
  .waiting_for path { stroke: #333; stroke-width: 1.6; }
  .deadlock rect, .deadlock path { stroke: #d00; stroke-width: 2; } .arrow.deadlock text { fill: #d00; }
  @media (prefers-color-scheme: dark) {
    svg { background: #1b1b1f; color: #ddd; } text { fill: #ddd; } rect { fill: #2a2a30; }
    .thread rect { fill: #20344d; } .space rect { fill: #463a1c; } .mutex rect, .condition rect { fill: #4d2430; }
    .port rect, .port_set rect { fill: #1f3d22; } .waiting_for path { stroke: #ccc; }
  }
";

/// A box.
pub struct Node {
    /// What is written on it.
    pub name: String,
    /// Its kind, as a class; `outside` for what is not of the environment.
    pub kind: &'static str,
    /// Whether it is part of a deadlock.
    pub is_stuck: bool,
}

/// An arrow between two boxes, by their indices.
pub struct Arrow {
    /// Where from.
    pub from: usize,
    /// Where to.
    pub to: usize,
    /// The link's name.
    pub name: &'static str,
    /// Whether it is part of a deadlock.
    pub is_stuck: bool,
}

/// The picture.
pub fn picture(title: &str, nodes: &[Node], arrows: &[Arrow]) -> String {
    let widths: Vec<f64> =
        nodes.iter().map(|node| node.name.chars().count() as f64 * LETTER + SIDES).collect();
    let ties: Vec<(usize, usize)> = arrows.iter().map(|arrow| (arrow.from, arrow.to)).collect();
    let layout = layered(&widths, &ties);
    let mut text = beginning(title, &layout);
    for arrow in arrows {
        // Writing to a string does not fail.
        let _ = write_arrow(&mut text, arrow, &widths, &layout);
    }
    for ((node, width), corner) in nodes.iter().zip(&widths).zip(&layout.corners) {
        let _ = write_node(&mut text, node, *width, *corner);
    }
    text + "</svg>\n"
}

fn beginning(title: &str, layout: &Layout) -> String {
    let (width, height) = (layout.width + 2.0 * MARGIN, layout.height + 2.0 * MARGIN);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"{:.0} {:.0} {width:.0} {height:.0}\">\n<title>{}</title>\n<style>{STYLE}</style>\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
         orient=\"auto\"><path d=\"M0 0 L8 4 L0 8 z\" style=\"fill: #888; stroke: none\"/></marker></defs>\n",
        -MARGIN,
        -MARGIN,
        escaped(title)
    )
}

fn mark(is_stuck: bool) -> &'static str {
    if is_stuck { " deadlock" } else { "" }
}

fn write_node(text: &mut String, node: &Node, width: f64, (left, top): (f64, f64)) -> std::fmt::Result {
    let round = if node.kind == "thread" { HEIGHT / 2.0 } else { 3.0 };
    writeln!(
        text,
        "<g class=\"flob {}{}\"><rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{HEIGHT}\" \
         rx=\"{round}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text></g>",
        node.kind,
        mark(node.is_stuck),
        left + width / 2.0,
        top + HEIGHT / 2.0 + 4.0,
        escaped(&node.name)
    )
}

/// From the right side of a box to the left side of another, or back below both.
fn write_arrow(text: &mut String, arrow: &Arrow, widths: &[f64], layout: &Layout) -> std::fmt::Result {
    let corner = |node: usize| layout.corners.get(node).copied().unwrap_or_default();
    let width = |node: usize| widths.get(node).copied().unwrap_or_default();
    let ((from_left, from_top), (to_left, to_top)) = (corner(arrow.from), corner(arrow.to));
    let start = (from_left + width(arrow.from), from_top + HEIGHT / 2.0);
    let end = (to_left, to_top + HEIGHT / 2.0);
    // An arrow that leads back leaves and arrives from outside in a wide curve.
    let bend = if end.0 > start.0 { (end.0 - start.0) / 2.0 } else { 70.0 };
    let sag = if end.0 > start.0 { 0.0 } else { HEIGHT * 1.5 };
    writeln!(
        text,
        "<g class=\"arrow {name}{}\"><path marker-end=\"url(#tip)\" d=\"M{:.1} {:.1} C{:.1} {:.1} {:.1} {:.1} {:.1} {:.1}\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\">{name}</text></g>",
        mark(arrow.is_stuck),
        start.0,
        start.1,
        start.0 + bend,
        start.1 + sag,
        end.0 - bend,
        end.1 + sag,
        end.0,
        end.1,
        (start.0 + end.0) / 2.0,
        (start.1 + end.1) / 2.0 + sag * 0.75 - 2.0,
        name = arrow.name,
    )
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML has no way to write these.
            letter if letter.is_control() => escaped.push('\u{fffd}'),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_letters_stay_one_text() {
        let node = |name: &str| Node { name: name.into(), kind: "mutex", is_stuck: true };
        let arrow = Arrow { from: 0, to: 1, name: "owner", is_stuck: false };
        let text = picture("<a> & \"b\"", &[node("x</text>\u{1}"), node("]]>")], &[arrow]);
        assert!(text.contains("<title>&lt;a&gt; &amp; &quot;b&quot;</title>"), "{text}");
        assert!(text.contains(">x&lt;/text&gt;\u{fffd}</text>") && text.contains(">]]&gt;</text>"), "{text}");
        for tag in ["g", "svg", "style", "marker", "defs"] {
            let (open, close) = (format!("<{tag}"), format!("</{tag}>"));
            let opened = text.matches(&open).filter(|_| true).count();
            assert_eq!(opened, text.matches(&close).count(), "{tag} in {text}");
        }
        assert_eq!(text.matches("flob mutex deadlock").count(), 2);
        assert_eq!(text.matches("class=\"arrow owner\"").count(), 1);
    }
}
