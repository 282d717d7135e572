//! Looking: search, show, why, help.

use flob_abi::FlobKind;
use flob_image::Place;
use flob_session::names::contains;

use super::super::{
    detail::Row,
    layout::{has_detail, list_height},
    line::Line,
    message::Ask,
    palette::Palette,
    state::{LogKind, Mode, State, Tab},
    text,
};
use super::{control, log_command, navigate, trouble};

/// Begins a search, or searches for what is given.
pub fn search(state: &mut State, arguments: &str) -> Vec<Ask> {
    if arguments.is_empty() {
        state.mode = Mode::Search(Line::default());
        return Vec::new();
    }
    state.search = arguments.to_owned();
    next(state, "")
}

/// To the next match.
pub fn next(state: &mut State, _: &str) -> Vec<Ask> {
    find(state, true)
}

/// To the match before.
pub fn previous(state: &mut State, _: &str) -> Vec<Ask> {
    find(state, false)
}

/// Searches the names in the order of the tree, from the selected flob on and around the end.
fn find(state: &mut State, forward: bool) -> Vec<Ask> {
    let Some(snapshot) = state.shown().cloned() else { return trouble(state, text::NOTHING_YET) };
    let needle = state.search.to_lowercase();
    let threads_only = matches!(state.tab, Tab::Threads | Tab::Graph);
    let start = navigate::selected_flob(state).and_then(|place| snapshot.index_of(place));
    let start = start.and_then(|index| snapshot.row_of.get(index)).map_or(0, |row| *row as usize);
    let count = snapshot.rows.len();
    let matching = |row: usize| -> Option<Place> {
        let super::super::tree::Node::Flob(index) = snapshot.rows.get(row)?.node else { return None };
        let flob = snapshot.environment.flobs.get(index as usize)?;
        let fits = !threads_only || flob.state.kind() == FlobKind::Thread;
        (fits && contains(snapshot.whole(index as usize), &needle)).then_some(flob.place)
    };
    let step = |by: usize| if forward { start + by } else { start + count - by };
    let found = (1..=count).map(|by| step(by) % count.max(1)).find_map(matching);
    match found {
        Some(place) => {
            if !has_detail(state.tab) {
                state.tab = Tab::Flobs;
            }
            state.focus = super::super::state::Focus::List;
            navigate::select(state, place);
        }
        None => state.notice = Some((LogKind::Trouble, text::NOT_FOUND.into())),
    }
    Vec::new()
}

/// `show FLOB`.
pub fn show(state: &mut State, arguments: &str) -> Vec<Ask> {
    let Some(snapshot) = state.shown() else { return trouble(state, text::NOTHING_YET) };
    match snapshot.names.find(arguments) {
        Ok(place) => {
            let name = state.name(place);
            log_command(state, &["show", &name]);
            navigate::select(state, place);
            navigate::visit(state, place);
            Vec::new()
        }
        Err(error) => trouble(state, error),
    }
}

/// `why THREAD`.
pub fn why(state: &mut State, arguments: &str) -> Vec<Ask> {
    match control::thread(state, arguments) {
        Ok(place) => {
            let name = state.name(place);
            let sentence =
                state.shown().and_then(|snapshot| snapshot.facts_of(place)).map(|facts| facts.why.clone());
            log_command(state, &["why", &name]);
            state.tell(LogKind::Note, sentence.unwrap_or_default());
            Vec::new()
        }
        Err(error) => trouble(state, error),
    }
}

/// Puts what is selected into the clipboard.
pub fn copy(state: &mut State, arguments: &str) -> Vec<Ask> {
    let named = Some(arguments.to_owned()).filter(|text| !text.is_empty());
    match named.or_else(|| selected_text(state)) {
        Some(text) => {
            state.notice = Some((LogKind::Note, text::copied(&text)));
            vec![Ask::Copy(text)]
        }
        None => trouble(state, text::NOTHING_TO_COPY),
    }
}

/// What is selected, as one would type it: a name, a value, an address, an id, a command.
fn selected_text(state: &State) -> Option<String> {
    match state.tab {
        tab if has_detail(tab) && state.focus == super::super::state::Focus::Detail => {
            let rows = navigate::detail_rows(state);
            match rows.get(state.detail.list.selected)? {
                Row::Field { value, .. } | Row::Link { value, .. } => Some(value.clone()),
                Row::Incoming { source, .. } => Some(state.name(*source)),
                Row::Sentence(text) => Some(text.clone()),
                Row::Heading(_) => None,
            }
        }
        Tab::Flobs | Tab::Threads | Tab::Graph => {
            navigate::selected_flob(state).map(|place| state.name(place))
        }
        Tab::Memory => Some(format!("{:#x}", state.memory.cursor)),
        Tab::Checkpoints => state.selected_checkpoint().map(|saved| saved.id.clone()),
        Tab::Calls => state.calls.selected().map(|row| row.described.asked()),
        Tab::Breakpoints => state.points.address().map(|(_, address)| format!("{address:#x}")),
        Tab::Console => state.console.visible(list_height(state)).last().map(|line| line.text.clone()),
        Tab::Log => {
            let mut above = state.shown_log().rev().skip(state.log_back);
            above.find(|line| line.kind == LogKind::Command).map(|line| line.text.clone())
        }
    }
}

/// The help.
pub fn help(state: &mut State, _: &str) -> Vec<Ask> {
    state.mode = Mode::Help(0);
    Vec::new()
}

/// The palette.
pub fn palette(state: &mut State, _: &str) -> Vec<Ask> {
    state.mode = Mode::Palette(Palette::new(state));
    Vec::new()
}

/// The command line.
pub fn command(state: &mut State, _: &str) -> Vec<Ask> {
    state.mode = Mode::Command(Line::default());
    Vec::new()
}

/// Looks again at once.
pub fn look_again(_: &mut State, _: &str) -> Vec<Ask> {
    vec![Ask::Look]
}

/// Draws everything anew.
pub fn redraw(_: &mut State, _: &str) -> Vec<Ask> {
    vec![Ask::Redraw]
}
