//! Words of the command line that are for the kernel itself; the first program does not get them.
//!
//! ```text
//! kernel.amnesia=SEED,N    forgets everything derived at about every Nth kernel entry
//! kernel.torture=SEED,N    takes a thread out and puts it back at about every Nth kernel entry
//! kernel.defect=KIND       a defect when a program first waits for an interrupt: `panic` or `fault`
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
}

/// An option's name, and what its value does.
type Row = (&'static [u8], fn(&mut Options, &[u8]) -> Result<(), &'static str>);

const OPTIONS: [Row; 3] = [
    (b"amnesia=", |options, value| {
        options.disturber = disturber(Kind::Amnesia, value)
            .ok_or("kernel.amnesia=SEED,N takes two numbers, the second at least 2")?;
        Ok(())
    }),
    (b"torture=", |options, value| {
        options.disturber = disturber(Kind::Torture, value)
            .ok_or("kernel.torture=SEED,N takes two numbers, the second at least 1")?;
        Ok(())
    }),
    (b"defect=", |options, value| {
        options.defect = Defect::from_name(value).ok_or("kernel.defect=KIND takes panic or fault")?;
        Ok(())
    }),
];

/// The words that are not for the kernel.
pub fn words_for_programs(command_line: &[u8]) -> impl Iterator<Item = &[u8]> {
    words(command_line).filter(|word| !word.starts_with(PREFIX))
}

/// Reads those that are, or says what is wrong with them.
pub fn read(command_line: &[u8]) -> Result<Options, &'static str> {
    let mut options = Options { disturber: Disturber::NEVER, defect: Defect::None };
    for word in words(command_line).filter_map(|word| word.strip_prefix(PREFIX)) {
        let known = OPTIONS.iter().find_map(|(name, read)| Some((word.strip_prefix(*name)?, read)));
        let (value, read) = known.ok_or("a word for the kernel that it does not know")?;
        read(&mut options, value)?;
    }
    Ok(options)
}

fn words(command_line: &[u8]) -> impl Iterator<Item = &[u8]> {
    command_line.split(|byte| *byte == b' ').filter(|word| !word.is_empty())
}

fn disturber(kind: Kind, value: &[u8]) -> Option<Disturber> {
    let (seed, every) = core::str::from_utf8(value).ok()?.split_once(',')?;
    Disturber::new(kind, seed.parse().ok()?, every.parse().ok()?)
}
