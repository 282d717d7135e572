//! `flob step`: single instructions of one thread, which the user holds before and afterwards.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};

use clap::Args;
use flob_abi::FlobKind;
use flob_image::Place;
use flob_link::{Event, StopReason};
use flob_session::{Client, Error, HubEvent, HubReply, HubRequest, Owner, Spot, instruction, why_stopped};
use serde_json::json;

use crate::cli::{Context, complete, print, source::View};

/// A step that takes longer is probably a call that blocks.
const PATIENCE: Duration = Duration::from_millis(500);

/// Arguments of `step`.
#[derive(Args, Debug)]
pub struct Step {
    /// The thread
    #[arg(add = complete::flobs(Some(FlobKind::Thread)))]
    thread: String,
    /// So many instructions; it ends sooner where something else stops the thread
    #[arg(default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What came of it.
struct Done {
    steps: u32,
    /// Where it stands.
    at: Option<Instruction>,
    /// What stopped it, if that was no step.
    stopped: Option<StopReason>,
}

impl Step {
    /// Steps. An instruction that is a call which blocks is done when the call is.
    pub fn run(self, context: &Context) -> Result<u8, Error> {
        let client = Client::connect(context.session.as_deref())?;
        let view = View::live(client.clone(), false)?;
        let thread = view.names.find_kind(&self.thread, FlobKind::Thread)?;
        let name = view.names.flob(thread);
        let events = client.subscribe()?;
        let done = step(&client, &events, thread, self.count)?;
        self.tell(&name, thread, &done, &mut View::live(client, false)?)
    }

    fn tell(&self, name: &str, thread: Place, done: &Done, view: &mut View) -> Result<u8, Error> {
        let rip = done.at.map(|(_, address)| address);
        let (map, source) = view.why();
        let at = map.location(thread, source).map(|location| location.short());
        let call = map.call(thread);
        if self.json {
            let stopped = done.stopped.as_ref().map(why_stopped);
            print::json(&json!({
                "thread": name, "steps": done.steps, "rip": rip, "at": at, "call": call, "stopped": stopped,
            }))?;
            return Ok(0);
        }
        let place = at.map_or_else(String::new, |at| format!(", {at}"));
        let before = call.map_or_else(String::new, |call| format!(", before {call}"));
        print::line(&format!("{name} is at {:#x}{place}{before}", rip.unwrap_or_default()))?;
        if let Some(reason) = &done.stopped {
            print::line(&format!("it {} after {} of {} steps", why_stopped(reason), done.steps, self.count))?;
        }
        Ok(0)
    }
}

/// A step that comes to a breakpoint ends in front of it and is told as a step: the next one would pass it.
fn step(client: &Client, events: &Receiver<HubEvent>, thread: Place, count: u32) -> Result<Done, Error> {
    let breakpoints = breakpoints(client)?;
    let mut done = Done { steps: 0, at: None, stopped: None };
    while done.steps < count && done.stopped.is_none() {
        client.request(HubRequest::Step { owner: Owner::User, thread, within: None })?;
        let (reason, at) = stop(client, events, thread)?;
        (done.steps, done.at) = (done.steps + 1, at);
        let would_pass = done.steps < count && at.is_some_and(|at| breakpoints.contains(&at));
        done.stopped = match reason {
            StopReason::Step => would_pass.then_some(StopReason::Breakpoint),
            other => Some(other),
        };
    }
    Ok(done)
}

/// Space and address of an instruction.
type Instruction = (Place, u64);

/// The breakpoints that stop whoever comes there.
fn breakpoints(client: &Client) -> Result<Vec<Instruction>, Error> {
    let HubReply::Points(points) = client.request(HubRequest::Points)? else { return Ok(Vec::new()) };
    let always = points.iter().filter(|point| point.is_enabled && point.condition.is_none());
    let of_code = always.filter_map(|point| match point.spot {
        Spot::Code { space, address } => Some((space, address)),
        _ => None,
    });
    Ok(of_code.collect())
}

/// Waits until the thread stops, and says why if that takes long. Where it stands then.
fn stop(
    client: &Client,
    events: &Receiver<HubEvent>,
    thread: Place,
) -> Result<(StopReason, Option<Instruction>), Error> {
    let gone = |text: &str| Err(Error::NotFound(format!("{text}: it has not stopped behind its step")));
    let mut patience = Some(PATIENCE);
    loop {
        let event = match patience {
            Some(time) => events.recv_timeout(time),
            None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match event {
            Err(RecvTimeoutError::Timeout) => {
                patience = None;
                let mut view = View::live(client.clone(), false)?;
                let (map, source) = view.why();
                eprintln!(
                    "flob: {}; the step ends when that does (Ctrl-C: do not wait)",
                    map.sentence(thread, source)
                );
            }
            Ok(HubEvent::Guest(Event::Stopped { thread: stopped, reason, space, state, .. }))
                if stopped == thread =>
            {
                return Ok((reason, instruction(&state).map(|address| (space, address))));
            }
            Ok(HubEvent::Guest(Event::Exited { .. })) => return gone("the program has ended"),
            Ok(HubEvent::Guest(Event::Died { .. })) => return gone("a thread died, 'flob ps' says which"),
            Ok(HubEvent::GuestEnded(why)) => return Err(Error::Guest(why)),
            Ok(_) => {}
            Err(_) => return gone("the session has ended"),
        }
    }
}
