//! `flob stop`: ends a session.

use clap::Args;
use flob_session::{Client, Error, HubRequest};

use crate::cli::Context;

/// Takes no arguments.
#[derive(Args, Debug)]
pub struct Stop {}

impl Stop {
    /// Ends the session and waits until it has ended.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let client = Client::connect(context.session.as_deref())?;
        let events = client.subscribe()?;
        client.request(HubRequest::Shutdown)?;
        // They end with the session.
        events.iter().for_each(drop);
        Ok(0)
    }
}
