//! `flob stop`: ends a session.

use clap::Args;
use flob_session::{Client, Error, HubEvent, HubRequest};

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
        for event in events {
            if let HubEvent::Finishing = event {
                eprintln!(
                    "flob: the session ends as soon as what was asked of it is done: a save is being written"
                );
            }
        }
        Ok(0)
    }
}
