//! The command line.

use alloc::{format, string::String, vec::Vec};

/// What is to be done.
pub struct Options {
    /// Nanoseconds between two checkpoints.
    pub every: u64,
    /// How often the child is rolled back at most.
    pub limit: u32,
    /// The child and its arguments.
    pub program: Vec<String>,
}

const NANOSECONDS: u64 = 1_000_000;

impl Options {
    /// Reads them; the first argument is the nester's own name.
    pub fn parse(arguments: Vec<String>) -> Result<Self, String> {
        let mut options = Self { every: 1000 * NANOSECONDS, limit: 3, program: Vec::new() };
        let mut rest = arguments.into_iter().skip(1).peekable();
        while let Some(option) = rest.next_if(|argument| argument.starts_with("--")) {
            let wrong = || format!("'{option}' is no option with a number");
            match option.split_once('=').ok_or_else(wrong)? {
                ("--every", value) => {
                    let milliseconds: u64 =
                        value.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)?;
                    options.every = milliseconds.saturating_mul(NANOSECONDS);
                }
                ("--limit", value) => options.limit = value.parse().map_err(|_| wrong())?,
                _ => return Err(wrong()),
            }
        }
        options.program = rest.collect();
        if options.program.is_empty() { Err("no program was named".into()) } else { Ok(options) }
    }
}
