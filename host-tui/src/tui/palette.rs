//! The palette: a few letters of a command's name or of what it does find it, and Enter does it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use nucleo_matcher::{
    Config, Matcher, Utf32Str,
    pattern::{CaseMatching, Normalization, Pattern},
};

use super::{
    commands::{self, COMMANDS, Command},
    line::Line,
    list::{List, Move},
    message::Ask,
    state::{Mode, State},
};

/// How much more a name counts than what the help says.
const NAME_WEIGHT: u32 = 4;

/// What is typed, and what of the table fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Palette {
    /// What is typed.
    pub line: Line,
    /// Commands that fit, by their number in the table: those that make sense now first, and the best first.
    pub found: Vec<usize>,
    /// Selection among them.
    pub list: List,
}

impl Palette {
    /// With everything there is.
    pub fn new(state: &State) -> Self {
        let mut palette = Self::default();
        palette.find(state);
        palette
    }

    /// The command of a row.
    pub fn command(&self, row: usize) -> Option<&'static Command> {
        COMMANDS.get(*self.found.get(row)?)
    }

    fn find(&mut self, state: &State) {
        let score = scorer(self.line.text());
        let scored = COMMANDS.iter().enumerate().filter_map(score);
        let mut scored: Vec<(bool, u32, usize)> =
            scored.map(|(number, command, score)| ((command.enabled)(state), score, number)).collect();
        scored.sort_by_key(|(enabled, score, number)| (!enabled, u32::MAX - score, *number));
        self.found = scored.into_iter().map(|(.., number)| number).collect();
        self.list = List::default();
    }
}

/// Says how well a command fits what was typed, if it does.
fn scorer(typed: &str) -> impl FnMut((usize, &'static Command)) -> Option<(usize, &'static Command, u32)> {
    let pattern = Pattern::parse(typed, CaseMatching::Ignore, Normalization::Smart);
    let mut matcher = Matcher::new(Config::DEFAULT);
    let mut letters = Vec::new();
    move |(number, command)| {
        let mut score = |text: &str| pattern.score(Utf32Str::new(text, &mut letters), &mut matcher);
        let name = score(command.name).map(|score| score * NAME_WEIGHT);
        let score = name.or_else(|| score(&format!("{} {}", command.name, command.help)))?;
        Some((number, command, score))
    }
}

/// Takes a key.
pub fn press(state: &mut State, mut palette: Palette, key: KeyEvent) -> Vec<Ask> {
    if key.code == KeyCode::Enter {
        return palette.command(palette.list.selected).map_or_else(Vec::new, |command| run(state, command));
    }
    match movement(key) {
        Some(movement) => palette.list.go(movement, palette.found.len(), height(state)),
        None => {
            if palette.line.take(key) {
                palette.find(state);
            }
        }
    }
    state.mode = Mode::Palette(palette);
    Vec::new()
}

/// Text was pasted.
pub fn paste(state: &State, palette: &mut Palette, text: &str) {
    palette.line.paste(text);
    palette.find(state);
}

fn movement(key: KeyEvent) -> Option<Move> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Up => Some(Move::Up),
        KeyCode::Down => Some(Move::Down),
        KeyCode::Char('p') if control => Some(Move::Up),
        KeyCode::Char('n') if control => Some(Move::Down),
        KeyCode::PageUp => Some(Move::PageUp),
        KeyCode::PageDown => Some(Move::PageDown),
        _ => None,
    }
}

/// Does it; what must be told more is asked for on the command line.
fn run(state: &mut State, command: &Command) -> Vec<Ask> {
    if command.needs_arguments() {
        state.mode = Mode::Command(Line::new(format!("{} ", command.name)));
        return Vec::new();
    }
    commands::execute(state, command.name)
}

/// Rows of commands on this screen.
pub fn height(state: &State) -> usize {
    usize::from(state.size.1.saturating_sub(6)).clamp(1, 20)
}
