//! The trace as lines of text, or of JSON. A call whose end comes later has two lines, as `strace` does it.

use flob_link::trace::{Asked, Outcome, Payload, Value};
use flob_session::{
    Client, Error, TracePart,
    names::id,
    trace::{Call, Change, Described, Describer, Trace},
};
use serde_json::{Map, Value as Json, json};

use super::ask;
use crate::cli::{print, source::View};

/// What is printed, and what of it already was.
pub struct Lines {
    client: Client,
    view: Option<View>,
    trace: Trace,
    filter: Vec<String>,
    is_json: bool,
    told_lost: u64,
    /// Calls that were under way when the first part came.
    is_first: bool,
}

impl Lines {
    /// Nothing yet.
    pub fn new(client: Client, filter: &[String], is_json: bool) -> Self {
        let filter = filter.iter().map(|text| text.to_lowercase()).collect();
        Self { client, view: None, trace: Trace::default(), filter, is_json, told_lost: 0, is_first: true }
    }

    /// Asks for what there is and prints it; calls that have not ended yet as such only from the second time on.
    pub fn fetch(&mut self) -> Result<TracePart, Error> {
        loop {
            let part = ask(&self.client, self.trace.next())?;
            self.take(part.clone())?;
            if part.records.is_empty() || self.trace.next() >= part.next {
                return Ok(part);
            }
        }
    }

    /// Takes records in and prints them.
    pub fn take(&mut self, part: TracePart) -> Result<(), Error> {
        let changes = self.trace.take(part.records, part.next);
        self.look_for(&changes);
        self.tell_lost();
        changes.into_iter().try_for_each(|change| self.print(change))
    }

    /// What is under way.
    pub fn print_waiting(&mut self) -> Result<(), Error> {
        self.is_first = false;
        let waiting: Vec<u64> =
            self.trace.calls().filter(|call| call.end.is_none()).map(|call| call.number).collect();
        for number in waiting {
            self.print(Change::Began(number))?;
        }
        Ok(())
    }

    /// The end: with JSON, calls that never ended are told now.
    pub fn end(&mut self) -> Result<(), Error> {
        if self.is_json {
            for call in self.trace.calls().filter(|call| call.end.is_none()) {
                self.print_json(call)?;
            }
        }
        Ok(())
    }

    /// Names of threads that were not there before want another look. Where that is not possible any more places serve.
    fn look_for(&mut self, changes: &[Change]) {
        let begun = changes.iter().filter_map(|change| match change {
            Change::Began(number) => self.trace.call(*number)?.thread,
            _ => None,
        });
        let known =
            |place: &u64| self.view.as_ref().is_some_and(|view| view.environment.flob(*place).is_some());
        let is_known = begun.into_iter().all(|place| known(&place));
        if self.view.is_none() || !is_known {
            let view = View::live(self.client.clone(), false).ok();
            self.view = view.or_else(|| self.view.take());
        }
    }

    fn tell_lost(&mut self) {
        let lost = self.trace.lost();
        if lost > self.told_lost {
            eprintln!(
                "flob: {} records were lost: they came faster than they were read",
                lost - self.told_lost
            );
            self.told_lost = lost;
        }
    }

    fn print(&self, change: Change) -> Result<(), Error> {
        match change {
            Change::Restored(at) if self.is_json => {
                print::line(&json!({ "at": at, "restored": true }).to_string())
            }
            Change::Restarted(at) if self.is_json => {
                print::line(&json!({ "at": at, "restarted": true }).to_string())
            }
            Change::Restarted(at) => print::line(&format!("{}  the program was restarted", time(at))),
            Change::Restored(at) => print::line(&format!("{}  a checkpoint was restored", time(at))),
            Change::Began(number) | Change::Ended(number) => {
                let Some(call) = self.trace.call(number) else { return Ok(()) };
                if self.is_json {
                    return if call.end.is_some() { self.print_json(call) } else { Ok(()) };
                }
                let described = self.describe(call);
                let is_late = matches!(change, Change::Ended(_));
                if self.fits(&described) && (call.end.is_some() || !self.is_first) {
                    return print::line(&line(call, &described, is_late));
                }
                Ok(())
            }
        }
    }

    fn print_json(&self, call: &Call) -> Result<(), Error> {
        let described = self.describe(call);
        if self.fits(&described) { print::line(&to_json(call, &described).to_string()) } else { Ok(()) }
    }

    fn describe(&self, call: &Call) -> Described {
        let short = |place| match &self.view {
            Some(view) => view.names.short(place),
            None => format!("{place:#x}"),
        };
        Describer::new(self.view.as_ref().map(|view| &view.environment), &short).describe(call)
    }

    fn fits(&self, described: &Described) -> bool {
        self.filter.iter().all(|part| described.contains(part))
    }
}

/// `     1.203456  main  stdin.read(position=0, max=4096) = data bytes="…" (12.3 ms)`.
fn line(call: &Call, described: &Described, is_late: bool) -> String {
    let (at, outcome) = match &call.end {
        Some((at, _)) if is_late => (*at, format!("… {} = {}", described.name, described.outcome)),
        Some(_) => (call.at, format!("{} = {}", described.asked(), described.outcome)),
        None => (call.at, format!("{} …", described.asked())),
    };
    let took = call.end.as_ref().map_or(0, |(end, _)| end.saturating_sub(call.at));
    let took = if took > 0 { format!("  ({:.3} ms)", took as f64 / 1e6) } else { String::new() };
    format!("{}  {:<14} {outcome}{took}", time(at), described.thread)
}

fn time(at: u64) -> String {
    format!("{:>12.6}", at as f64 / 1e9)
}

fn to_json(call: &Call, described: &Described) -> Json {
    let kind = if matches!(call.asked, Asked::Service { .. }) { "service" } else { "kernel" };
    json!({
        "number": call.number,
        "at": call.at,
        "ended": call.end.as_ref().map(|(at, _)| at),
        "thread": described.thread,
        "thread_id": call.thread.map(id),
        "kind": kind,
        "name": described.name,
        "arguments": arguments(call, described),
        "outcome": call.end.as_ref().map(|(_, outcome)| outcome_json(outcome, described)),
    })
}

/// Values of messages as they are, those of kernel calls as people read them.
fn arguments(call: &Call, described: &Described) -> Json {
    match &call.asked {
        Asked::Service { message, .. } => Json::Object(
            message.fields.iter().map(|(name, value)| (name.clone(), value_json(value))).collect(),
        ),
        Asked::Call { sent, .. } => {
            let named = described.arguments.iter().map(|(name, value)| (name.clone(), json!(value)));
            let mut named = named.collect::<Map<_, _>>();
            named.extend(sent.as_ref().map(|sent| ("sent".to_owned(), payload_json(sent))));
            Json::Object(named)
        }
    }
}

fn outcome_json(outcome: &Outcome, described: &Described) -> Json {
    match outcome {
        Outcome::Reply(message) => {
            let fields = message.fields.iter().map(|(name, value)| (name.clone(), value_json(value)));
            json!({ "reply": message.verb, "fields": Json::Object(fields.collect()) })
        }
        Outcome::Returned { status, received: None, .. } => {
            json!({ "status": status, "text": described.outcome })
        }
        Outcome::Returned { status, received: Some(received), .. } => {
            json!({ "status": status, "text": described.outcome, "received": payload_json(received) })
        }
        Outcome::Refused | Outcome::Unseen => json!({ "text": described.outcome }),
    }
}

/// A message of an IPC call: as messages of services have their bytes, and what is known of the rest.
fn payload_json(payload: &Payload) -> Json {
    json!({
        "start": payload.start.escape_ascii().to_string(),
        "bytes": payload.count,
        "is_all": payload.is_all,
        "is_readable": payload.is_readable(),
    })
}

fn value_json(value: &Value) -> Json {
    match value {
        Value::Number(number) => json!(number),
        Value::Signed(number) => json!(number),
        Value::Text(text) => json!(text),
        Value::Bytes { start, count } => json!({ "start": start.escape_ascii().to_string(), "bytes": count }),
    }
}
