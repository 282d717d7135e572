//! `flob checkpoint rm`.

use clap::Args;
use flob_image::store::Store;
use flob_session::Error;

use crate::cli::print;

/// Arguments of `checkpoint rm`.
#[derive(Args, Debug)]
pub struct Rm {
    /// Ids, beginnings of ids, or names
    #[arg(required = true)]
    ids: Vec<String>,
}

impl Rm {
    /// Removes them, and frees what only they needed.
    pub fn run(self) -> Result<u8, Error> {
        let store = Store::open_default()?;
        for id in &self.ids {
            let freed = store.remove(id)?;
            print::line(&format!("{id} removed, {} KiB freed", freed.bytes / 1024))?;
        }
        Ok(0)
    }
}
