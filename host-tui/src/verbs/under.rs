//! The stack of nesters that a program runs under (`flob run --under …`).

use clap::{Args, ValueEnum};
use flob_session::Error;

/// Nesters, and what they are told.
#[derive(Args, Clone, Debug, Default)]
pub struct Under {
    /// Run the program under this nester too; can be repeated, the outermost first. Without the debugger's own among them
    /// that is the outermost
    #[arg(long, value_name = "NESTER")]
    under: Vec<Nester>,
    /// Milliseconds between two checkpoints of a `checkpointer` (1000 unless it is said)
    #[arg(long, value_name = "MS", requires = "under", value_parser = clap::value_parser!(u64).range(1..))]
    every: Option<u64>,
    /// How often a `checkpointer` rolls its child back before it gives up (3 unless it is said)
    #[arg(long, value_name = "N", requires = "under")]
    limit: Option<u32>,
}

/// A nester that can be stacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Nester {
    /// Saves its child again and again, and rolls it back when it dies; two checkpoints stay in the guest, which leaves the child a third of the memory
    Checkpointer,
    /// The debugger's
    DebuggerNester,
}

/// The file of the checkpointer in the guest.
pub const CHECKPOINTER: &str = "checkpointer";

impl Nester {
    const fn name(self) -> &'static str {
        match self {
            Self::Checkpointer => CHECKPOINTER,
            Self::DebuggerNester => "debugger-nester",
        }
    }
}

impl Under {
    /// Command lines of the nesters above the debugger's, and of those below, as one each: a nester's name and options,
    /// then those of the next.
    pub fn around_the_debugger(&self) -> Result<(Vec<String>, Vec<String>), Error> {
        let mut parts = self.under.split(|nester| *nester == Nester::DebuggerNester);
        match (parts.next(), parts.next(), parts.next()) {
            (Some(below), None, _) => Ok((Vec::new(), self.words(below))),
            (Some(above), Some(below), None) => Ok((self.words(above), self.words(below))),
            _ => Err(Error::Usage(
                "'--under debugger-nester' can be said once: one debugger has the line".into(),
            )),
        }
    }

    fn words(&self, nesters: &[Nester]) -> Vec<String> {
        let every = self.every.map(|every| format!("--every={every}"));
        let limit = self.limit.map(|limit| format!("--limit={limit}"));
        let words = |nester: &Nester| {
            [Some(nester.name().to_owned()), every.clone(), limit.clone()]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
        };
        nesters.iter().flat_map(words).collect()
    }

    /// The arguments that say the same.
    pub fn to_arguments(&self) -> Vec<(&'static str, String)> {
        let nesters = self.under.iter().map(|nester| ("--under", nester.name().to_owned()));
        let every = self.every.map(|every| ("--every", every.to_string()));
        let limit = self.limit.map(|limit| ("--limit", limit.to_string()));
        nesters.chain(every).chain(limit).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn under(nesters: &[Nester]) -> Under {
        Under { under: nesters.to_vec(), every: Some(5), limit: None }
    }

    #[test]
    fn without_the_debugger_s_own_among_them_all_are_below_it() {
        let (above, below) = under(&[Nester::Checkpointer; 2]).around_the_debugger().expect("a stack");
        assert!(above.is_empty());
        assert_eq!(below, ["checkpointer", "--every=5", "checkpointer", "--every=5"]);
    }

    #[test]
    fn those_before_the_debugger_s_own_are_above_it() {
        let nesters = [Nester::Checkpointer, Nester::DebuggerNester];
        let (above, below) = under(&nesters).around_the_debugger().expect("a stack");
        assert_eq!(
            (above.as_slice(), below.as_slice()),
            (&["checkpointer".into(), "--every=5".into()][..], &[][..])
        );
        assert!(under(&[Nester::DebuggerNester; 2]).around_the_debugger().is_err());
    }
}
