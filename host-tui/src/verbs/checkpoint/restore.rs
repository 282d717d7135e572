//! `flob checkpoint restore`.

use clap::Args;
use flob_image::store::Store;
use flob_link::Scope;
use flob_session::{Client, Error, HubRequest, LongRequest, Owner};
use serde_json::json;

use super::super::undo;
use crate::cli::{Context, complete, print};

/// Arguments of `checkpoint restore`.
#[derive(Args, Debug)]
pub struct Restore {
    /// Its id, the beginning of that, or its name
    #[arg(add = complete::checkpoints())]
    id: String,
    /// Restore even what is odd; unknown links to the outside become null
    #[arg(long)]
    force: bool,
    /// Let it run at once
    #[arg(long)]
    resume: bool,
    /// Bring its memory when it is needed, and by and by; each page is checked only then
    #[arg(long)]
    lazy: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Restore {
    /// Restores.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let client = Client::connect(context.session.as_deref())?;
        // What is not there is told before anything is done.
        let given = Store::open_default()?.load(&self.id)?.id();
        undo::remember(&client, &format!("restore {given}"));
        let restore = LongRequest::Restore { id: self.id, force: self.force, lazy: self.lazy };
        let id = super::wait::wait(client.start(restore)?)?;
        if self.resume {
            client.request(HubRequest::Release {
                owner: Owner::User,
                scope: Scope::Environment,
                force: false,
            })?;
        }
        if self.json {
            print::json(&json!({ "id": id, "held": !self.resume, "lazy": self.lazy }))?;
            return Ok(0);
        }
        if self.lazy {
            eprintln!("flob: its memory follows: 'flob checkpoint fetch' waits for all of it");
        }
        if self.resume {
            print::line(&format!("{id} restored and running"))?;
        } else {
            print::line(&format!("{id} restored; it is held: 'flob resume' lets it go"))?;
        }
        Ok(0)
    }
}
