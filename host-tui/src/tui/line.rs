//! A line of text being typed.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Text with a cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    text: String,
    cursor: usize,
}

impl Line {
    /// A line that holds `text` already, with the cursor at its end.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { cursor: text.len(), text }
    }

    /// What was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What stands before the cursor.
    pub fn before(&self) -> &str {
        self.text.get(..self.cursor).unwrap_or_default()
    }

    /// What stands behind the cursor.
    pub fn behind(&self) -> &str {
        self.text.get(self.cursor..).unwrap_or_default()
    }

    /// Takes a key if it edits text; tells whether it did.
    pub fn take(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('u') if control => *self = Self::new(self.behind().to_owned()).at_start(),
            KeyCode::Char('w') if control => self.erase_word(),
            KeyCode::Char('a') if control => self.cursor = 0,
            KeyCode::Char('e') if control => self.cursor = self.text.len(),
            KeyCode::Char(_) if control || key.modifiers.contains(KeyModifiers::ALT) => return false,
            KeyCode::Char(letter) => self.insert(letter),
            KeyCode::Backspace => self.erase_back(),
            KeyCode::Delete => self.erase_forward(),
            KeyCode::Left => self.cursor = self.previous(),
            KeyCode::Right => self.cursor += self.behind().chars().next().map_or(0, char::len_utf8),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            _ => return false,
        }
        true
    }

    /// Inserts text at the cursor; control characters are left out.
    pub fn paste(&mut self, text: &str) {
        text.chars().filter(|letter| !letter.is_control()).for_each(|letter| self.insert(letter));
    }

    fn at_start(mut self) -> Self {
        self.cursor = 0;
        self
    }

    fn insert(&mut self, letter: char) {
        self.text.insert(self.cursor, letter);
        self.cursor += letter.len_utf8();
    }

    fn previous(&self) -> usize {
        self.cursor - self.before().chars().next_back().map_or(0, char::len_utf8)
    }

    fn erase_back(&mut self) {
        let from = self.previous();
        self.text.replace_range(from..self.cursor, "");
        self.cursor = from;
    }

    fn erase_forward(&mut self) {
        let length = self.behind().chars().next().map_or(0, char::len_utf8);
        self.text.replace_range(self.cursor..self.cursor + length, "");
    }

    fn erase_word(&mut self) {
        let kept = self.before().trim_end().rfind(' ').map_or(0, |space| space + 1);
        self.text.replace_range(kept..self.cursor, "");
        self.cursor = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(number: u8, letter: char) -> KeyEvent {
        let codes = [
            KeyCode::Char(letter),
            KeyCode::Backspace,
            KeyCode::Delete,
            KeyCode::Left,
            KeyCode::Right,
            KeyCode::Home,
            KeyCode::End,
        ];
        match number {
            7 => KeyEvent::new(KeyCode::Char('w'), KeyModifiers::CONTROL),
            8 => KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL),
            _ => KeyEvent::new(codes[usize::from(number) % codes.len()], KeyModifiers::NONE),
        }
    }

    proptest! {
        #[test]
        fn any_keys_keep_the_cursor_between_characters(keys in prop::collection::vec((0u8..9, any::<char>()), 0..80)) {
            let mut line = Line::new("grün ∀x");
            for (number, letter) in keys {
                line.take(key(number, letter));
                prop_assert_eq!(format!("{}{}", line.before(), line.behind()), line.text());
            }
        }
    }
}
