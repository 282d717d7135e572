//! The rows of the detail pane: all fields of one flob, its links, and who leads here.

use flob_abi::FlobKind;
use flob_image::{Flob, Link, Place, fields};

use super::{edit::Edit, snapshot::Snapshot};

/// Columns of a sentence: fits the narrowest pane.
const SENTENCE_WIDTH: usize = 52;

/// A row of the detail pane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A sentence about the flob.
    Sentence(String),
    /// A title between groups of rows.
    Heading(&'static str),
    /// A field.
    Field {
        #[expect(missing_docs, reason = "the name says it")]
        name: &'static str,
        /// For people.
        value: String,
        /// It differs from the last look.
        changed: bool,
        /// What it will be once the pending edits are applied.
        pending: Option<String>,
        /// It can be edited.
        settable: bool,
        /// What it means.
        doc: &'static str,
    },
    /// A link.
    Link {
        #[expect(missing_docs, reason = "the name says it")]
        name: &'static str,
        /// Where it leads, for people.
        value: String,
        /// Where Enter leads.
        target: Option<Place>,
        /// It differs from the last look.
        changed: bool,
        /// What it will be once the pending edits are applied.
        pending: Option<String>,
    },
    /// A link of another flob that leads here.
    Incoming {
        /// The link's name.
        name: &'static str,
        /// The flob that has it.
        source: Place,
    },
}

impl Row {
    /// The field or link that can be edited here.
    pub fn editable(&self) -> Option<&'static str> {
        match self {
            Self::Field { name, settable: true, .. } | Self::Link { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Whether there is anything to do with the row: others are only read.
    pub fn is_selectable(&self) -> bool {
        !matches!(self, Self::Sentence(_) | Self::Heading(_))
    }

    /// What the selected row means, in a line.
    pub fn doc(&self) -> Option<&'static str> {
        match self {
            Self::Field { doc, .. } => Some(doc),
            _ => None,
        }
    }

    /// Where Enter leads from here.
    pub fn target(&self) -> Option<Place> {
        match self {
            Self::Link { target, .. } => *target,
            Self::Incoming { source, .. } => Some(*source),
            _ => None,
        }
    }
}

/// The rows for a flob; none if there is no flob at this place.
pub fn rows(snapshot: &Snapshot, place: Place, pending: &[Edit]) -> Vec<Row> {
    let Some(index) = snapshot.index_of(place) else { return Vec::new() };
    let Some(flob) = snapshot.environment.flobs.get(index) else { return Vec::new() };
    let same_kind = |old: &&Flob| old.state.kind() == flob.state.kind();
    let before = snapshot.before.as_deref().and_then(|before| before.flob(place)).filter(same_kind);
    let mut rows: Vec<Row> = Vec::new();
    if let Some(facts) = snapshot.facts_of(place) {
        let lines = super::view::rows::wrap(&facts.why, SENTENCE_WIDTH);
        rows.extend(lines.into_iter().map(Row::Sentence));
    }
    if !flob.links.is_empty() {
        rows.push(Row::Heading(super::text::LINKS));
        rows.extend(link_rows(snapshot, flob, before, pending));
    }
    let incoming = snapshot.incoming(index);
    if !incoming.is_empty() {
        rows.push(Row::Heading(super::text::INCOMING));
    }
    for link in incoming {
        let Some(source) = snapshot.environment.flobs.get(link.source as usize) else { continue };
        let name = source.state.kind().links().get(usize::from(link.link)).copied().unwrap_or_default();
        rows.push(Row::Incoming { name, source: source.place });
    }
    rows.push(Row::Heading(super::text::FIELDS));
    rows.extend(field_rows(flob, before, pending));
    rows
}

fn link_rows<'a>(
    snapshot: &'a Snapshot,
    flob: &'a Flob,
    before: Option<&'a Flob>,
    pending: &'a [Edit],
) -> impl Iterator<Item = Row> + 'a {
    let names = flob.state.kind().links().iter().enumerate();
    names.filter_map(move |(index, name)| {
        let link = flob.links.get(index)?;
        let target = match link {
            Link::Flob(place) => Some(*place),
            _ => None,
        };
        let changed = before.is_some_and(|before| before.links.get(index) != Some(link));
        let new = pending_value(pending, flob.place, name);
        let new = new.map(|text| fields::parse_link(&text).map_or(text, |link| snapshot.link_text(&link)));
        Some(Row::Link { name, value: snapshot.link_text(link), target, changed, pending: new })
    })
}

/// Vectors are shown only where they were asked for: without them all of them are zero.
fn field_rows<'a>(
    flob: &'a Flob,
    before: Option<&'a Flob>,
    pending: &'a [Edit],
) -> impl Iterator<Item = Row> + 'a {
    let is_thread = flob.state.kind() == FlobKind::Thread;
    let all = fields::of(flob.state.kind()).iter();
    let has_vectors =
        !is_thread || all.clone().any(|field| is_vector(field) && !field.value(&flob.state).is_zero());
    let shown = all.filter(move |field| !field.is_reserved() && (has_vectors || !is_vector(field)));
    shown.map(move |field| Row::Field {
        name: field.name,
        value: field.value(&flob.state).to_string(),
        changed: before.is_some_and(|before| field.differs(&before.state, &flob.state)),
        pending: pending_value(pending, flob.place, field.name),
        settable: field.settable,
        doc: field.doc,
    })
}

fn is_vector(field: &fields::Field) -> bool {
    field.name.starts_with("vectors.")
}

fn pending_value(pending: &[Edit], flob: Place, field: &str) -> Option<String> {
    pending.iter().rev().find_map(|edit| match edit {
        Edit::Field { place, name, new, .. } if *place == flob && name == field => Some(new.clone()),
        _ => None,
    })
}
