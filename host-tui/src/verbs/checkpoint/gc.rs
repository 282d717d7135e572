//! `flob checkpoint gc`.

use clap::Args;
use flob_image::store::Store;
use flob_session::Error;
use serde_json::json;

use super::wait::Shown;
use crate::cli::print;

/// Arguments of `checkpoint gc`.
#[derive(Args, Debug)]
pub struct Gc {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Gc {
    /// Frees what no checkpoint needs.
    pub fn run(self) -> Result<u8, Error> {
        let store = Store::open_default()?;
        let mut shown = Shown::new();
        let freed = store.gc_with(&mut shown.progress())?;
        drop(shown);
        if self.json {
            print::json(&json!({ "files": freed.files, "bytes": freed.bytes }))?;
            return Ok(0);
        }
        print::line(&format!("{} files removed, {} KiB freed", freed.files, freed.bytes / 1024))?;
        Ok(0)
    }
}
