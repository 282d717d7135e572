//! The first line: tabs at the left, the state of the session at the right.

use std::time::Duration;

use flob_session::LinkState;
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
    text::{Line, Span},
};

use super::super::{
    state::{Ended, State, Tab},
    text,
};
use super::rows::span;

/// Draws the line.
pub fn draw(buffer: &mut Buffer, area: Rect, state: &State) {
    let tabs = tabs(state);
    let named = status(state, true);
    let fits = tabs.width() + named.width() <= usize::from(area.width);
    let status = if fits { named } else { status(state, false) };
    let width = (status.width() as u16).min(area.width);
    buffer.set_line(area.x, area.y, &tabs, area.width);
    buffer.set_line(area.right() - width, area.y, &status, width);
}

/// The tab whose title is in this column.
pub fn tab_at(state: &State, column: u16) -> Option<Tab> {
    let mut end = 0;
    // Each is a number, a title and the gap behind it.
    let spans = tabs(state).spans;
    let titles = spans.chunks(3).zip(Tab::ALL);
    for (spans, tab) in titles {
        end += spans.iter().map(Span::width).sum::<usize>();
        if usize::from(column) < end {
            return Some(tab);
        }
    }
    None
}

/// With their titles; where there is no room for those beside the state of the session, only the chosen one has its own.
fn tabs(state: &State) -> Line<'static> {
    let title = if state.is_wide() { text::tab } else { text::tab_short };
    let whole = titled(state, |tab, _| title(tab));
    let room = usize::from(state.size.0).saturating_sub(status(state, false).width());
    if whole.width() <= room {
        return whole;
    }
    titled(state, |tab, chosen| if chosen { text::tab_short(tab) } else { "" })
}

fn titled(state: &State, title: impl Fn(Tab, bool) -> &'static str) -> Line<'static> {
    let mut line = Line::default();
    for (index, tab) in Tab::ALL.into_iter().enumerate() {
        let chosen = tab == state.tab;
        let title = title(tab, chosen);
        let style = if chosen { state.theme.title().add_modifier(Modifier::REVERSED) } else { Style::new() };
        line.push_span(span(format!("{} ", index + 1), state.theme.key()));
        line.push_span(span(title, style));
        line.push_span(Span::raw(if state.is_wide() { "  " } else { " " }));
    }
    line
}

fn status(state: &State, with_name: bool) -> Line<'static> {
    let theme = state.theme;
    let mut line = Line::from(" ");
    if let Some((id, _)) = &state.opened {
        let title = if state.is_wide() { text::checkpoint_title(id) } else { id.clone() };
        line.push_span(span(title, theme.pending()));
        return line;
    }
    if with_name {
        line.push_span(Span::raw(format!("{} ", name(state))));
    }
    let (sign, word, style) = activity(state);
    line.push_span(span(format!("{sign} {word}"), style));
    if state.live.is_some() && (state.is_wide() || state.age() >= Duration::from_secs(2)) {
        line.push_span(span(format!(" {}", text::age(state.age())), theme.dim()));
    }
    line
}

/// The program, with its arguments if there is room; before that is known, the session.
fn name(state: &State) -> String {
    match &state.info {
        Some(info) if state.is_wide() => {
            let words = std::iter::once(&info.program).chain(&info.arguments);
            words.map(String::as_str).collect::<Vec<_>>().join(" ")
        }
        Some(info) => info.program.clone(),
        None => state.session.clone().unwrap_or_default(),
    }
}

fn activity(state: &State) -> (&'static str, String, Style) {
    let (theme, signs) = (state.theme, state.theme.signs());
    let trouble = |word: &str| (signs.trouble, word.to_owned(), theme.trouble());
    match (state.hub_gone, state.link, &state.ended) {
        (true, ..) => trouble(text::SESSION_OVER),
        (_, LinkState::Lost, _) => trouble(text::LINK_LOST),
        (_, LinkState::Dead, None) => trouble(text::GUEST_OVER),
        (_, _, Some(Ended::Died(..))) => trouble(text::DIED),
        (_, _, Some(Ended::Exited(code))) => (signs.stopped, text::exit_word(*code), theme.title()),
        (_, LinkState::Connecting, _) => (signs.waiting, text::CONNECTING.to_owned(), theme.dim()),
        _ if state.is_all_held() => (signs.stopped, text::HELD.to_owned(), theme.pending()),
        _ if state.is_held() => (signs.stopped, text::PARTLY_HELD.to_owned(), theme.pending()),
        _ if state.is_deadlocked() => trouble(text::DEADLOCKED),
        _ => (signs.running, text::RUNNING.to_owned(), theme.good()),
    }
}
