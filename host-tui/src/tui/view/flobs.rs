//! The tree of the environment, each flob with its state in a few words.

use flob_abi::FlobKind;
use flob_image::{Flob, State as FlobState};
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
};

use super::super::{
    layout,
    snapshot::Snapshot,
    state::{Focus, State, Tab},
    text,
    tree::{self, Node},
    waits::Status,
};
use super::rows::{self, span};

/// Draws the pane.
pub fn draw(buffer: &mut Buffer, area: Rect, state: &State) {
    let focused = state.focus == Focus::List;
    let inner = rows::pane(buffer, area, rows::title(state, Tab::Flobs), focused, state);
    let Some(snapshot) = rows::shown(buffer, inner, state) else { return };
    let head = layout::head_lines(state);
    rows::draw_deadlock(buffer, inner, state);
    let list = rows::lines_of(inner, head, usize::from(inner.height));
    let window = state.tree.window(state.visible.len(), usize::from(list.height));
    rows::draw(buffer, list, window, |index| {
        let row = state.visible.get(index).copied().unwrap_or_default();
        let line = row_line(state, snapshot, row);
        line.style(rows::row_style(state, index == state.tree.selected, focused))
    });
}

fn row_line(state: &State, snapshot: &Snapshot, row: u32) -> Line<'static> {
    let Some(found) = snapshot.rows.get(row as usize) else { return Line::default() };
    let signs = state.theme.signs();
    let key = tree::fold_key(&snapshot.environment, &snapshot.rows, row);
    let fold = match key {
        None => signs.leaf,
        Some(key) if state.folded.contains(&key) => signs.folded,
        Some(_) => signs.open,
    };
    let mut line = Line::from(format!("{}{fold} ", "  ".repeat(usize::from(found.depth))));
    match found.node {
        Node::Environment => {
            let environment = &snapshot.environment;
            line.push_span(span(environment.program.clone(), state.theme.title()));
            line.push_span(span(
                text::environment(environment.flobs.len(), environment.size),
                state.theme.dim(),
            ));
            if let Some((looks, share)) = state.cost.rate().filter(|_| state.is_live()) {
                line.push_span(span(text::cost(looks, share), state.theme.dim()));
            }
        }
        Node::Group { kind, count, .. } => {
            line.push_span(Span::raw(text::group(kind)));
            line.push_span(span(format!(" {count}"), state.theme.dim()));
        }
        Node::Flob(index) => push_flob(&mut line, state, snapshot, index as usize),
    }
    line
}

fn push_flob(line: &mut Line<'static>, state: &State, snapshot: &Snapshot, index: usize) {
    let Some(flob) = snapshot.environment.flobs.get(index) else { return };
    let name = snapshot.whole(index);
    let is_space = flob.state.kind() == FlobKind::Space;
    let changed = snapshot.changed.get(index) == Some(&true);
    if let Some(facts) = snapshot.facts_of(flob.place) {
        let (sign, style) = super::threads::sign(state, facts);
        line.push_span(span(format!("{sign} "), style));
    }
    let name = if is_space { name.to_owned() } else { snapshot.short(flob.place) };
    line.push_span(if changed { span(name, state.theme.changed()) } else { Span::raw(name) });
    line.push_span(span(if changed { state.theme.signs().changed } else { " " }, state.theme.changed()));
    line.push_span(span(format!(" {}", summary(state, snapshot, index, flob)), state.theme.dim()));
}

/// The state of a flob in a few words.
fn summary(state: &State, snapshot: &Snapshot, index: usize, flob: &Flob) -> String {
    let to = state.theme.signs().to;
    let link =
        |index: usize| flob.links.get(index).map_or_else(String::new, |link| snapshot.short_link(link));
    let waiters = || {
        let count = waiting(snapshot, index);
        if count == 0 { String::new() } else { text::waiters(count) }
    };
    match &flob.state {
        FlobState::Thread(_) => match snapshot.facts_of(flob.place) {
            Some(facts) if facts.waits_for.is_empty() => facts.status.text(),
            Some(facts) if facts.status == Status::Stopped => {
                format!("{}, {to} {}", facts.status.text(), facts.waits_for)
            }
            Some(facts) => format!("{to} {}", facts.waits_for),
            None => String::new(),
        },
        FlobState::Mutex(mutex) if mutex.locked == 0 => format!("{}{}", text::FREE, waiters()),
        FlobState::Mutex(_) => format!("{}{}", text::held_by(&link(0)), waiters()),
        FlobState::Condition(_) => waiters().trim_start_matches(", ").to_owned(),
        FlobState::Region(region) => range(region.start, region.size, region.protection),
        FlobState::Mapping(mapping) => {
            format!(
                "{} {to} {}+{:#x}",
                range(mapping.start, mapping.size, mapping.protection),
                link(0),
                mapping.offset
            )
        }
        FlobState::Port(port) => format!("{to} {} {}", link(0), text::alias(port.alias)),
        FlobState::PortSet(_) => waiters().trim_start_matches(", ").to_owned(),
        FlobState::Reference(_) => format!("{to} {}", link(0)),
        FlobState::Space(_) => String::new(),
    }
}

fn waiting(snapshot: &Snapshot, index: usize) -> usize {
    let is_waiter = |source: u32| {
        snapshot
            .environment
            .flobs
            .get(source as usize)
            .is_some_and(|flob| flob.state.kind() == FlobKind::Thread)
    };
    let waits = flob_abi::flob::thread_link::WAITING_FOR;
    let links = snapshot.incoming(index).iter();
    links.filter(|link| usize::from(link.link) == waits && is_waiter(link.source)).count()
}

fn range(start: u64, size: u64, protection: u32) -> String {
    let letter = |bit: u32, letter| if protection & bit == 0 { '-' } else { letter };
    format!("{start:#x}+{size:#x} {}{}{}", letter(1, 'r'), letter(2, 'w'), letter(4, 'x'))
}
