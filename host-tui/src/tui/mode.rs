//! What keys mean at the moment.

use super::{edit::Editor, line::Line, palette::Palette};

/// What keys mean now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Commands of the table.
    Normal,
    /// A search is being typed.
    Search(Line),
    /// A command is being typed.
    Command(Line),
    /// A command is looked for.
    Palette(Palette),
    /// What rows must contain to be shown is being typed.
    Filter(Line),
    /// Input for the program is being typed.
    Typing(Line),
    /// A field or memory is being edited.
    Edit(Editor),
    /// A question must be answered.
    Confirm(Question),
    /// The help is shown, scrolled down by so many lines.
    Help(usize),
    /// A text is read.
    Reading(Reading),
}

/// A text over everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What it is.
    pub title: String,
    /// Its lines.
    pub lines: Vec<String>,
    /// How far it is scrolled down.
    pub scroll: usize,
}

/// What is asked before something is done that cannot be taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Apply the pending edits?
    Apply,
    /// Restore this checkpoint?
    Restore(String),
    /// Take the last edit or restore back?
    Undo,
    /// Remove this checkpoint?
    Remove(String),
    /// How to leave?
    Quit,
    /// Leave although edits are pending?
    Discard,
}
