//! `flob checkpoint export`: a checkpoint in one file.

use std::path::PathBuf;

use clap::Args;
use flob_image::store::{ExportOptions, Store};
use flob_session::Error;
use serde_json::json;

use super::Shown;
use crate::cli::print;

/// Arguments of `checkpoint export`.
#[derive(Args, Debug)]
pub struct Export {
    /// Its id, the beginning of that, or its name
    id: String,
    /// The file to make
    file: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    /// Leave the program's ELF out: a smaller file, but no symbols where it is imported
    #[arg(long)]
    without_program: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Export {
    /// Exports; prints what was written.
    pub fn run(self) -> Result<u8, Error> {
        let checkpoint = Store::open_default()?.load(&self.id)?;
        let mut shown = Shown::new();
        let mut progress = |done, total| shown.update("exporting", done, total);
        let options = ExportOptions { replace: self.force, without_program: self.without_program };
        let bytes = checkpoint.export(&self.file, options, &mut progress)?;
        drop(shown);
        let file = self.file.display().to_string();
        if self.json {
            print::json(&json!({ "id": checkpoint.id(), "file": file, "bytes": bytes }))?;
        } else {
            print::line(&format!("{} exported to {file}, {} KiB", checkpoint.id(), bytes.div_ceil(1024)))?;
        }
        Ok(0)
    }
}
