//! The command line.

use alloc::format;
use alloc::string::String;

/// What is said about a wrong one.
pub const USAGE: &str = "usage: random SEED [--rounds N] [--depth N]";

/// Most rounds, and most children within each other.
const MOST: u64 = 1_000_000;
const DEEPEST: u64 = 4;

/// What is to be done.
#[derive(Clone, Copy)]
pub struct Options {
    /// Of all random choices.
    pub seed: u64,
    /// Rounds of each work.
    pub rounds: u64,
    /// Children within each other.
    pub depth: u64,
}

impl Options {
    /// Reads them.
    pub fn parse(arguments: &[String]) -> Result<Self, String> {
        let Some((seed, mut rest)) = arguments.split_first() else { return Err("a seed is missing".into()) };
        let seed = seed.parse().map_err(|_| format!("'{seed}' is no seed: a number is needed"))?;
        let mut options = Self { seed, rounds: 6, depth: 2 };
        while let [name, value, others @ ..] = rest {
            let (field, most) = match name.as_str() {
                "--rounds" => (&mut options.rounds, MOST),
                "--depth" => (&mut options.depth, DEEPEST),
                other => return Err(format!("'{other}' is no option")),
            };
            let number = value.parse().ok().filter(|number| *number <= most);
            *field = number.ok_or_else(|| format!("{name} needs a number up to {most}, not '{value}'"))?;
            rest = others;
        }
        if let [other] = rest {
            Err(format!("'{other}' is no option, or lacks its value"))
        } else {
            Ok(options)
        }
    }
}
