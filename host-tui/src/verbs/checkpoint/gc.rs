//! `flob checkpoint gc`.

use clap::Args;
use flob_image::store::Store;
use flob_session::Error;

use crate::cli::print;

/// Arguments of `checkpoint gc`: none.
#[derive(Args, Debug)]
pub struct Gc {}

impl Gc {
    /// Frees what no checkpoint needs.
    pub fn run(self) -> Result<u8, Error> {
        let freed = Store::open_default()?.gc()?;
        print::line(&format!("{} files removed, {} KiB freed", freed.files, freed.bytes / 1024))?;
        Ok(0)
    }
}
