//! The one table of commands. The keys, the key line, the help and the command line are all made from it, so they
//! cannot drift apart. What the commands do is in the modules below, by subject.

/// Commands that take no arguments, in a line each.
macro_rules! verbs {
    ($($(#[$doc:meta])* $name:ident = $body:expr;)*) => {
        $($(#[$doc])* pub fn $name(state: &mut State, _: &str) -> Vec<Ask> { let run: fn(&mut State) -> Vec<Ask> = $body; run(state) })*
    };
}

pub mod breaking;
pub mod control;
pub mod editing;
mod key;
pub mod looking;
pub mod memory;
pub mod navigate;
pub mod scroll;
pub mod sorting;
mod table;
pub mod tracing;
mod when;

use crossterm::event::KeyEvent;

use super::{
    message::Ask,
    state::{LogKind, State},
    text,
};

pub use key::Key;
pub use table::COMMANDS;

/// Where the help lists a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the titles say it")]
pub enum Group {
    Move,
    Look,
    Control,
    Edit,
    Leave,
}

impl Group {
    /// All, in the order of the help.
    pub const ALL: [Self; 5] = [Self::Move, Self::Look, Self::Control, Self::Edit, Self::Leave];

    /// Its title in the help.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Move => "Moving about",
            Self::Look => "Looking",
            Self::Control => "Running and checkpoints",
            Self::Edit => "Editing",
            Self::Leave => "Leaving",
        }
    }
}

/// What a command does: it changes the state and says what else is to be done. The text is what follows its name on the
/// command line; empty from a key.
pub type Run = fn(&mut State, &str) -> Vec<Ask>;

/// A command.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// On the command line; where `flob` has the same verb, that.
    pub name: &'static str,
    /// What follows the name; empty if nothing can.
    pub arguments: &'static str,
    /// Its keys, unless the config file gives it others: see [`super::keymap`].
    pub keys: &'static [Key],
    /// One line.
    pub help: &'static str,
    /// A word for the key line; empty if it is not in it.
    pub short: &'static str,
    /// Where the help lists it.
    pub group: Group,
    /// Whether it makes sense now.
    pub enabled: fn(&State) -> bool,
    /// What it does.
    pub run: Run,
}

impl Command {
    /// Whether it can do nothing without something behind its name.
    pub fn needs_arguments(&self) -> bool {
        !self.arguments.is_empty() && !self.arguments.starts_with('[') && self.keys.is_empty()
    }
}

/// Does what a key means.
pub fn press(state: &mut State, event: KeyEvent) -> Vec<Ask> {
    let bound: Vec<&Command> = state.keymap.bound(event).collect();
    let Some(first) = bound.first() else { return Vec::new() };
    match bound.iter().find(|command| (command.enabled)(state)) {
        Some(command) => (command.run)(state, ""),
        None if first.group == Group::Move => Vec::new(),
        None => trouble(state, text::not_now(first.name)),
    }
}

/// Does what was typed on the command line.
pub fn execute(state: &mut State, line: &str) -> Vec<Ask> {
    let line = line.trim().trim_start_matches("flob ").trim();
    if line.is_empty() {
        return Vec::new();
    }
    let Some((command, arguments)) = parse(line) else { return trouble(state, text::no_such_command(line)) };
    // What a key would mean may not be there; with what is named the command looks for itself.
    if arguments.is_empty() && !(command.enabled)(state) {
        return trouble(state, text::not_now(command.name));
    }
    (command.run)(state, arguments)
}

/// The command whose name, of one or more words, a line begins with; of several the one with the longest name.
pub fn parse(line: &str) -> Option<(&'static Command, &str)> {
    let rest = |command: &Command| {
        let rest = line.strip_prefix(command.name)?;
        (rest.is_empty() || rest.starts_with(' ')).then(|| rest.trim())
    };
    let found = COMMANDS.iter().filter_map(|command| Some((command, rest(command)?)));
    found.max_by_key(|(command, _)| command.name.len())
}

/// Names of commands that begin like this, for completion.
pub fn completions(start: &str) -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|command| command.name).filter(move |name| name.starts_with(start))
}

/// Says what is wrong.
pub fn trouble(state: &mut State, text: impl Into<String>) -> Vec<Ask> {
    state.tell(LogKind::Trouble, text);
    Vec::new()
}

/// Logs the `flob` command that does the same.
pub fn log_command(state: &mut State, words: &[&str]) {
    let mut line = String::from("flob");
    if let Some(session) = state.session.as_ref().filter(|_| state.several) {
        line = format!("{line} -s {session}");
    }
    for word in words.iter().filter(|word| !word.is_empty()) {
        line.push(' ');
        line.push_str(&quoted(word));
    }
    state.tell(LogKind::Command, line);
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./:=,+@%".contains(letter);
    if word.chars().all(is_plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}
