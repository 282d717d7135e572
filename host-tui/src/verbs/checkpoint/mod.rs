//! `flob checkpoint`: the store, a file a verb.

mod diff;
mod direct;
mod edit;
mod gc;
mod list;
mod restore;
mod rm;
mod save;
mod show;
mod verify;

use std::io::IsTerminal;

use clap::{Args, Subcommand};
use flob_session::{Error, HubReply, Pending};

use crate::cli::Context;

/// Arguments of `checkpoint`.
#[derive(Args, Debug)]
pub struct Checkpoint {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Save the session's environment; prints the checkpoint's id
    Save(save::Save),
    /// List all checkpoints as a tree
    List(list::List),
    /// Show what a checkpoint holds, and whether it is sound
    Show(show::Show),
    /// Show what changed from one checkpoint to another: flobs, fields, links, memory
    Diff(diff::Diff),
    /// Verify checkpoints: every byte, and whether they can be restored
    Verify(verify::Verify),
    /// Edit a checkpoint in $EDITOR, or by --set and --poke; what comes of it is a new checkpoint
    Edit(edit::Edit),
    /// Put a checkpoint in the place of the session's environment, paused
    Restore(restore::Restore),
    /// Remove checkpoints
    Rm(rm::Rm),
    /// Free what no checkpoint needs
    Gc(gc::Gc),
}

impl Checkpoint {
    /// Does what the verb says.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        match self.verb {
            Verb::Save(verb) => verb.run(context),
            Verb::List(verb) => verb.run(),
            Verb::Show(verb) => verb.run(),
            Verb::Diff(verb) => verb.run(context),
            Verb::Verify(verb) => verb.run(),
            Verb::Edit(verb) => verb.run(context),
            Verb::Restore(verb) => verb.run(context),
            Verb::Rm(verb) => verb.run(),
            Verb::Gc(verb) => verb.run(),
        }
    }
}

/// Waits for a save or restore, showing on a terminal how far it is; the checkpoint's id.
fn wait(pending: Pending) -> Result<String, Error> {
    let shown = std::io::stderr().is_terminal();
    let start = std::time::Instant::now();
    let reply = pending.wait_with(|phase, done, total| {
        if shown {
            let seconds = start.elapsed().as_secs_f64().max(0.001);
            let rate = done as f64 * 4.0 / 1024.0 / seconds;
            eprint!("\r\x1b[K{phase} {done}/{total} {rate:.1} MiB/s");
        }
    });
    if shown {
        eprint!("\r\x1b[K");
    }
    match reply? {
        HubReply::Checkpoint(id) => Ok(id),
        other => Err(Error::Internal(format!("the hub answered with {other:?}"))),
    }
}
