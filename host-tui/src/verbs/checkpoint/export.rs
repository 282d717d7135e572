//! `flob checkpoint export`: a checkpoint in one file; or one space of it as an ELF core, for plain gdb.

use std::path::PathBuf;

use clap::Args;
use flob_abi::FlobKind;
use flob_image::store::{Checkpoint, ExportOptions, Store};
use flob_session::Error;
use serde_json::json;

use super::{core_file::CoreFile, wait::Shown};
use crate::cli::{
    Context, complete, print,
    source::{Look, View},
};

/// Arguments of `checkpoint export`.
#[derive(Args, Debug)]
pub struct Export {
    /// Its id, the beginning of that, or its name
    #[arg(add = complete::checkpoints())]
    id: String,
    /// The file to make
    file: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    /// Leave the program's ELF out: a smaller file, but no symbols where it is imported
    #[arg(long)]
    without_program: bool,
    /// Write an ELF core file of a space instead: gdb opens it, with no guest
    #[arg(long, conflicts_with = "without_program")]
    core: bool,
    /// The space; the program's own if left out
    #[arg(long, requires = "core")]
    space: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Export {
    /// Exports; prints what was written.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let store = Store::open_default()?;
        let checkpoint = store.load(&self.id)?;
        if self.core { self.core_of(context, &store, &checkpoint) } else { self.whole(&checkpoint) }
    }

    fn whole(&self, checkpoint: &Checkpoint) -> Result<u8, Error> {
        let mut shown = Shown::new();
        let options = ExportOptions { replace: self.force, without_program: self.without_program };
        let bytes = checkpoint.export(&self.file, options, &mut shown.progress())?;
        drop(shown);
        let file = self.file.display().to_string();
        if self.json {
            print::json(&json!({ "id": checkpoint.id(), "file": file, "bytes": bytes }))?;
        } else {
            print::line(&format!("{} exported to {file}, {} KiB", checkpoint.id(), bytes.div_ceil(1024)))?;
        }
        Ok(0)
    }

    fn core_of(&self, context: &Context, store: &Store, checkpoint: &Checkpoint) -> Result<u8, Error> {
        let view = Look { at: Some(self.id.clone()), json: self.json }.open(context, true)?;
        let space = match &self.space {
            Some(name) => view.names.find_kind(name, FlobKind::Space)?,
            None => first_space(&view)?,
        };
        let core = CoreFile::new(checkpoint, space)?;
        let mut shown = Shown::new();
        let bytes = core.write(&self.file, self.force, &mut shown.progress())?;
        drop(shown);
        let program = store.program_file(&view.environment.build_id)?;
        let threads: Vec<String> = core.threads.iter().map(|place| view.names.flob(*place)).collect();
        if self.json {
            print::json(&json!({
                "id": checkpoint.id(),
                "file": self.file.display().to_string(),
                "bytes": bytes,
                "space": view.names.flob(space),
                "program": program.map(|file| file.display().to_string()),
                "threads": threads,
            }))?;
            return Ok(0);
        }
        for (thread, number) in threads.iter().zip(1..) {
            print::line(&format!("LWP {number}: {thread}"))?;
        }
        let program = program.map_or_else(String::new, |file| format!(" {}", file.display()));
        print::line(&format!("open it with: gdb{program} {}", self.file.display()))?;
        Ok(0)
    }
}

fn first_space(view: &View) -> Result<u64, Error> {
    let mut flobs = view.environment.flobs.iter();
    let space = flobs.find(|flob| flob.state.kind() == FlobKind::Space).map(|flob| flob.place);
    space.ok_or_else(|| Error::NotFound("the program has no space".into()))
}
