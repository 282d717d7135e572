//! `flob checkpoint`: the store, a file a verb.

mod core_file;
pub mod diff;
mod direct;
mod edit;
mod export;
mod fetch;
mod gc;
mod import;
mod list;
mod restore;
mod rm;
mod save;
mod show;
mod verify;
pub mod wait;

use clap::{Args, Subcommand};
use flob_session::Error;

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
    /// Wait until all memory of a checkpoint that was restored with --lazy is there
    Fetch(fetch::Fetch),
    /// Write a checkpoint into one file, to keep elsewhere or give away; or --core: a space of it for plain gdb
    Export(export::Export),
    /// Take a checkpoint from a file that export made
    Import(import::Import),
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
            Verb::Fetch(verb) => verb.run(context),
            Verb::Export(verb) => verb.run(context),
            Verb::Import(verb) => verb.run(),
            Verb::Rm(verb) => verb.run(),
            Verb::Gc(verb) => verb.run(),
        }
    }
}
