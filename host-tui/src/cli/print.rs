//! How verbs print: lines, tables, JSON. A reader that has gone away ends the output quietly.

use std::io::{self, Write};

use flob_session::Error;
use serde_json::Value as Json;

/// Prints a text as it is.
pub fn text(text: &str) -> Result<(), Error> {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::io("writing the output", error))
        }
        _ => Ok(()),
    }
}

/// Prints a line.
pub fn line(line: &str) -> Result<(), Error> {
    text(&format!("{line}\n"))
}

/// Prints JSON, for people and programs alike.
pub fn json(value: &Json) -> Result<(), Error> {
    line(&format!("{value:#}"))
}

/// Prints rows in columns as wide as they need to be; the first row is the heading.
pub fn table(rows: &[Vec<String>]) -> Result<(), Error> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        out += cells.collect::<Vec<_>>().join("  ").trim_end();
        out.push('\n');
    }
    text(&out)
}
