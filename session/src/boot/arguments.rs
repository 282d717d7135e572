//! The machine's command line, as [`flob_abi::command_line`] describes it.

use std::hash::{BuildHasher, Hasher, RandomState};

use flob_abi::command_line::is_plain;

use crate::Error;

/// The kernel takes no more, with the number of the run.
const MAX_COMMAND_LINE: usize = 32 * 1024 - 48;

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

/// How a run is disturbed, to show that its program cannot tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disturbance {
    /// Of all random choices.
    pub seed: u64,
    /// What is done to the threads.
    pub torture: Option<Torture>,
    /// The kernel forgets what is derived at about every so many entries; at least 2.
    pub amnesia: Option<u64>,
}

/// What is taken out of the kernel and put back, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Torture {
    /// Threads.
    Small,
    /// The whole environment.
    Large,
    /// A thread at every kernel entry, by the kernel itself; not together with amnesia.
    Entries,
}

impl Disturbance {
    /// For the kernel and for the nester.
    fn words(self) -> [Option<String>; 2] {
        let kernel = self.amnesia.map(|every| format!("kernel.amnesia={},{every}", self.seed));
        let size = match self.torture {
            None => return [kernel, None],
            Some(Torture::Entries) => return [Some(format!("kernel.torture={},1", self.seed)), None],
            Some(Torture::Small) => "small",
            Some(Torture::Large) => "large",
        };
        [kernel, Some(format!("--torture={size},{}", self.seed))]
    }
}

/// Who runs under whom.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stack<'a> {
    /// Names and options of the nesters above the debugger's, one after the other.
    pub above: &'a [String],
    /// What the debugger's nester runs.
    pub program: &'a str,
    /// Arguments of that, without its name.
    pub arguments: &'a [String],
}

/// The command line for this stack.
pub fn command_line(
    beginning: Beginning,
    disturbance: Disturbance,
    stack: Stack<'_>,
) -> Result<String, Error> {
    let option = match beginning {
        Beginning::Run => None,
        Beginning::Paused => Some("--paused"),
        Beginning::Restore => Some("--restore"),
    };
    let [for_kernel, for_nester] = disturbance.words();
    let nester = std::iter::once("debugger-nester").chain(option).map(str::to_owned);
    let above = stack.above.iter().map(|word| encode(word));
    let words = for_kernel.into_iter().chain(above).chain(nester).chain(for_nester);
    let rest = std::iter::once(stack.program).chain(stack.arguments.iter().map(String::as_str)).map(encode);
    let line = words.chain(rest).collect::<Vec<_>>().join(" ");
    if line.len() > MAX_COMMAND_LINE {
        return Err(Error::Usage("the arguments are too long: about 32 KB reach the guest".into()));
    }
    Ok(line)
}

/// A word that gives the kernel a number that no other run has: what a program remembers of an earlier run, or an image of it does,
/// is then not taken for this one's. Always as long, so that runs whose instructions are counted are the same.
pub fn run_word() -> String {
    format!("kernel.run={:010}", RandomState::new().build_hasher().finish() as u32)
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
    fn the_kernel_s_words_come_first_and_the_nester_s_before_the_program() {
        let (one, above) = (["a b".to_owned()], ["checkpointer".to_owned(), "--every=5".to_owned()]);
        let plain = Stack { program: "p", ..Stack::default() };
        let stack = Stack { arguments: &one, ..plain };
        let disturbance = Disturbance { seed: 7, torture: Some(Torture::Small), amnesia: Some(50) };
        let line = command_line(Beginning::Paused, disturbance, stack).expect("short enough");
        assert_eq!(line, "kernel.amnesia=7,50 debugger-nester --paused --torture=small,7 p a%20b");
        let disturbance = Disturbance { seed: 7, torture: Some(Torture::Entries), amnesia: None };
        let line = command_line(Beginning::Run, disturbance, plain).expect("short enough");
        assert_eq!(line, "kernel.torture=7,1 debugger-nester p");
        let line = command_line(Beginning::Run, Disturbance::default(), plain).expect("short enough");
        assert_eq!(line, "debugger-nester p");
        let stack = Stack { above: &above, ..plain };
        let line = command_line(Beginning::Run, Disturbance::default(), stack).expect("short enough");
        assert_eq!(line, "checkpointer --every=5 debugger-nester p");
    }

    #[test]
    fn each_run_has_a_number_of_its_own_in_a_word_as_long_as_any() {
        let words = [(); 8].map(|()| run_word());
        assert!(words.iter().all(|word| word.len() == "kernel.run=4294967295".len()), "{words:?}");
        // One of 2^32 twice among 8 would be a wonder, all of them the same is a constant.
        assert!(words.iter().any(|word| *word != words[0]), "{words:?}");
    }

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
