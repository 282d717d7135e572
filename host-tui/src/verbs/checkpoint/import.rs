//! `flob checkpoint import`: a file made by `export`, into the store.

use std::path::PathBuf;

use clap::Args;
use flob_image::store::Store;
use flob_session::Error;
use serde_json::json;

use super::wait::Shown;
use crate::cli::print;

/// Arguments of `checkpoint import`.
#[derive(Args, Debug)]
pub struct Import {
    /// A file that `flob checkpoint export` made
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Import {
    /// Imports; prints the checkpoint's id.
    pub fn run(self) -> Result<u8, Error> {
        let store = Store::open_default()?;
        let mut shown = Shown::new();
        let imported = store.import(&self.file, &mut shown.progress())?;
        drop(shown);
        if self.json {
            print::json(&json!({ "id": imported.id, "was_there": imported.was_there }))?;
        } else {
            print::line(&imported.id)?;
            if imported.was_there {
                eprintln!("flob: {} was in the store already, and is sound", imported.id);
            }
        }
        Ok(0)
    }
}
