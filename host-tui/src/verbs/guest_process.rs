//! `flob guest-process`: the process that becomes the emulator, tied to its hub. For flob's own use.

use std::ffi::OsString;

use clap::Args;
use flob_session::{Error, boot::qemu};

use crate::cli::Context;

/// See [`qemu::become_guest`].
#[derive(Debug, Args)]
pub struct GuestProcess {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl GuestProcess {
    /// Becomes the emulator.
    pub fn run(self, _context: &Context) -> Result<u8, Error> {
        Err(qemu::become_guest(&self.arguments))
    }
}
