//! What the workers do for each job.

use std::sync::atomic::Ordering;

use flob_session::{Error, HubReply, HubRequest, LongRequest, Owner};

use super::{
    message::{Job, Message, Outcome},
    text,
    worker::{Tools, request, store},
};

/// Does a job; the message tells what came of it.
pub fn run(tools: &Tools, job: Job) -> Message {
    let result = perform(tools, &job).map_err(|error| error.to_string());
    Message::Finished { job, result }
}

fn set_breakpoints(tools: &Tools, text: &str) -> Result<Outcome, Error> {
    let HubReply::Environment(environment) = request(tools, HubRequest::Look { vectors: false })? else {
        return Err(Error::Internal(text::UNEXPECTED.into()));
    };
    for (spot, condition) in tools.insight.breakpoints(&environment, text)? {
        request(tools, HubRequest::AddPoint { owner: Owner::User, spot, condition })?;
    }
    Ok(Outcome::Done)
}

fn perform(tools: &Tools, job: &Job) -> Result<Outcome, Error> {
    let user = || Owner::User;
    let reply = match job {
        Job::Pause(scope) => request(tools, HubRequest::Hold { owner: user(), scope: *scope })?,
        Job::Resume { scope, force } => {
            request(tools, HubRequest::Release { owner: user(), scope: *scope, force: *force })?
        }
        Job::Step(thread) => {
            request(tools, HubRequest::Step { owner: user(), thread: *thread, within: None })?
        }
        Job::Trace(tracing) => {
            request(tools, HubRequest::SetTrace { owner: user(), tracing: tracing.clone() })?
        }
        Job::Break(text) => return set_breakpoints(tools, text),
        Job::Point { id, change } => request(tools, HubRequest::ChangePoint { id: *id, change: *change })?,
        Job::Apply { .. } => return apply(tools, job),
        Job::Save { name, then_stop } => {
            let saved = request(tools, LongRequest::Save { name: name.clone(), when: None, full: false })?;
            if *then_stop {
                request(tools, HubRequest::Shutdown)?;
            }
            saved
        }
        Job::Restore { id, force } => {
            remember(tools, &format!("restore {id}"))?;
            request(tools, LongRequest::Restore { id: id.clone(), force: *force, lazy: false })?
        }
        Job::Undo => request(tools, LongRequest::Undo)?,
        Job::Remove(id) => return store(tools)?.remove(id).map(|()| Outcome::Done),
        Job::SaveEdited { parent, environment, pokes } => {
            return store(tools)?.save_edited(parent, environment, pokes).map(Outcome::Checkpoint);
        }
        Job::Type(bytes) => request(tools, HubRequest::Type { bytes: bytes.clone() })?,
        Job::Stop => request(tools, HubRequest::Shutdown)?,
    };
    match reply {
        HubReply::Done => Ok(Outcome::Done),
        HubReply::Checkpoint(id) => Ok(Outcome::Checkpoint(id)),
        HubReply::Held { holders, .. } => Ok(Outcome::Held(holders)),
        _ => Err(Error::Internal(text::UNEXPECTED.into())),
    }
}

/// Has the state kept for `flob undo`. That it cannot be kept is told, and no reason not to go on; but to be given up is.
fn remember(tools: &Tools, what: &str) -> Result<(), Error> {
    match request(tools, LongRequest::Remember { what: what.to_owned() }) {
        Err(error) if tools.cancel.load(Ordering::Relaxed) => Err(error),
        Err(error) => {
            let _ = tools.messages.send(Message::NotKept(error.to_string()));
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

/// Sets flobs, then memory, and stops at the first that fails.
fn apply(tools: &Tools, job: &Job) -> Result<Outcome, Error> {
    let Job::Apply { what, changes, pokes } = job else { return Ok(Outcome::Done) };
    remember(tools, what)?;
    let sets = changes.iter().map(|(place, hash, change)| HubRequest::Set {
        place: *place,
        hash: *hash,
        change: change.clone(),
    });
    let writes = pokes.iter().map(|poke| HubRequest::Write {
        memory: poke.memory,
        address: poke.address,
        bytes: poke.bytes.clone(),
    });
    let count = changes.len() + pokes.len();
    for (done, change) in sets.chain(writes).enumerate() {
        match request(tools, change) {
            Ok(_) => {}
            Err(error) if done == 0 => return Err(error),
            Err(error) => return Err(Error::Refused(text::partly(done, count, &error.to_string()))),
        }
    }
    Ok(Outcome::Done)
}
