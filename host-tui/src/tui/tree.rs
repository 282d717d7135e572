//! The tree of an environment: spaces, under each what lies in it, by kind. Built once a snapshot.

use std::{cmp::Ordering, collections::HashSet};

use flob_abi::FlobKind;
use flob_image::{Environment, Place};

/// A row of the whole tree, unfolded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it shows.
    pub node: Node,
    /// How far it is indented.
    pub depth: u8,
    /// The row behind its last descendant.
    pub end: u32,
}

/// What a row shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// The environment itself.
    Environment,
    /// All flobs of a kind in a space (its index in the list of flobs).
    Group {
        /// `None`: those that lie in no space.
        space: Option<u32>,
        /// Their kind.
        kind: FlobKind,
        /// How many.
        count: u32,
    },
    /// A flob: its index in the list.
    Flob(u32),
}

/// What makes a foldable row the same one in the next snapshot.
pub type FoldKey = (Option<Place>, Option<FlobKind>);

/// The kinds below a space, in the order in which people look for them.
const ORDER: [FlobKind; 8] = [
    FlobKind::Thread,
    FlobKind::Mutex,
    FlobKind::Condition,
    FlobKind::Port,
    FlobKind::PortSet,
    FlobKind::Region,
    FlobKind::Mapping,
    FlobKind::Reference,
];

/// The tree of an environment, given the space each flob lies in.
pub fn build(environment: &Environment, homes: &[Option<u32>]) -> Vec<Row> {
    let mut members: Vec<(Option<u32>, usize, u32)> = Vec::with_capacity(environment.flobs.len());
    let mut spaces = Vec::new();
    for (index, flob) in environment.flobs.iter().enumerate() {
        let (index, kind) = (index as u32, flob.state.kind());
        match ORDER.iter().position(|other| *other == kind) {
            Some(order) => members.push((homes.get(index as usize).copied().flatten(), order, index)),
            None => spaces.push(index),
        }
    }
    members.sort_unstable();
    let mut rows = vec![Row { node: Node::Environment, depth: 0, end: 0 }];
    for space in spaces {
        let first = rows.len();
        rows.push(Row { node: Node::Flob(space), depth: 1, end: 0 });
        groups(&mut rows, &members, Some(space));
        close(&mut rows, first);
    }
    groups(&mut rows, &members, None);
    close(&mut rows, 0);
    rows
}

fn groups(rows: &mut Vec<Row>, members: &[(Option<u32>, usize, u32)], space: Option<u32>) {
    let start = members.partition_point(|member| member.0 < space);
    let end = members.partition_point(|member| member.0 <= space);
    let mine = members.get(start..end).unwrap_or_default();
    let depth = if space.is_some() { 2 } else { 1 };
    for group in mine.chunk_by(|a, b| a.1 == b.1) {
        let Some(kind) = group.first().and_then(|member| ORDER.get(member.1)).copied() else { continue };
        let first = rows.len();
        rows.push(Row { node: Node::Group { space, kind, count: group.len() as u32 }, depth, end: 0 });
        let leaf =
            |member: &(Option<u32>, usize, u32)| Row { node: Node::Flob(member.2), depth: depth + 1, end: 0 };
        for member in group {
            rows.push(leaf(member));
            let last = rows.len() - 1;
            close(rows, last);
        }
        close(rows, first);
    }
}

fn close(rows: &mut [Row], row: usize) {
    let end = rows.len() as u32;
    if let Some(row) = rows.get_mut(row) {
        row.end = end;
    }
}

/// The row that shows each flob.
pub fn rows_of(rows: &[Row], flobs: usize) -> Vec<u32> {
    let mut rows_of = vec![0; flobs];
    for (row, found) in rows.iter().enumerate() {
        let Node::Flob(index) = found.node else { continue };
        if let Some(slot) = rows_of.get_mut(index as usize) {
            *slot = row as u32;
        }
    }
    rows_of
}

/// What identifies this row for folding; `None` for a leaf.
pub fn fold_key(environment: &Environment, rows: &[Row], row: u32) -> Option<FoldKey> {
    let place = |index: u32| environment.flobs.get(index as usize).map(|flob| flob.place);
    let found = rows.get(row as usize)?;
    match found.node {
        Node::Environment => Some((None, None)),
        Node::Group { space, kind, .. } => Some((space.and_then(place), Some(kind))),
        Node::Flob(index) if found.end > row + 1 => Some((place(index), None)),
        Node::Flob(_) => None,
    }
}

/// The rows of the flobs that fit, by their index in the list of flobs, with all rows above them, folded or not.
pub fn matching(rows: &[Row], fits: impl Fn(usize) -> bool) -> Vec<u32> {
    let (mut visible, mut above): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
    for (number, row) in rows.iter().enumerate() {
        above.truncate(usize::from(row.depth));
        above.push(number as u32);
        if matches!(row.node, Node::Flob(flob) if fits(flob as usize)) {
            let shown = visible.last().copied();
            visible.extend(above.iter().filter(|row| shown.is_none_or(|shown| **row > shown)));
        }
    }
    visible
}

/// Sorts flobs that stand below each other, but nothing that has rows below it; the order is one of indices in the list of flobs.
pub fn sort_leaves(rows: &[Row], visible: &mut [u32], order: impl Fn(usize, usize) -> Ordering) {
    let flob = |row: u32| match rows.get(row as usize) {
        Some(Row { node: Node::Flob(flob), end, .. }) if *end <= row + 1 => Some(*flob as usize),
        _ => None,
    };
    for run in visible.chunk_by_mut(|one, other| flob(*one).is_some() && flob(*other).is_some()) {
        run.sort_by(|one, other| match (flob(*one), flob(*other)) {
            (Some(one), Some(other)) => order(one, other),
            _ => Ordering::Equal,
        });
    }
}

/// The rows that are not hidden below a folded one.
pub fn unfolded(environment: &Environment, rows: &[Row], folded: &HashSet<FoldKey>) -> Vec<u32> {
    let mut visible = Vec::with_capacity(rows.len());
    let mut row = 0u32;
    while let Some(found) = rows.get(row as usize) {
        visible.push(row);
        let is_folded =
            !folded.is_empty() && fold_key(environment, rows, row).is_some_and(|key| folded.contains(&key));
        row = if is_folded { found.end } else { row + 1 };
    }
    visible
}
