//! `flob migrate`: moves a program, running, from one session's guest into another's.

use std::time::Duration;

use clap::Args;
use flob_session::{Client, Error, HubReply, LongRequest, Migrated};
use serde_json::json;

use super::{checkpoint::wait, undo};
use crate::cli::{Context, complete, print};

/// Arguments of `migrate`.
#[derive(Args, Debug)]
pub struct Migrate {
    /// The session whose program is moved; it ends
    from: String,
    /// The session that it is moved into, in place of the program there
    #[arg(add = complete::sessions())]
    to: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Migrate {
    /// Moves it.
    pub fn run(self, _context: &Context) -> Result<u8, Error> {
        let (source, target) = (Client::connect(Some(&self.from))?, Client::connect(Some(&self.to))?);
        let (name, to) = (source.info()?.name, target.info()?.name);
        if name == to {
            return Err(Error::Usage(format!("the program is in session '{to}' already")));
        }
        undo::remember(&target, &format!("migrate {name}"));
        match wait::reply(source.start(LongRequest::Migrate { to })?)? {
            HubReply::Migrated(moved) => self.tell(&name, &moved),
            other => Err(Error::Internal(format!("the hub answered with {other:?}"))),
        }
    }

    fn tell(&self, from: &str, moved: &Migrated) -> Result<u8, Error> {
        let Migrated { to, rounds, pages, flobs, stop_nanoseconds, held } = moved;
        let stopped = Duration::from_nanos(*stop_nanoseconds);
        if self.json {
            print::json(&json!({
                "from": from,
                "to": to,
                "rounds": rounds,
                "pages": pages,
                "flobs": flobs,
                "stop_seconds": stopped.as_secs_f64(),
                "held": held,
            }))?;
            return Ok(0);
        }
        let state = if *held { "it is held: 'flob resume' lets it go" } else { "it runs" };
        print::line(&format!(
            "moved from {from} to {to}: {pages} pages in {rounds} rounds, {flobs} flobs; it stood still for {:.0} ms; {state}",
            stopped.as_secs_f64() * 1000.0
        ))?;
        Ok(0)
    }
}
