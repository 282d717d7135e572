//! `flob checkpoint restore`.

use clap::Args;
use flob_link::Scope;
use flob_session::{Client, Error, HubRequest, Owner};

use crate::cli::{Context, print};

/// Arguments of `checkpoint restore`.
#[derive(Args, Debug)]
pub struct Restore {
    /// Its id, the beginning of that, or its name
    id: String,
    /// Restore even what is odd; unknown links to the outside become null
    #[arg(long)]
    force: bool,
    /// Let it run at once
    #[arg(long)]
    resume: bool,
}

impl Restore {
    /// Restores.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let client = Client::connect(context.session.as_deref())?;
        let id = super::wait::wait(client.start(HubRequest::Restore { id: self.id, force: self.force })?)?;
        if self.resume {
            client.request(HubRequest::Release {
                owner: Owner::User,
                scope: Scope::Environment,
                force: false,
            })?;
            print::line(&format!("{id} restored and running"))?;
        } else {
            print::line(&format!("{id} restored; it is held: 'flob resume' lets it go"))?;
        }
        Ok(0)
    }
}
