//! The command line.

use alloc::format;
use alloc::string::String;

/// What is said about a wrong one.
pub const USAGE: &str =
    "usage: crowd [--spaces N] [--threads N] [--flobs N] [--one-hash 1] [--talk 1] [--walk 1]";

/// How many of what.
#[derive(Clone, Copy)]
pub struct Options {
    /// Spaces besides the first.
    pub spaces: u64,
    /// Threads that wait.
    pub threads: u64,
    /// Flobs that are just there.
    pub flobs: u64,
    /// Not 0: they all have the same hash.
    pub one_hash: u64,
    /// Not 0: one thread counts, and says so.
    pub talk: u64,
    /// Not 0: one thread walks over mutexes.
    pub walk: u64,
}

impl Options {
    /// Reads them.
    pub fn parse(mut rest: &[String]) -> Result<Self, String> {
        let mut options = Self { spaces: 2, threads: 20, flobs: 100, one_hash: 0, talk: 0, walk: 0 };
        while let [name, value, others @ ..] = rest {
            let field = match name.as_str() {
                "--spaces" => &mut options.spaces,
                "--threads" => &mut options.threads,
                "--flobs" => &mut options.flobs,
                "--one-hash" => &mut options.one_hash,
                "--talk" => &mut options.talk,
                "--walk" => &mut options.walk,
                other => return Err(format!("'{other}' is no option")),
            };
            *field = value.parse().map_err(|_| format!("{name} needs a number, not '{value}'"))?;
            rest = others;
        }
        if let [other] = rest {
            Err(format!("'{other}' is no option, or lacks its value"))
        } else {
            Ok(options)
        }
    }
}
