//! The help: every command with its keys, from the table.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
    widgets::{Clear, Widget},
};

use super::super::{
    commands::{COMMANDS, Command, Group, Key},
    keymap::Keymap,
    state::State,
    text,
};
use super::rows::{self, fit, span};

/// A line of the help.
enum Entry<'a> {
    Title(&'static str),
    Command(&'static Command, &'a [Key]),
    Gap,
}

fn entries(keymap: &Keymap) -> impl Iterator<Item = Entry<'_>> {
    Group::ALL.into_iter().flat_map(move |group| {
        let commands = keymap.commands().filter(move |(command, _)| command.group == group);
        let commands = commands.map(|(command, keys)| Entry::Command(command, keys));
        std::iter::once(Entry::Title(group.title())).chain(commands).chain(std::iter::once(Entry::Gap))
    })
}

/// How many lines the help has.
pub fn line_count() -> usize {
    COMMANDS.len() + 2 * Group::ALL.len()
}

/// Draws it over everything, scrolled down by so many lines.
pub fn draw(buffer: &mut Buffer, scroll: usize, state: &State) {
    let (width, height) = state.size;
    let area = Rect::new(0, 0, width.min(100), height.saturating_sub(1));
    Clear.render(area, buffer);
    let inner = rows::pane(buffer, area, Line::from(text::HELP_TITLE), true, state);
    let lines: Vec<Entry<'_>> = entries(&state.keymap).skip(scroll).take(usize::from(inner.height)).collect();
    rows::draw(buffer, inner, 0..lines.len(), |index| match lines.get(index) {
        Some(Entry::Title(title)) => Line::from(span(*title, state.theme.title())),
        Some(Entry::Command(command, keys)) => command_line(state, command, keys),
        _ => Line::default(),
    });
}

fn command_line(state: &State, command: &Command, keys: &[Key]) -> Line<'static> {
    let keys: Vec<String> = keys.iter().map(|key| key.label()).collect();
    let name = format!(":{} {}", command.name, command.arguments);
    Line::from(vec![
        span(format!("  {}", fit(&keys.join(" "), 8)), state.theme.key()),
        span(format!(" {} ", fit(&name, 24)), state.theme.dim()),
        Span::raw(command.help),
    ])
}
