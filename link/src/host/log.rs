//! The link log: one line a frame, for those who must find out what went over the wire.

use std::{fmt::Debug, fs::File, io::Write, path::Path, time::Instant};

/// No line is longer: pages are not printed whole.
const MAX_LINE: usize = 240;

/// Where frames are written down.
#[derive(Debug)]
pub struct Log {
    file: Option<File>,
    start: Instant,
}

impl Log {
    /// None.
    pub fn none() -> Self {
        Self { file: None, start: Instant::now() }
    }

    /// Into this file, anew.
    pub fn to_file(path: &Path) -> std::io::Result<Self> {
        Ok(Self { file: Some(File::create(path)?), start: Instant::now() })
    }

    /// Writes a line. `mark` says what kind: `>` to the guest, `<` from it, `!` something else.
    pub fn line(&mut self, mark: char, what: impl Debug) {
        let Some(file) = &mut self.file else { return };
        let mut text = format!("{what:?}");
        if let Some((cut, _)) = text.char_indices().nth(MAX_LINE) {
            text.truncate(cut);
            text.push('…');
        }
        let elapsed = self.start.elapsed();
        // A full disk must not stop the session.
        let _ = writeln!(file, "{:>6}.{:03} {mark} {text}", elapsed.as_secs(), elapsed.subsec_millis());
    }
}
