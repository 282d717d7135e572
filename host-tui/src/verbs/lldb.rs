//! `flob lldb`: lldb on a session, connected.

use clap::Args;
use flob_session::Error;

use super::debuggers::{Debugger, Start};
use crate::cli::Context;

/// Arguments of `lldb`.
#[derive(Args, Debug)]
pub struct Lldb {
    #[command(flatten)]
    start: Start,
}

impl Lldb {
    /// Becomes lldb, or waits for it.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        self.start.run(Debugger::Lldb, context)
    }
}
