//! A key: how it is written in the key line, the help and the config file.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key with its modifiers; shift is part of the character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub KeyCode, pub KeyModifiers);

/// Names of keys that are no characters.
const NAMES: [(&str, KeyCode); 16] = [
    ("Space", KeyCode::Char(' ')),
    ("Enter", KeyCode::Enter),
    ("Esc", KeyCode::Esc),
    ("Tab", KeyCode::Tab),
    ("S-Tab", KeyCode::BackTab),
    ("Bksp", KeyCode::Backspace),
    ("Delete", KeyCode::Delete),
    ("Insert", KeyCode::Insert),
    ("Up", KeyCode::Up),
    ("Down", KeyCode::Down),
    ("Left", KeyCode::Left),
    ("Right", KeyCode::Right),
    ("Home", KeyCode::Home),
    ("End", KeyCode::End),
    ("PgUp", KeyCode::PageUp),
    ("PgDn", KeyCode::PageDown),
];

impl Key {
    /// A character without modifiers.
    pub const fn char(letter: char) -> Self {
        Self(KeyCode::Char(letter), KeyModifiers::NONE)
    }

    /// A key without modifiers.
    pub const fn plain(code: KeyCode) -> Self {
        Self(code, KeyModifiers::NONE)
    }

    /// A character with Control.
    pub const fn control(letter: char) -> Self {
        Self(KeyCode::Char(letter), KeyModifiers::CONTROL)
    }

    /// Whether it was pressed.
    pub fn is(self, event: KeyEvent) -> bool {
        let relevant = KeyModifiers::CONTROL | KeyModifiers::ALT;
        self.0 == event.code && self.1 == event.modifiers & relevant
    }

    /// Its name in the key line and in the help.
    pub fn label(self) -> String {
        let name = match (NAMES.iter().find(|(_, code)| *code == self.0), self.0) {
            (Some((name, _)), _) => (*name).to_owned(),
            (None, KeyCode::Char(letter)) if self.1.contains(KeyModifiers::CONTROL) => {
                letter.to_uppercase().to_string()
            }
            (None, KeyCode::Char(letter)) => letter.to_string(),
            (None, KeyCode::F(number)) => format!("F{number}"),
            (None, other) => format!("{other:?}"),
        };
        let control = if self.1.contains(KeyModifiers::CONTROL) { "^" } else { "" };
        let alt = if self.1.contains(KeyModifiers::ALT) { "A-" } else { "" };
        format!("{alt}{control}{name}")
    }

    /// The key that is called so: what [`Self::label`] gives, with `Ctrl-` and `Alt-` spelled out if one likes.
    pub fn parse(text: &str) -> Option<Self> {
        let (text, alt) = modifier(text, &["A-", "Alt-"], KeyModifiers::ALT);
        let (text, control) = modifier(text, &["^", "C-", "Ctrl-"], KeyModifiers::CONTROL);
        let mut letters = text.chars();
        let code = match (letters.next()?, letters.next()) {
            (letter, None) if control.is_empty() => KeyCode::Char(letter),
            (letter, None) => KeyCode::Char(letter.to_ascii_lowercase()),
            _ => named(text)?,
        };
        Some(Self(code, alt | control))
    }

    /// The key that a terminal sends in place of this one, if it cannot tell them apart.
    pub fn same_to_terminals(self) -> Option<Self> {
        let code = match (self.0, self.1.contains(KeyModifiers::CONTROL)) {
            (KeyCode::Char('i'), true) => KeyCode::Tab,
            (KeyCode::Char('m' | 'j'), true) => KeyCode::Enter,
            (KeyCode::Char('['), true) => KeyCode::Esc,
            (KeyCode::Char('h'), true) => KeyCode::Backspace,
            _ => return None,
        };
        Some(Self::plain(code))
    }
}

/// Takes a modifier off the front of a name.
fn modifier<'a>(text: &'a str, prefixes: &[&str], modifier: KeyModifiers) -> (&'a str, KeyModifiers) {
    let rest = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix).filter(|rest| !rest.is_empty()));
    rest.map_or((text, KeyModifiers::NONE), |rest| (rest, modifier))
}

fn named(text: &str) -> Option<KeyCode> {
    let found = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, code)| *code);
    let function = || {
        let number = text.strip_prefix(['F', 'f'])?.parse().ok()?;
        (1..=24).contains(&number).then_some(KeyCode::F(number))
    };
    found.or_else(function)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::commands::COMMANDS;

    #[test]
    fn every_key_of_the_table_is_called_by_its_label() {
        for key in COMMANDS.iter().flat_map(|command| command.keys) {
            assert_eq!(Key::parse(&key.label()), Some(*key), "{}", key.label());
        }
    }

    #[test]
    fn keys_may_be_spelled_out() {
        assert_eq!(Key::parse("Ctrl-X"), Some(Key::control('x')));
        assert_eq!(Key::parse("Alt-x"), Some(Key(KeyCode::Char('x'), KeyModifiers::ALT)));
        assert_eq!(Key::parse("pgup"), Some(Key::plain(KeyCode::PageUp)));
        assert_eq!(Key::parse("^"), Some(Key::char('^')));
        assert_eq!(Key::parse("F12"), Some(Key::plain(KeyCode::F(12))));
        for nonsense in ["", "F0", "F99", "Hyper-x", "xx"] {
            assert_eq!(Key::parse(nonsense), None, "{nonsense}");
        }
    }
}
