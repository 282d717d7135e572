//! Who waits for whom, drawn; deadlocks as rings, by name.

use flob_abi::FlobKind;
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};

use super::super::{
    graph::{Node, Relation, Row},
    snapshot::Snapshot,
    state::{Focus, State, Tab},
    text,
    theme::Theme,
    waits::Facts,
};
use super::rows::{self, span};

/// Draws the pane.
pub fn draw(buffer: &mut Buffer, area: Rect, state: &State) {
    let focused = state.focus == Focus::List;
    let inner = rows::pane(buffer, area, Line::from(text::tab(Tab::Graph)), focused, state);
    let Some(snapshot) = rows::shown(buffer, inner, state) else { return };
    let window = state.graph.window(snapshot.graph.len(), usize::from(inner.height));
    rows::draw(buffer, inner, window, |index| {
        let line = snapshot.graph.get(index).map(|row| line(state, snapshot, row)).unwrap_or_default();
        line.style(rows::row_style(state, index == state.graph.selected, focused))
    });
}

fn line(state: &State, snapshot: &Snapshot, row: &Row) -> Line<'static> {
    let theme = state.theme;
    let ring = row.relation == Relation::Ring;
    let mut line = Line::from(span(lead(theme, &row.lead), if ring { theme.trouble() } else { theme.dim() }));
    match &row.node {
        Node::Deadlock(count) => {
            let sign = theme.signs().trouble;
            line.push_span(span(format!("{sign} {}", text::deadlock_of(*count)), theme.trouble()));
        }
        Node::Outside(name) => {
            line.push_span(Span::raw(name.clone()));
            line.push_span(span(format!(" {}", text::OUTSIDE), theme.dim()));
        }
        Node::Flob(place) => match snapshot.facts_of(*place) {
            Some(facts) => push_thread(&mut line, state, snapshot, facts, row.relation),
            None => {
                let kind = snapshot.environment.flob(*place).map_or("", |flob| flob.state.kind().name());
                line.push_span(Span::raw(snapshot.short(*place)));
                let held = if row.relation == Relation::Held { text::IS_HELD } else { "" };
                line.push_span(span(format!(" {kind}{held}"), theme.dim()));
            }
        },
    }
    line
}

/// The lines before a row, in the alphabet of the terminal.
fn lead(theme: Theme, lead: &str) -> String {
    if theme.unicode {
        return lead.to_owned();
    }
    let plain = |letter| match letter {
        '│' => '|',
        '─' => '-',
        '→' => '>',
        '├' => '+',
        '└' | '╰' => '`',
        '╭' => ',',
        other => other,
    };
    lead.chars().map(plain).collect()
}

fn push_thread(
    line: &mut Line<'static>,
    state: &State,
    snapshot: &Snapshot,
    facts: &Facts,
    relation: Relation,
) {
    let theme = state.theme;
    let (sign, style) = super::threads::sign(state, facts);
    line.push_span(span(format!("{sign} "), style));
    let changed = snapshot.changed.get(facts.flob as usize) == Some(&true);
    let name = snapshot.short(facts.place);
    line.push_span(span(name, if changed { theme.changed() } else { Style::new() }));
    if changed {
        line.push_span(span(theme.signs().changed, theme.changed()));
    }
    let relation = described(state, snapshot, facts, relation);
    line.push_span(span(format!(" {relation}"), theme.dim()));
    line.push_span(span(format!(" {}", text::at(&facts.position)), theme.dim()));
}

/// What a thread does or wants, in a few words.
fn described(state: &State, snapshot: &Snapshot, facts: &Facts, relation: Relation) -> String {
    let to = state.theme.signs().to;
    match relation {
        Relation::Waits(Some(FlobKind::Mutex)) => format!("{to} {}", facts.waits_for),
        Relation::Waits(Some(FlobKind::Condition)) => text::SLEEPS.into(),
        Relation::Waits(Some(FlobKind::PortSet)) => text::WAITS_FOR_REQUESTS.into(),
        Relation::Waits(Some(FlobKind::Port)) => text::WAITS_FOR_SERVER.into(),
        Relation::Waits(Some(FlobKind::Thread)) => text::WAITS_FOR_ANSWER.into(),
        Relation::Waits(_) => text::WAITS.into(),
        Relation::Ring => match facts.holder.filter(|holder| facts.target != Some(*holder)) {
            Some(holder) => format!("{to} {}", text::waits_held(&facts.waits_for, &snapshot.short(holder))),
            None => format!("{to} {}", facts.waits_for),
        },
        Relation::Served => text::IS_SERVED.into(),
        Relation::Root | Relation::Held => facts.status.text(),
    }
}
