//! The program's output, as lines that are safe to show: control characters never reach the terminal.

use std::collections::VecDeque;

/// Most lines kept for scrolling back.
const MAX_LINES: usize = 10_000;
/// Longest line; the rest begins a new one.
const MAX_LINE: usize = 4096;
/// Bytes kept to be printed when the screen is left.
const MAX_TAIL: usize = 16 * 1024;

/// A line of output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Its text.
    pub text: String,
    /// From standard error.
    pub is_error: bool,
}

/// What the program has written.
#[derive(Clone, Debug, Default)]
pub struct Console {
    lines: VecDeque<Line>,
    /// Ends of characters that have not come whole, for stdout and stderr.
    partial: [Vec<u8>; 2],
    positions: [u64; 2],
    tail: VecDeque<u8>,
    at_line_start: bool,
    /// Lines scrolled back from the end; 0 follows the output.
    pub back: usize,
}

impl Console {
    /// Takes output of stream 1 or 2 in, at its position; what was seen already is left out.
    pub fn write(&mut self, stream: u8, position: u64, bytes: &[u8]) {
        let index = usize::from(stream == 2);
        let seen = self.positions.get(index).copied().unwrap_or_default();
        let skip = usize::try_from(seen.saturating_sub(position)).unwrap_or(usize::MAX);
        let Some(fresh) = bytes.get(skip..).filter(|fresh| !fresh.is_empty()) else { return };
        if let Some(seen) = self.positions.get_mut(index) {
            *seen = position.saturating_add(bytes.len() as u64);
        }
        self.tail.extend(fresh);
        let excess = self.tail.len().saturating_sub(MAX_TAIL);
        self.tail.drain(..excess);
        self.push_bytes(index, fresh);
    }

    /// A restore has taken the streams to other positions: what comes next is new, whatever its position.
    pub fn rewind(&mut self) {
        self.positions = [0; 2];
        self.partial = Default::default();
    }

    fn push_bytes(&mut self, index: usize, fresh: &[u8]) {
        let mut bytes = self.partial.get_mut(index).map(std::mem::take).unwrap_or_default();
        bytes.extend_from_slice(fresh);
        let mut text = String::new();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                }
                Err(error) => {
                    text.push_str(&String::from_utf8_lossy(
                        rest.get(..error.valid_up_to()).unwrap_or_default(),
                    ));
                    let bad = rest.get(error.valid_up_to()..).unwrap_or_default();
                    let Some(length) = error.error_len() else {
                        if let Some(partial) = self.partial.get_mut(index) {
                            *partial = bad.to_vec();
                        }
                        break;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = bad.get(length..).unwrap_or_default();
                }
            }
        }
        text.chars().for_each(|letter| self.push(letter, index == 1));
    }

    fn push(&mut self, letter: char, is_error: bool) {
        if letter == '\n' {
            if self.at_line_start || self.lines.is_empty() {
                self.start_line(is_error);
            }
            self.at_line_start = true;
            return;
        }
        let is_full = self.lines.back().is_none_or(|line| line.text.len() >= MAX_LINE);
        if self.at_line_start || is_full {
            self.start_line(is_error);
        }
        self.at_line_start = false;
        let Some(line) = self.lines.back_mut() else { return };
        match letter {
            '\t' => line.text.push_str("    "),
            '\r' => {}
            letter if letter.is_control() => line.text.push(char::REPLACEMENT_CHARACTER),
            letter => line.text.push(letter),
        }
        line.is_error |= is_error;
    }

    fn start_line(&mut self, is_error: bool) {
        self.lines.push_back(Line { text: String::new(), is_error });
        if self.lines.len() > MAX_LINES {
            self.lines.pop_front();
        }
        if self.back > 0 {
            self.back = (self.back + 1).min(self.lines.len());
        }
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The `height` lines to show.
    pub fn visible(&self, height: usize) -> impl Iterator<Item = &Line> {
        let end = self.lines.len().saturating_sub(self.back).max(height.min(self.lines.len()));
        self.lines.range(end.saturating_sub(height)..end)
    }

    /// The last `height` lines.
    pub fn last(&self, height: usize) -> impl Iterator<Item = &Line> {
        self.lines.range(self.lines.len().saturating_sub(height)..)
    }

    /// Scrolls by this many lines, back if negative, as far as there are any.
    pub fn scroll(&mut self, lines: isize, height: usize) {
        let most = self.lines.len().saturating_sub(height);
        self.back = self.back.saturating_add_signed(lines.saturating_neg()).min(most);
    }

    /// The last output as the program wrote it.
    pub fn tail(&self) -> Vec<u8> {
        self.tail.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(console: &Console) -> Vec<&str> {
        console.lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn output_that_was_seen_already_is_left_out() {
        let mut console = Console::default();
        console.write(1, 0, b"one\ntwo");
        console.write(1, 4, b"two\nthree\n");
        assert_eq!(texts(&console), ["one", "two", "three"]);
        assert_eq!(console.tail(), b"one\ntwo\nthree\n");
    }

    #[test]
    fn characters_cut_in_the_middle_are_joined_and_control_characters_shown_as_such() {
        let mut console = Console::default();
        console.write(1, 0, b"gr\xc3");
        console.write(1, 3, b"\xbcn \x1b[2J\xff\n\n.");
        assert_eq!(texts(&console), ["grün \u{fffd}[2J\u{fffd}", "", "."]);
    }

    #[test]
    fn scrolled_back_lines_stay_while_more_comes() {
        let mut console = Console::default();
        (0..50).for_each(|line| console.write(1, line * 3, format!("{line:02}\n").as_bytes()));
        console.scroll(-10, 5);
        let before: Vec<String> = console.visible(5).map(|line| line.text.clone()).collect();
        console.write(1, 150, b"50\n");
        let after: Vec<String> = console.visible(5).map(|line| line.text.clone()).collect();
        assert_eq!((before.clone(), before.len()), (after, 5));
    }
}
