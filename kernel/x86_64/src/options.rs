//! Words of the command line that are for the kernel itself; the first program does not get them.
//!
//! ```text
//! kernel.amnesia=SEED,N    forgets everything derived at about every Nth kernel entry
//! kernel.torture=SEED,N    takes a thread out and puts it back at about every Nth kernel entry
//! kernel.defect=KIND       a defect when a program first waits for an interrupt: `panic` or `fault`
//! kernel.run=N             the number of this run, which no two have, so that an epoch of another is not taken for one of it; else the
//!                          time stamp is taken, which is the same each time where instructions are counted
//! ```

use crate::defect::Defect;
use crate::disturb::{Disturber, Kind};

const PREFIX: &[u8] = b"kernel.";

/// What they say.
pub struct Options {
    /// Whether and how to disturb.
    pub disturber: Disturber,
    /// Whether and how to fail.
    pub defect: Defect,
    /// The number of this run, if it is told.
    pub run: Option<u32>,
}

/// An option's name, what its value does (`None`: it is none), and what it takes.
type Row = (&'static [u8], fn(&mut Options, &[u8]) -> Option<()>, &'static str);

const OPTIONS: [Row; 4] = [
    (b"amnesia=", |o, v| disturb(o, Kind::Amnesia, v), "kernel.amnesia=SEED,N takes numbers, N at least 2"),
    (b"torture=", |o, v| disturb(o, Kind::Torture, v), "kernel.torture=SEED,N takes numbers, N at least 1"),
    (
        b"defect=",
        |o, v| Defect::from_name(v).map(|it| o.defect = it),
        "kernel.defect=KIND takes panic or fault",
    ),
    (
        b"run=",
        |o, v| str::from_utf8(v).ok()?.parse().ok().map(|it| o.run = Some(it)),
        "kernel.run=N takes 32 bits",
    ),
];

/// The words that are not for the kernel.
pub fn words_for_programs(command_line: &[u8]) -> impl Iterator<Item = &[u8]> {
    words(command_line).filter(|word| !word.starts_with(PREFIX))
}

/// Reads those that are, or says what is wrong with them.
pub fn read(command_line: &[u8]) -> Result<Options, &'static str> {
    let mut options = Options { disturber: Disturber::NEVER, defect: Defect::None, run: None };
    for word in words(command_line).filter_map(|word| word.strip_prefix(PREFIX)) {
        let known = OPTIONS.iter().find_map(|(name, set, what)| Some((word.strip_prefix(*name)?, set, what)));
        let (value, set, what) = known.ok_or("a word for the kernel that it does not know")?;
        set(&mut options, value).ok_or(*what)?;
    }
    Ok(options)
}

fn words(command_line: &[u8]) -> impl Iterator<Item = &[u8]> {
    command_line.split(|byte| *byte == b' ').filter(|word| !word.is_empty())
}

fn disturb(options: &mut Options, kind: Kind, value: &[u8]) -> Option<()> {
    let (seed, every) = str::from_utf8(value).ok()?.split_once(',')?;
    options.disturber = Disturber::new(kind, seed.parse().ok()?, every.parse().ok()?)?;
    Some(())
}
