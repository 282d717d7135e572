//! Words of the command line that are for the kernel itself; the first program does not get them.
//!
//! ```text
//! kernel.amnesia=SEED,N    forgets everything derived at about every Nth kernel entry
//! kernel.defect=KIND       a defect when a program first waits for an interrupt: `panic` or `fault`
//! ```

use crate::amnesia::Amnesia;
use crate::defect::Defect;

const PREFIX: &[u8] = b"kernel.";
const AMNESIA: &[u8] = b"amnesia=";
const DEFECT: &[u8] = b"defect=";

/// What they say.
pub struct Options {
    /// Whether and when to forget.
    pub amnesia: Amnesia,
    /// Whether and how to fail.
    pub defect: Defect,
}

/// The words that are not for the kernel.
pub fn words_for_programs(command_line: &[u8]) -> impl Iterator<Item = &[u8]> {
    words(command_line).filter(|word| !word.starts_with(PREFIX))
}

/// Reads those that are, or says what is wrong with them.
pub fn read(command_line: &[u8]) -> Result<Options, &'static str> {
    let mut options = Options { amnesia: Amnesia::NEVER, defect: Defect::None };
    for option in words(command_line).filter_map(|word| word.strip_prefix(PREFIX)) {
        if let Some(value) = option.strip_prefix(AMNESIA) {
            options.amnesia =
                amnesia(value).ok_or("kernel.amnesia=SEED,N takes two numbers, the second at least 2")?;
        } else if let Some(value) = option.strip_prefix(DEFECT) {
            options.defect = Defect::from_name(value).ok_or("kernel.defect=KIND takes panic or fault")?;
        } else {
            return Err("a word for the kernel that it does not know");
        }
    }
    Ok(options)
}

fn words(command_line: &[u8]) -> impl Iterator<Item = &[u8]> {
    command_line.split(|byte| *byte == b' ').filter(|word| !word.is_empty())
}

fn amnesia(value: &[u8]) -> Option<Amnesia> {
    let (seed, every) = core::str::from_utf8(value).ok()?.split_once(',')?;
    let every = every.parse().ok().filter(|every| *every >= 2)?;
    Some(Amnesia::new(seed.parse().ok()?, every))
}
