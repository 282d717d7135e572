//! `flob checkpoint save`.

use clap::{Args, ValueEnum};
use flob_link::WaitKind;
use flob_session::{Client, Error, LongRequest, owner_names};
use serde_json::json;

use crate::cli::{Context, print};

/// Arguments of `checkpoint save`.
#[derive(Args, Debug)]
pub struct Save {
    /// A name to call it by
    name: Option<String>,
    /// Let the program run until a thread waits so, and save that moment
    #[arg(long, value_parser = parse_moment, value_name = "WHAT")]
    when: Option<Moment>,
    /// Fetch all memory, not only what has changed since the last checkpoint of this session
    #[arg(long)]
    full: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What a thread waits for.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Moment {
    Mutex,
    Condition,
    Send,
    Receive,
    Input,
}

/// `mutex`, or as a sentence: `a thread waits for mutex`.
fn parse_moment(text: &str) -> Result<Moment, String> {
    let word = text.strip_prefix("a thread waits for").unwrap_or(text).trim();
    Moment::from_str(word, true).map_err(|_| "expected mutex, condition, send, receive or input".to_owned())
}

/// Who is held comes to no moment, and nobody else may be there who runs.
fn say_who_holds(client: &Client) -> Result<(), Error> {
    let holders = client.info()?.holders;
    if !holders.is_empty() {
        let who = owner_names(&holders);
        eprintln!("flob: threads are held by {who} and come to no moment: 'flob resume' lets them go");
    }
    Ok(())
}

impl Save {
    /// Saves.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let client = Client::connect(context.session.as_deref())?;
        let when = self.when.map(|moment| match moment {
            Moment::Mutex => WaitKind::Mutex,
            Moment::Condition => WaitKind::Condition,
            Moment::Send => WaitKind::Send,
            Moment::Receive => WaitKind::Receive,
            Moment::Input => WaitKind::Input,
        });
        if when.is_some() {
            say_who_holds(&client)?;
        }
        let id =
            super::wait::wait(client.start(LongRequest::Save { name: self.name, when, full: self.full })?)?;
        if self.json {
            print::json(&json!({ "id": id }))?;
        } else {
            print::line(&id)?;
        }
        Ok(0)
    }
}
