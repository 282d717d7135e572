//! `flob undo`: takes the last edit, poke or restore of a session back.

use clap::Args;
use flob_image::store::Store;
use flob_link::Scope;
use flob_session::{Client, Error, HubRequest, LongRequest, Owner};
use serde_json::json;

use super::checkpoint::wait::wait;
use crate::cli::{Context, print};

/// Arguments of `undo`.
#[derive(Args, Debug)]
pub struct Undo {
    /// Let it run at once
    #[arg(long)]
    resume: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Undo {
    /// Restores what was before it; held, unless it shall run.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let client = Client::connect(context.session.as_deref())?;
        let id = wait(client.start(LongRequest::Undo)?)?;
        if self.resume {
            let (owner, scope) = (Owner::User, Scope::Environment);
            client.request(HubRequest::Release { owner, scope, force: false })?;
        }
        let name = Store::open_default()?.load(&id)?.name().unwrap_or_default().to_owned();
        let what = name.strip_prefix("before ").unwrap_or(&name);
        if self.json {
            print::json(&json!({ "undone": what, "checkpoint": id, "held": !self.resume }))?;
        } else {
            let state = if self.resume { "it runs" } else { "it is held: 'flob resume' lets it go" };
            print::line(&format!("undone: {what}; back at {id}, {state}"))?;
        }
        Ok(0)
    }
}

/// Has the session's state kept before something is done to it. That it cannot be kept is told, and no reason not to do it.
pub fn remember(client: &Client, what: &str) {
    let kept = client.start(LongRequest::Remember { what: what.to_owned() }).and_then(wait);
    if let Err(error) = kept {
        eprintln!("flob: this will not be undone by 'flob undo': {error}");
    }
}
