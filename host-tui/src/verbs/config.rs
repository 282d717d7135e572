//! `flob config`: the config file as it would be if everything in it were said that is so by default.

use clap::Args;
use flob_session::Error;

use crate::cli::{Context, print};
use flob::tui::config;

/// Arguments of `config`.
#[derive(Args, Debug)]
pub struct Config {
    /// Say where the file is looked for instead
    #[arg(long)]
    path: bool,
}

impl Config {
    /// Prints it: to be put where `--path` says, and changed.
    pub fn run(self, _context: &Context) -> Result<u8, Error> {
        if self.path {
            let path = config::path();
            let path = path.ok_or_else(|| {
                Error::Environment("no XDG_CONFIG_HOME and no HOME to look for a config file".into())
            })?;
            print::line(&path.display().to_string())?;
        } else {
            print::line(config::sample().trim_end())?;
        }
        Ok(0)
    }
}
