//! `flob demo`: a bundled program in a deadlock, and a coach that says which key is next.

use clap::{Args, Parser};
use flob_session::Error;

use super::run::Run;
use crate::cli::Context;

/// What is run: it stands still until somebody frees a fork, and then goes on for a while.
const PROGRAM: [&str; 6] = ["demo", "philosophers", "4", "--deadlock", "--meals", "12"];

/// Arguments of `demo`: none.
#[derive(Args, Debug)]
pub struct Demo {}

/// `run`'s arguments as a command line of their own.
#[derive(Parser)]
struct Line {
    #[command(flatten)]
    run: Run,
}

impl Demo {
    /// Opens it.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let line = Line::try_parse_from(PROGRAM).map_err(|error| Error::Usage(error.to_string()))?;
        line.run.run_apart(context, true)
    }
}
