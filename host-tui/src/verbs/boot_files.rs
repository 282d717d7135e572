//! `flob boot-files`: what a machine is started with, as files: for `./flob debug-kernel`, and for guests that flob does not start.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use flob_session::{
    Error,
    boot::{
        archive,
        arguments::{Beginning, Disturbance, Stack, command_line},
    },
};

use crate::{
    cli::{Context, print},
    guest,
};

/// Writes `kernel`, `archive` and `command-line` into a folder, and says how an emulator is started with them.
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
        let failed = |path: &Path, error| Error::io(format!("writing {}", path.display()), error);
        fs::create_dir_all(&self.folder).map_err(|error| failed(&self.folder, error))?;
        for (name, contents) in files {
            let path = self.folder.join(name);
            fs::write(&path, contents).map_err(|error| failed(&path, error))?;
        }
        let folder = self.folder.display();
        print::line(&format!(
            "qemu-system-x86_64 -m 256 -nodefaults -display none -serial pty \\\n  \
             -kernel {folder}/kernel -initrd {folder}/archive -append \"$(cat {folder}/command-line)\""
        ))?;
        Ok(0)
    }
}
