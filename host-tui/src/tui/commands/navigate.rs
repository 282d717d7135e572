//! Moving about: selections, tabs, links and the way back.

use flob_image::Place;

use super::super::{
    detail,
    layout::{detail_height, has_detail, list_height},
    message::Ask,
    state::{Focus, LogKind, State, Tab},
    text,
    tree::{self, Node},
};

/// A selection was moved or the contents have changed: brings everything that hangs on it along.
pub fn settle(state: &mut State) {
    let height = list_height(state);
    if state.tab == Tab::Memory {
        state.memory.settle(height);
    } else if let Some((list, count)) = super::scroll::list(state) {
        list.settle(count, height);
    }
    if state.focus == Focus::List && has_detail(state.tab) {
        let place = selected_flob(state);
        if place != state.detail.place {
            state.detail.place = place;
            state.detail.list = Default::default();
        }
        state.detail.history.clear();
    }
    let (rows, height) = (selectable_rows(state), detail_height(state));
    state.detail.list.settle_among(&rows, height, true);
}

/// The flob selected in the list of the tab.
pub fn selected_flob(state: &State) -> Option<Place> {
    let snapshot = state.shown()?;
    match state.tab {
        Tab::Threads => snapshot.threads.get(state.threads.chosen()?).map(|facts| facts.place),
        Tab::Graph => snapshot.graph.get(state.graph.selected)?.place(),
        _ => match snapshot.rows.get(*state.visible.get(state.tree.selected)? as usize)?.node {
            Node::Flob(index) => snapshot.environment.flobs.get(index as usize).map(|flob| flob.place),
            _ => None,
        },
    }
}

/// The flob that has the attention: the one looked at, or the selected one.
pub fn current_flob(state: &State) -> Option<Place> {
    state.detail.place.or_else(|| selected_flob(state))
}

/// The rows of the detail pane.
pub fn detail_rows(state: &State) -> Vec<detail::Row> {
    match (state.shown(), state.detail.place) {
        (Some(snapshot), Some(place)) => detail::rows(snapshot, place, &state.pending),
        _ => Vec::new(),
    }
}

/// For each row of the detail pane, whether the selection can rest there.
pub fn selectable_rows(state: &State) -> Vec<bool> {
    detail_rows(state).iter().map(detail::Row::is_selectable).collect()
}

/// Tree and threads are chosen anew; the rows that show what was selected before stay selected.
pub fn refold(state: &mut State, selected: Option<Place>) {
    let Some(snapshot) = state.shown().cloned() else { return };
    super::sorting::tree(state, &snapshot);
    super::sorting::threads(state, &snapshot);
    let row =
        selected.and_then(|place| snapshot.index_of(place)).and_then(|index| snapshot.row_of.get(index));
    if let Some(index) = row.and_then(|row| state.visible.iter().position(|visible| visible == row)) {
        state.tree.selected = index;
    }
    let index = snapshot.threads.iter().position(|facts| Some(facts.place) == selected);
    if let Some(index) = index {
        state.threads.select(index);
    }
}

/// Selects a flob in the tree, unfolding what hides it.
pub fn select(state: &mut State, place: Place) {
    let Some(snapshot) = state.shown().cloned() else { return };
    if let Some(index) = snapshot.index_of(place) {
        let home = snapshot.home(place);
        let kind = snapshot.environment.flobs.get(index).map(|flob| flob.state.kind());
        for key in [(None, None), (home, None), (home, kind)] {
            state.folded.remove(&key);
        }
        // A filter that hides what is asked for is in the way.
        let names = [snapshot.name(place), snapshot.short(place)];
        for sieve in [&mut state.tree_sieve, &mut state.threads.sieve] {
            if !sieve.lets(names.iter().map(String::as_str)) {
                sieve.set_filter("");
            }
        }
    }
    refold(state, Some(place));
    if let Some(index) = snapshot.threads.iter().position(|facts| facts.place == place) {
        state.threads.select(index);
    }
    if let Some(index) = snapshot.graph.iter().position(|row| row.place() == Some(place)) {
        state.graph.selected = index;
    }
}

/// Looks at a flob, remembering the one before.
pub fn visit(state: &mut State, place: Place) {
    if let Some(before) = state.detail.place.filter(|before| *before != place) {
        state.detail.history.push(before);
    }
    state.detail.place = Some(place);
    state.detail.list = Default::default();
    if !has_detail(state.tab) {
        state.tab = Tab::Flobs;
    }
    state.focus = Focus::Detail;
}

/// Whether Enter leads anywhere.
pub fn can_open(state: &State) -> bool {
    match (state.tab, state.focus) {
        (Tab::Flobs | Tab::Threads, Focus::List) => !state.visible.is_empty(),
        (Tab::Graph, Focus::List) => selected_flob(state).is_some(),
        (tab, Focus::Detail) => has_detail(tab),
        (Tab::Checkpoints, _) => state.selected_checkpoint().is_some(),
        (Tab::Calls, _) => state.calls.selected().is_some(),
        (Tab::Breakpoints, _) => state.points.address().is_some(),
        _ => false,
    }
}

/// Enter.
pub fn open(state: &mut State, _: &str) -> Vec<Ask> {
    if state.tab == Tab::Checkpoints {
        return super::editing::open_checkpoint(state, "");
    }
    if state.tab == Tab::Calls {
        return super::tracing::to_thread(state);
    }
    if state.tab == Tab::Breakpoints {
        return super::breaking::show(state);
    }
    if state.focus == Focus::Detail {
        return follow(state);
    }
    match selected_flob(state) {
        Some(place) => {
            state.detail.place = Some(place);
            state.focus = Focus::Detail;
        }
        None if state.tab == Tab::Graph => {}
        None => return fold(state, ""),
    }
    Vec::new()
}

fn follow(state: &mut State) -> Vec<Ask> {
    let rows = detail_rows(state);
    let row = rows.get(state.detail.list.selected);
    match row.and_then(detail::Row::target) {
        Some(place) => visit(state, place),
        None if row.is_some_and(|row| matches!(row, detail::Row::Field { .. })) => {
            return super::editing::edit(state, "");
        }
        None => state.notice = Some((LogKind::Note, text::NO_LINK.into())),
    }
    Vec::new()
}

/// Backspace: the flob before, the list, the live environment.
pub fn back(state: &mut State, _: &str) -> Vec<Ask> {
    if state.focus == Focus::Detail {
        match state.detail.history.pop() {
            Some(place) => {
                state.detail.place = Some(place);
                state.detail.list = Default::default();
            }
            None => state.focus = Focus::List,
        }
        return Vec::new();
    }
    super::editing::close_checkpoint(state)
}

/// Folds or unfolds the selected row.
pub fn fold(state: &mut State, _: &str) -> Vec<Ask> {
    let Some(snapshot) = state.shown().cloned() else { return Vec::new() };
    let Some(row) = state.visible.get(state.tree.selected).copied() else { return Vec::new() };
    if let Some(key) = tree::fold_key(&snapshot.environment, &snapshot.rows, row) {
        if !state.folded.remove(&key) {
            state.folded.insert(key);
        }
        refold(state, None);
    }
    Vec::new()
}

/// Folds (or unfolds) the selected row if it is not; a row that cannot be folded leads to the one above it.
pub fn set_folded(state: &mut State, wanted: bool) -> Vec<Ask> {
    let Some(snapshot) = state.shown().cloned() else { return Vec::new() };
    let Some(row) = state.visible.get(state.tree.selected).copied() else { return Vec::new() };
    let key = tree::fold_key(&snapshot.environment, &snapshot.rows, row);
    match key {
        Some(key) if state.folded.contains(&key) != wanted => fold(state, ""),
        _ if wanted => {
            let depth = |row: &u32| snapshot.rows.get(*row as usize).map_or(0, |row| row.depth);
            let above = state.visible.get(..state.tree.selected).unwrap_or_default();
            let parent = above.iter().rposition(|other| depth(other) < depth(&row));
            state.tree.selected = parent.unwrap_or(state.tree.selected);
            Vec::new()
        }
        _ => open(state, ""),
    }
}

/// The other pane of those side by side.
pub fn other_pane(state: &mut State, _: &str) -> Vec<Ask> {
    if !has_detail(state.tab) {
        return next_tab(state, "");
    }
    state.focus = if state.focus == Focus::List { Focus::Detail } else { Focus::List };
    Vec::new()
}

/// Chooses a tab.
pub fn choose(state: &mut State, tab: Tab) -> Vec<Ask> {
    state.focus = Focus::List;
    state.tab = tab;
    match tab {
        Tab::Checkpoints => vec![Ask::List],
        Tab::Memory => super::memory::open(state),
        Tab::Calls => super::tracing::fetch(state),
        _ => Vec::new(),
    }
}

fn turn(state: &mut State, by: usize) -> Vec<Ask> {
    let index = Tab::ALL.iter().position(|tab| *tab == state.tab).unwrap_or(0);
    let next = Tab::ALL.get((index + by) % Tab::ALL.len()).copied();
    choose(state, next.unwrap_or(Tab::Flobs))
}

verbs! {
    /// The tree.
    flobs = |state| choose(state, Tab::Flobs);
    /// The threads.
    threads = |state| choose(state, Tab::Threads);
    /// Memory.
    bytes = |state| choose(state, Tab::Memory);
    /// Who waits for whom.
    graph = |state| choose(state, Tab::Graph);
    /// Output.
    console = |state| choose(state, Tab::Console);
    /// Checkpoints.
    checkpoints = |state| choose(state, Tab::Checkpoints);
    /// Log.
    log = |state| choose(state, Tab::Log);
    /// Breakpoints.
    breakpoints = |state| choose(state, Tab::Breakpoints);
    /// What the program asks.
    calls = |state| choose(state, Tab::Calls);
    /// Next tab.
    next_tab = |state| turn(state, 1);
    /// Previous tab.
    previous_tab = |state| turn(state, Tab::ALL.len() - 1);
}
