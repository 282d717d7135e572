//! The link log: one line a frame, for those who must find out what went over the wire.

use std::{
    fmt::{self, Debug, Write as _},
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
    time::Instant,
};

/// No line is longer: pages are not printed whole.
const MAX_LINE: usize = 240;

/// A line that takes no more than has room: what is cut off is not even put into words.
struct Line {
    text: String,
    /// Characters.
    left: usize,
}

impl fmt::Write for Line {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let end = part.char_indices().nth(self.left).map(|(end, _)| end);
        self.text.push_str(part.get(..end.unwrap_or(part.len())).unwrap_or_default());
        self.left -= part.chars().count().min(self.left);
        if end.is_some() { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Where frames are written down.
#[derive(Debug)]
pub struct Log {
    file: Option<BufWriter<File>>,
    start: Instant,
}

impl Log {
    /// None.
    pub fn none() -> Self {
        Self { file: None, start: Instant::now() }
    }

    /// Into this file, anew.
    pub fn to_file(path: &Path) -> std::io::Result<Self> {
        Ok(Self { file: Some(BufWriter::new(File::create(path)?)), start: Instant::now() })
    }

    /// Puts what was written where others see it: when nobody waits for that.
    pub fn flush(&mut self) {
        if let Some(file) = &mut self.file {
            let _ = file.flush();
        }
    }

    /// Writes a line; it is seen at the next [`Self::flush`], or before. `mark` says what kind: `>` to the guest, `<` from it, `!` something else.
    pub fn line(&mut self, mark: char, what: impl Debug) {
        let Some(file) = &mut self.file else { return };
        let mut line = Line { text: String::with_capacity(MAX_LINE), left: MAX_LINE };
        let whole = write!(line, "{what:?}");
        let (text, rest) = (line.text, if whole.is_ok() { "" } else { "…" });
        let elapsed = self.start.elapsed();
        let line = format!("{:>6}.{:03} {mark} {text}{rest}\n", elapsed.as_secs(), elapsed.subsec_millis());
        // A full disk must not stop the session.
        let _ = file.write_all(line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_and_a_short_one_is_whole() {
        let folder = std::env::temp_dir().join(format!("flob-link-log-{}", std::process::id()));
        let mut log = Log::to_file(&folder).expect("a file");
        log.line('>', "short");
        log.line('<', vec!["ä"; 1000]);
        log.flush();
        let text = std::fs::read_to_string(&folder).expect("what was written");
        std::fs::remove_file(&folder).expect("it is there");
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].ends_with("> \"short\""), "{text}");
        let (_, long) = lines[1].split_once("< ").expect("the mark");
        assert!(long.ends_with('…') && long.chars().count() == MAX_LINE + 1, "{long}");
    }
}
