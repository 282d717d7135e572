//! `flob pause` and `flob resume`: the user's hold on the program, or a part of it.

use clap::Args;
use flob_abi::FlobKind;
use flob_link::Scope;
use flob_session::{Client, Error, HubReply, HubRequest, Owner, owner_names};
use serde_json::json;

use crate::cli::{Context, complete, print, source::View};

/// Arguments of `pause`.
#[derive(Args, Debug)]
pub struct Pause {
    /// A space or a thread; everything if left out
    #[arg(add = complete::flobs(None))]
    flob: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `resume`.
#[derive(Args, Debug)]
pub struct Resume {
    /// A space or a thread; everything if left out
    #[arg(add = complete::flobs(None))]
    flob: Option<String>,
    /// Let go what others hold, too
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Pause {
    /// Holds it.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let client = Client::connect(context.session.as_deref())?;
        let scope = scope(&client, self.flob.as_deref())?;
        let (threads, holders) = held(client.request(HubRequest::Hold { owner: Owner::User, scope })?)?;
        report(self.json, "stopped", threads, &holders)
    }
}

impl Resume {
    /// Lets it go.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let client = Client::connect(context.session.as_deref())?;
        let scope = scope(&client, self.flob.as_deref())?;
        let request = HubRequest::Release { owner: Owner::User, scope, force: self.force };
        let (threads, holders) = held(client.request(request)?)?;
        report(self.json, "resumed", threads, &holders)?;
        if !holders.is_empty() && !self.json {
            let who = owner_names(&holders);
            eprintln!("flob: still held by {who}: 'flob resume --force' lets go whoever holds");
        }
        Ok(0)
    }
}

fn scope(client: &Client, flob: Option<&str>) -> Result<Scope, Error> {
    let Some(flob) = flob else { return Ok(Scope::Environment) };
    let view = View::live(client.clone(), false)?;
    let place = view.names.find(flob)?;
    match view.environment.flob(place).map(|flob| flob.state.kind()) {
        Some(FlobKind::Space) => Ok(Scope::Space(place)),
        Some(FlobKind::Thread) => Ok(Scope::Thread(place)),
        _ => Err(Error::Usage(format!("{} is neither a space nor a thread", view.names.flob(place)))),
    }
}

fn held(reply: HubReply) -> Result<(u32, Vec<Owner>), Error> {
    match reply {
        HubReply::Held { threads, holders } => Ok((threads, holders)),
        other => Err(Error::Internal(format!("the hub answered with {other:?}"))),
    }
}

fn report(as_json: bool, what: &str, threads: u32, holders: &[Owner]) -> Result<u8, Error> {
    if as_json {
        print::json(&json!({ what: threads, "holders": owner_names(holders) }))?;
    } else {
        print::line(&format!("{threads} threads {what}"))?;
    }
    Ok(0)
}
