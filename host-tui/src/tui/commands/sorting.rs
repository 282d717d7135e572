//! Which rows a list shows, and in which order: filter and sort, the same for every list.

use std::cmp::Ordering;

use flob_session::{Point, owner_names, place::kind};

use super::super::{
    line::Line,
    message::Ask,
    sieve::{Sieve, natural},
    snapshot::Snapshot,
    state::{Mode, State, Tab},
    store::Saved,
    text, tree,
};
use super::{navigate, trouble};

/// The sieve of a tab's list, and the columns that it can be sorted by.
pub fn sieve(state: &State, tab: Tab) -> Option<(&Sieve, &'static [&'static str])> {
    Some(match tab {
        Tab::Flobs => (&state.tree_sieve, &text::FLOB_COLUMNS),
        Tab::Threads => (&state.threads.sieve, &text::THREAD_HEAD),
        Tab::Checkpoints => (&state.checkpoints.sieve, &text::CHECKPOINT_HEAD),
        Tab::Calls => (&state.calls.sieve, &text::CALLS_COLUMNS),
        Tab::Breakpoints => (&state.points.list.sieve, &text::POINTS_HEAD),
        Tab::Log => (&state.log_sieve, &[]),
        Tab::Memory | Tab::Graph | Tab::Console => return None,
    })
}

fn sieve_mut(state: &mut State) -> Option<&mut Sieve> {
    Some(match state.tab {
        Tab::Flobs => &mut state.tree_sieve,
        Tab::Threads => &mut state.threads.sieve,
        Tab::Checkpoints => &mut state.checkpoints.sieve,
        Tab::Calls => &mut state.calls.sieve,
        Tab::Breakpoints => &mut state.points.list.sieve,
        Tab::Log => &mut state.log_sieve,
        Tab::Memory | Tab::Graph | Tab::Console => return None,
    })
}

/// Whether the tab has a list that can be filtered.
pub fn can_filter(state: &State) -> bool {
    sieve(state, state.tab).is_some()
}

/// Whether the tab has a list that can be sorted.
pub fn can_sort(state: &State) -> bool {
    sieve(state, state.tab).is_some_and(|(_, columns)| !columns.is_empty())
}

/// Whether the list is sorted.
pub fn is_sorted(state: &State) -> bool {
    sieve(state, state.tab).is_some_and(|(sieve, _)| sieve.column.is_some())
}

/// Shows only what contains a text.
pub fn filter(state: &mut State, arguments: &str) -> Vec<Ask> {
    let Some((sieve, _)) = sieve(state, state.tab) else { return trouble(state, text::NO_LIST) };
    if arguments.is_empty() {
        state.mode = Mode::Filter(Line::new(sieve.filter.clone()));
    } else {
        set_filter(state, arguments);
    }
    Vec::new()
}

/// The filter was typed; nothing for everything.
pub fn set_filter(state: &mut State, filter: &str) {
    if let Some(sieve) = sieve_mut(state) {
        sieve.set_filter(filter);
        sift_shown(state);
    }
}

/// Sorts by the next column, or by the one that is named, `down` for the greatest first; `off`: as the rows come.
pub fn sort(state: &mut State, arguments: &str) -> Vec<Ask> {
    let columns = sieve(state, state.tab).map_or(&[][..], |(_, columns)| columns);
    let (name, down) = match arguments.strip_suffix("down") {
        Some(name) => (name.trim(), true),
        None => (arguments, false),
    };
    let found = columns.iter().position(|column| column.trim() == name);
    if columns.is_empty() || !(name.is_empty() || name == "off" || found.is_some()) {
        return trouble(state, text::no_such_column(name, columns));
    }
    if let Some(sieve) = sieve_mut(state) {
        match (name, down) {
            ("", false) => sieve.next_column(columns.len()),
            ("", true) => sieve.descending = true,
            _ => (sieve.column, sieve.descending) = (found, down),
        }
    }
    sift_shown(state);
    Vec::new()
}

/// The other way round.
pub fn reverse(state: &mut State, _: &str) -> Vec<Ask> {
    if let Some(sieve) = sieve_mut(state) {
        sieve.descending = !sieve.descending;
    }
    sift_shown(state);
    Vec::new()
}

/// Chooses anew what the tab's list shows; what was selected stays selected if it is still there.
fn sift_shown(state: &mut State) {
    match state.tab {
        Tab::Flobs | Tab::Threads => {
            let selected = navigate::selected_flob(state);
            navigate::refold(state, selected);
        }
        Tab::Checkpoints => checkpoints(state),
        Tab::Calls => state.calls.choose(),
        Tab::Breakpoints => points(state),
        Tab::Log => state.log_back = 0,
        Tab::Memory | Tab::Graph | Tab::Console => {}
    }
}

/// The rows of the tree that are shown.
pub fn tree(state: &mut State, snapshot: &Snapshot) {
    let (rows, sieve) = (&snapshot.rows, &state.tree_sieve);
    let visible = if sieve.filter.is_empty() {
        tree::unfolded(&snapshot.environment, rows, &state.folded)
    } else {
        tree::matching(rows, |flob| {
            snapshot.names.at(flob).is_some_and(|name| sieve.lets([name.whole(), name.short()]))
        })
    };
    state.visible = visible;
    let Some(column) = sieve.column else { return };
    let compare = |one: usize, other: usize| {
        let by_name = || snapshot.rank(one).cmp(&snapshot.rank(other));
        match column {
            0 => by_name(),
            _ => is_changed(snapshot, other).cmp(&is_changed(snapshot, one)).then_with(by_name),
        }
    };
    tree::sort_leaves(rows, &mut state.visible, |one, other| sieve.directed(compare(one, other)));
}

fn is_changed(snapshot: &Snapshot, flob: usize) -> bool {
    snapshot.changed.get(flob) == Some(&true)
}

/// The threads that are shown.
pub fn threads(state: &mut State, snapshot: &Snapshot) {
    let facts = |row: usize| snapshot.threads.get(row);
    let fits = |sieve: &Sieve, row| {
        facts(row).is_some_and(|facts| {
            let (name, short) = (snapshot.name(facts.place), snapshot.short(facts.place));
            sieve.lets([name, short, facts.status.text()].iter().map(String::as_str))
                || sieve.lets([facts.position.as_str(), &facts.waits_for])
        })
    };
    let compare = |column, one, other| {
        let (Some(one), Some(other)) = (facts(one), facts(other)) else { return Ordering::Equal };
        match column {
            0 => (one.deadlock.is_none(), one.status.text())
                .cmp(&(other.deadlock.is_none(), other.status.text())),
            1 => natural(&snapshot.short(one.place), &snapshot.short(other.place)),
            2 => natural(&one.position, &other.position),
            _ => natural(&one.waits_for, &other.waits_for),
        }
    };
    state.threads.sift(snapshot.threads.len(), fits, compare);
}

/// The checkpoints that are shown.
pub fn checkpoints(state: &mut State) {
    let selected = state.selected_checkpoint().map(|saved| saved.id.clone());
    let State { saved, checkpoints, .. } = state;
    let one = |row: usize| saved.get(row).map(|(_, saved)| saved);
    let fits = |sieve: &Sieve, row| {
        one(row).is_some_and(|saved| {
            let date = text::date(saved.time);
            sieve.lets([saved.id.as_str(), saved.name.as_deref().unwrap_or_default(), &saved.program, &date])
        })
    };
    let compare = |column, a, b| {
        let (Some(a), Some(b)) = (one(a), one(b)) else { return Ordering::Equal };
        compare_saved(column, a, b)
    };
    checkpoints.sift(saved.len(), fits, compare);
    select_checkpoint(state, selected.as_deref());
}

/// Selects a checkpoint, if it is shown.
pub fn select_checkpoint(state: &mut State, id: Option<&str>) {
    let index = state.saved.iter().position(|(_, saved)| Some(saved.id.as_str()) == id);
    if let Some(index) = index {
        state.checkpoints.select(index);
    }
}

fn compare_saved(column: usize, one: &Saved, other: &Saved) -> Ordering {
    let name = |saved: &Saved| saved.name.clone().unwrap_or_default();
    match column {
        0 => one.id.cmp(&other.id),
        1 => natural(&name(one), &name(other)),
        2 => one.bytes.cmp(&other.bytes),
        3 => one.time.cmp(&other.time),
        _ => natural(&one.program, &other.program),
    }
}

/// The breakpoints that are shown.
pub fn points(state: &mut State) {
    let selected = state.points.selected().map(|point| point.id);
    let super::super::points::Points { all, list } = &mut state.points;
    let owner = |point: &Point| owner_names(std::slice::from_ref(&point.owner));
    let condition =
        |point: &Point| point.condition.as_ref().map(|condition| condition.text.clone()).unwrap_or_default();
    let fits = |sieve: &Sieve, row: usize| {
        all.get(row).is_some_and(|(point, place)| {
            let texts = [place.clone(), kind(&point.spot).to_owned(), owner(point), condition(point)];
            sieve.lets(texts.iter().map(String::as_str))
        })
    };
    let state_of = |point: &Point| (!point.is_enabled, point.has_failed);
    let compare = |column: usize, one: usize, other: usize| {
        let (Some((one, place)), Some((other, its))) = (all.get(one), all.get(other)) else {
            return Ordering::Equal;
        };
        match column {
            0 => one.id.cmp(&other.id),
            1 => kind(&one.spot).cmp(kind(&other.spot)),
            2 => natural(place, its),
            3 => owner(one).cmp(&owner(other)),
            4 => one.hits.cmp(&other.hits),
            5 => state_of(one).cmp(&state_of(other)),
            _ => condition(one).cmp(&condition(other)),
        }
    };
    list.sift(all.len(), fits, compare);
    let index = all.iter().position(|(point, _)| Some(point.id) == selected);
    if let Some(index) = index {
        list.select(index);
    }
}
