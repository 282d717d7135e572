//! `flob trace`: what the program asks of its parent's services and of the kernel. The guest keeps the last records; they are
//! printed, or followed as they come.

mod lines;

use clap::Args;
use flob_abi::{Call as KernelCall, ipc};
use flob_link::{Event, Tracing};
use flob_session::{Client, Error, HubEvent, HubReply, HubRequest, LinkState, Owner, TracePart};
use lines::Lines;

use crate::cli::Context;

/// Arguments of `trace`.
#[derive(Args, Debug)]
pub struct Trace {
    /// Print what comes, too, until the program ends; traces the services meanwhile
    #[arg(short, long)]
    follow: bool,
    /// Print only what contains this: part of a thread's name, a service, a call, an argument; all of several
    #[arg(long, value_name = "TEXT")]
    filter: Vec<String>,
    /// Trace kernel calls, too: names, 'ipc' or 'all'. That slows the program down a good deal
    #[arg(long, value_name = "CALL,…", value_delimiter = ',')]
    calls: Vec<String>,
    /// Trace the services (and --calls) from now on
    #[arg(long, conflicts_with = "off")]
    on: bool,
    /// Trace nothing any more
    #[arg(long, conflicts_with_all = ["follow", "calls"])]
    off: bool,
    /// Print JSON, a call a line
    #[arg(long)]
    json: bool,
}

impl Trace {
    /// Prints the trace.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let client = Client::connect(context.session.as_deref())?;
        let calls = numbers(&self.calls)?;
        let events = self.follow.then(|| client.subscribe()).transpose()?;
        if self.on || self.off || self.follow || !calls.is_empty() {
            let tracing = Tracing { services: !self.off, calls };
            // What is only followed is traced only so long.
            let lasts = self.on || self.off || !self.follow;
            let owner =
                if lasts { Owner::User } else { Owner::Client(format!("trace-{}", std::process::id())) };
            client.request(HubRequest::SetTrace { owner, tracing })?;
        }
        if self.off {
            return Ok(0);
        }
        let mut lines = Lines::new(client.clone(), &self.filter, self.json);
        let part = lines.fetch()?;
        let Some(events) = events else {
            lines.print_waiting()?;
            self.explain(&part);
            return Ok(0);
        };
        lines.print_waiting()?;
        for event in events {
            match event {
                // A session that is over has told the rest, or will.
                HubEvent::Guest(Event::Traced { .. } | Event::Died { .. }) => drop(lines.fetch()),
                // If the session ends with its program, it tells the rest before.
                HubEvent::Guest(Event::Exited { .. }) if lines.fetch().is_ok() => break,
                HubEvent::Trace(part) => lines.take(part)?,
                HubEvent::Link(LinkState::Dead) => break,
                _ => {}
            }
        }
        lines.end()?;
        Ok(0)
    }

    /// An empty screen says why it is empty.
    fn explain(&self, part: &TracePart) {
        if !part.tracing.is_on() {
            eprintln!(
                "flob: nothing is traced now: 'flob trace --on' begins, 'flob trace --follow' shows what comes"
            );
        }
    }
}

/// Asks for the records from this number on.
fn ask(client: &Client, from: u64) -> Result<TracePart, Error> {
    match client.request(HubRequest::Trace { from })? {
        HubReply::Trace(part) => Ok(part),
        other => Err(Error::Internal(format!("the hub answered with {other:?}"))),
    }
}

/// The numbers of kernel calls, by their names.
pub fn numbers(names: &[String]) -> Result<Vec<u64>, Error> {
    let mut numbers = Vec::new();
    for name in names {
        match name.as_str() {
            "all" => numbers.extend(KernelCall::ALL.iter().map(|call| *call as u64).chain([ipc::IPC])),
            "ipc" => numbers.push(ipc::IPC),
            name => match KernelCall::ALL.iter().find(|call| call.name() == name) {
                Some(call) => numbers.push(*call as u64),
                None => return Err(no_such_call(name)),
            },
        }
    }
    Ok(numbers)
}

fn no_such_call(name: &str) -> Error {
    let near: Vec<&str> =
        KernelCall::ALL.iter().map(|call| call.name()).filter(|known| known.contains(name)).take(8).collect();
    let near = if near.is_empty() { "docs/kernel has them all".to_owned() } else { near.join(", ") };
    Error::Usage(format!("there is no kernel call '{name}'; is one of these meant? {near}"))
}
