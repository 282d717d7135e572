//! `flob checkpoint rm`.

use clap::Args;
use flob_image::store::Store;
use flob_session::Error;
use serde_json::json;

use crate::cli::{complete, print};

/// Arguments of `checkpoint rm`.
#[derive(Args, Debug)]
pub struct Rm {
    /// Ids, beginnings of ids, or names
    #[arg(required = true, add = complete::checkpoints())]
    ids: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Rm {
    /// Removes them, and frees what only they needed.
    pub fn run(self) -> Result<u8, Error> {
        let store = Store::open_default()?;
        let mut removed = Vec::new();
        for id in &self.ids {
            let full = store.resolve(id)?;
            let freed = store.remove(id)?;
            removed.push(json!({ "id": full, "files": freed.files, "bytes": freed.bytes }));
            if self.json {
                continue;
            }
            print::line(&format!("{id} removed, {} KiB freed", freed.bytes / 1024))?;
        }
        if self.json {
            print::json(&removed.into())?;
        }
        Ok(0)
    }
}
