//! `flob checkpoint fetch`.

use clap::Args;
use flob_session::{Client, Error, LongRequest};
use serde_json::json;

use crate::cli::{Context, print};

/// Arguments of `checkpoint fetch`.
#[derive(Args, Debug)]
pub struct Fetch {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Fetch {
    /// Waits. Whoever interrupts it ends the wait, and nothing else.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let client = Client::connect(context.session.as_deref())?;
        super::wait::reply(client.start(LongRequest::AwaitPages)?)?;
        if self.json {
            print::json(&json!({ "missing": 0 }))?;
        } else {
            print::line("all memory is there")?;
        }
        Ok(0)
    }
}
