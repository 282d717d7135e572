//! `flob boot-files`: what a machine is started with, as files, for `./flob debug-kernel`.

use std::{fs, path::PathBuf};

use clap::Args;
use flob_session::{
    Error,
    boot::{
        archive,
        arguments::{Beginning, Disturbance, Stack, command_line},
    },
};

use crate::{cli::Context, guest};

/// Writes `kernel`, `archive` and `command-line` into a folder.
#[derive(Debug, Args)]
pub struct BootFiles {
    /// Where to
    folder: PathBuf,
    /// A bundled program's name, or the path of an ELF
    program: String,
    /// Arguments of the program
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl BootFiles {
    /// Writes them.
    pub fn run(self, _context: &Context) -> Result<u8, Error> {
        let program = guest::find(&self.program)?;
        let software = guest::software([&program]);
        let stack = Stack { program: &program.name, arguments: &self.arguments, ..Stack::default() };
        let line = command_line(Beginning::Run, Disturbance::default(), stack)?;
        let files = [
            ("kernel", software.kernel),
            ("archive", archive::build(&software.programs)?),
            ("command-line", line.into_bytes()),
        ];
        for (name, contents) in files {
            let path = self.folder.join(name);
            let written = fs::write(&path, contents);
            written.map_err(|error| Error::io(format!("writing {}", path.display()), error))?;
        }
        Ok(0)
    }
}
