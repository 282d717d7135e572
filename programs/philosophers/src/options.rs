//! The command line.

use alloc::format;
use alloc::string::String;

/// Most philosophers at the table.
pub const MAX_PHILOSOPHERS: usize = 32;

/// Said after what is wrong with the command line.
pub const USAGE: &str = "usage: philosophers [N] [--meals M] [--deadlock] [--pace MS]";

/// What the command line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many sit at the table.
    pub philosophers: usize,
    /// How many meals each has.
    pub meals: u64,
    /// Whether all take the left fork first, once.
    pub deadlock: bool,
    /// Milliseconds that a meal takes, and the thinking after it.
    pub pace: u64,
}

impl Options {
    /// Reads the arguments after the program's name.
    pub fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self { philosophers: 5, meals: 10, deadlock: false, pace: 100 };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--deadlock" => options.deadlock = true,
                "--meals" => options.meals = number(argument, arguments.next())?,
                "--pace" => options.pace = number(argument, arguments.next())?,
                count => options.philosophers = philosophers(count)?,
            }
        }
        Ok(options)
    }
}

fn number(option: &str, value: Option<&String>) -> Result<u64, String> {
    let value = value.ok_or_else(|| format!("{option} needs a number"))?;
    value.parse().map_err(|_| format!("{option} needs a number, not '{value}'"))
}

fn philosophers(count: &str) -> Result<usize, String> {
    match count.parse() {
        Ok(count @ 2..=MAX_PHILOSOPHERS) => Ok(count),
        Ok(_) => Err(format!("there are seats for 2 to {MAX_PHILOSOPHERS} philosophers, not {count}")),
        Err(_) => Err(format!("'{count}' is neither an option nor a number of philosophers")),
    }
}
