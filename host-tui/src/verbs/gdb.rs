//! `flob gdb`: gdb on a session, connected.

use std::{os::unix::process::CommandExt, process::Command};

use clap::Args;
use flob_session::{Client, Error};

use crate::cli::Context;

/// Arguments of `gdb`.
#[derive(Args, Debug)]
pub struct Gdb {
    /// Arguments for gdb itself
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Gdb {
    /// Becomes gdb. Returns only on an error.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let info = Client::connect(context.session.as_deref())?.info()?;
        let socket =
            info.gdb_socket.ok_or_else(|| Error::NotFound("this session has no gdb server".into()))?;
        let mut command = Command::new("gdb");
        command.arg("-q");
        if let Some(elf) = info.elf {
            command.arg(elf);
        }
        let error =
            command.arg("-ex").arg(format!("target remote {}", socket.display())).args(self.arguments).exec();
        if error.kind() == std::io::ErrorKind::NotFound {
            return Err(Error::Environment("gdb was not found: install it (Debian: apt install gdb)".into()));
        }
        Err(Error::io("starting gdb", error))
    }
}
