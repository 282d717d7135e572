//! `flob completions`: the script that makes a shell ask flob what Tab completes (see [`complete`]).

use std::io::Write;

use clap::Args;
use clap_complete::{Shell, env::Shells};
use flob_session::Error;

use crate::cli::{Context, complete};

/// Arguments of `completions`.
#[derive(Args, Debug)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// Prints the script for the shell.
    pub fn run(self, _context: &Context) -> Result<u8, Error> {
        let (name, shells) = (self.shell.to_string(), Shells::builtins());
        let shell =
            shells.completer(&name).ok_or_else(|| Error::Internal(format!("no scripts for {name}")))?;
        let flob = std::env::current_exe().map_err(|error| Error::io("finding flob itself", error))?;
        let mut script = Vec::new();
        let written = shell.write_registration(
            complete::VARIABLE,
            "flob",
            "flob",
            &flob.to_string_lossy(),
            &mut script,
        );
        let written = written.and_then(|()| std::io::stdout().write_all(&script));
        written.map_err(|error| Error::io("writing the script", error))?;
        Ok(0)
    }
}
