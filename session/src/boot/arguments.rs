//! The machine's command line, as [`flob_abi::command_line`] describes it.

use flob_abi::command_line::is_plain;

use crate::Error;

/// The kernel takes no more.
const MAX_COMMAND_LINE: usize = 32 * 1024 - 16;

/// How the debugger nester begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// The program runs at once.
    Run,
    /// The program is loaded, its first thread stopped.
    Paused,
    /// Nothing is loaded: a restore follows.
    Restore,
}

/// The command line for this program and its arguments (without its name).
pub fn command_line(beginning: Beginning, program: &str, arguments: &[String]) -> Result<String, Error> {
    let option = match beginning {
        Beginning::Run => None,
        Beginning::Paused => Some("--paused"),
        Beginning::Restore => Some("--restore"),
    };
    let words = std::iter::once("debugger-nester").chain(option).map(str::to_owned);
    let rest = std::iter::once(program).chain(arguments.iter().map(String::as_str)).map(encode);
    let line = words.chain(rest).collect::<Vec<_>>().join(" ");
    if line.len() > MAX_COMMAND_LINE {
        return Err(Error::Usage("the arguments are too long: about 32 KB reach the guest".into()));
    }
    Ok(line)
}

fn encode(argument: &str) -> String {
    if argument.is_empty() {
        return "%".into();
    }
    let byte = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") };
    argument.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_with_spaces_and_signs_arrive_as_they_were() {
        for argument in ["", "plain", "two words", "50%", "%20", "tab\tand\nline", "Grüße", "%"] {
            let word = encode(argument);
            assert!(!word.is_empty() && !word.contains(char::is_whitespace), "{word}");
            let decoded: Vec<u8> = flob_abi::command_line::decode(word.as_bytes()).collect();
            assert_eq!(decoded, argument.as_bytes());
        }
    }
}
