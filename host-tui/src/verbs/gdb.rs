//! `flob gdb`: gdb on a session, connected, with `flob …` commands of its own.

use clap::Args;
use flob_session::Error;

use super::debuggers::{Debugger, Start};
use crate::cli::Context;

/// Arguments of `gdb`.
#[derive(Args, Debug)]
pub struct Gdb {
    #[command(flatten)]
    start: Start,
}

impl Gdb {
    /// Becomes gdb, or waits for it.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        self.start.run(Debugger::Gdb, context)
    }
}
