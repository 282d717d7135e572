//! Messages to state: a pure function, and the only thing that changes the state.

use std::sync::Arc;

use flob_link::Scope;
use flob_session::{Owner, TracePart};

use super::{
    commands::{memory, navigate, sorting, tracing},
    events, keys,
    message::{Ask, Job, Message, Outcome},
    mouse, script,
    snapshot::Snapshot,
    state::{Ended, Leave, LogKind, Logged, Mode, Reading, State, Tab},
    text,
};

/// Takes a message in. What is to be done about it is for others.
pub fn update(state: &mut State, message: Message) -> Vec<Ask> {
    if let Some(script) = &mut state.script {
        script.hear(&message);
    }
    let asks = take(state, message);
    let mut asks = script::go_on(state, asks);
    navigate::settle(state);
    state.coach = state.coach.map(|coach| coach.follow(state));
    asks.retain(|ask| *ask != Ask::Look || state.has_hub());
    asks
}

fn take(state: &mut State, message: Message) -> Vec<Ask> {
    match message {
        Message::Key(key) => return keys::press(state, key),
        Message::Mouse(event) => return mouse::take(state, event),
        Message::Paste(text) => keys::paste(state, &text),
        Message::Resize(width, height) => {
            state.size = (width, height);
            if state.tab == Tab::Memory {
                return memory::read_memory(state);
            }
        }
        Message::Tick => {}
        Message::Terminate => state.leave = Some(Leave::Terminated),
        Message::Defect(what) => state.tell(LogKind::Trouble, text::defect(&what)),
        Message::Hub(event) => return events::hub_event(state, event),
        Message::HubGone | Message::NoSession(_) => events::hub_gone(state),
        Message::Several(several) => state.several = several,
        Message::Info(info) => {
            state.link = info.link;
            state.cost.take(&info.progress);
            match (info.progress.exit, &state.ended) {
                (Some(code), None) => events::ended(state, code),
                // An older look had come late: the program was restored meanwhile.
                (None, Some(Ended::Exited(_))) => state.ended = None,
                _ => {}
            }
            if let Some(lost) = info.lost.clone().filter(|_| state.info.is_none()) {
                state.tell(LogKind::Trouble, lost);
            }
            state.info = Some(*info);
        }
        Message::Looked { snapshot, took } => return looked(state, snapshot, took),
        Message::LookFailed(error) => {
            if state.live.is_none() {
                state.notice = Some((LogKind::Trouble, error));
            }
        }
        Message::Points(points) => {
            state.points.all = points;
            sorting::points(state);
        }
        Message::Traced(result) => return traced(state, result),
        Message::Memory { memory, address, result } => {
            let failed = result.is_err();
            state.memory.take(memory, address, result, state.now);
            memory::name_code(state);
            if failed && state.memory.error.is_none() {
                return memory::read_memory(state);
            }
        }
        Message::Checkpoints(Ok(saved)) => events::checkpoints(state, saved),
        Message::Checkpoints(Err(error)) | Message::Opened(Err(error)) => state.tell(LogKind::Trouble, error),
        Message::Opened(Ok((id, snapshot))) => return opened(state, id, snapshot),
        Message::Compared(title, Ok(lines)) => compared(state, title, lines),
        Message::Compared(_, Err(error)) => state.tell(LogKind::Trouble, error),
        Message::NotKept(error) => state.tell(LogKind::Trouble, text::not_kept(&error)),
        Message::Progress { phase, done, total } => progress(state, phase, done, total),
        Message::Finished { job, result } => return finished(state, job, result),
    }
    Vec::new()
}

fn looked(state: &mut State, snapshot: Arc<Snapshot>, took: std::time::Duration) -> Vec<Ask> {
    state.looked = state.now;
    state.took = took;
    let selected = navigate::selected_flob(state);
    let is_new = state.live.as_ref().is_none_or(|live| !Arc::ptr_eq(live, &snapshot));
    let had_deadlock = state.live.as_ref().is_some_and(|live| !live.deadlocks.is_empty());
    state.live = Some(snapshot);
    if is_new && state.is_live() {
        reselect(state, selected);
        if !had_deadlock {
            tell_deadlock(state);
        }
    }
    if state.tab == Tab::Memory && state.is_live() { memory::read_memory(state) } else { Vec::new() }
}

fn traced(state: &mut State, result: Result<TracePart, String>) -> Vec<Ask> {
    match result {
        Ok(part) => {
            let snapshot = state.live.clone();
            if state.calls.take(part, snapshot.as_deref()) { tracing::fetch(state) } else { Vec::new() }
        }
        Err(error) => {
            state.calls.is_asked = false;
            state.calls.error = Some(error);
            Vec::new()
        }
    }
}

/// After the flobs have changed, the same thread and row stay selected.
fn reselect(state: &mut State, selected: Option<flob_image::Place>) {
    navigate::refold(state, selected);
    let graph = state.shown().map(|snapshot| snapshot.graph.iter());
    let index =
        graph.and_then(|mut rows| rows.position(|row| row.place().is_some() && row.place() == selected));
    if let (Tab::Graph, Some(index)) = (state.tab, index) {
        state.graph.selected = index;
    }
}

fn tell_deadlock(state: &mut State) {
    let Some(snapshot) = state.live.clone() else { return };
    let first = snapshot.deadlocks.first().and_then(|ring| ring.threads.first());
    if let Some(facts) = first.and_then(|place| snapshot.facts_of(*place)) {
        state.tell(LogKind::Trouble, facts.why.clone());
    }
}

fn opened(state: &mut State, id: String, snapshot: Arc<Snapshot>) -> Vec<Ask> {
    let selected = navigate::selected_flob(state);
    // What has just been saved is opened by itself: that it is saved says more.
    let is_told = state.notice.as_ref().is_some_and(|(_, told)| *told == text::saved_edited(&id));
    if !is_told {
        state.tell(LogKind::Note, text::opened(&id, state.has_session));
    }
    state.opened = Some((id, snapshot));
    if state.tab == Tab::Checkpoints {
        state.tab = Tab::Flobs;
    }
    state.focus = super::state::Focus::List;
    memory::forget_memory(state);
    reselect(state, selected);
    if state.tab == Tab::Memory { memory::read_memory(state) } else { Vec::new() }
}

fn compared(state: &mut State, title: String, lines: Vec<String>) {
    let lines = if lines.is_empty() { vec![text::EQUAL.to_owned()] } else { lines };
    if state.mode == Mode::Normal {
        state.mode = Mode::Reading(Reading { title, lines, scroll: 0 });
    }
}

fn progress(state: &mut State, phase: String, done: u64, total: u64) {
    let now = state.now;
    let Some(work) = state.work.as_mut() else { return };
    if work.phase != phase || done < work.done {
        work.since = (now, done);
    }
    (work.phase, work.done, work.total) = (phase, done, total);
}

fn finished(state: &mut State, job: Job, result: Result<Outcome, String>) -> Vec<Ask> {
    if job.is_long() {
        state.work = None;
    }
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(error) => {
            state.tell(LogKind::Trouble, error);
            return vec![Ask::Look];
        }
    };
    know_holders(state, &job, &outcome);
    match (job, outcome) {
        (Job::Save { then_stop: true, .. }, Outcome::Checkpoint(id)) => {
            state.log.push(Logged { at: state.now, text: text::saved(&id), kind: LogKind::Note });
            state.leave = Some(Leave::Stopped(Some(id)));
            return Vec::new();
        }
        (Job::Stop, _) => state.leave = Some(Leave::Stopped(None)),
        (Job::Save { .. }, Outcome::Checkpoint(id)) => {
            state.tell(LogKind::Note, text::saved(&id));
            return vec![Ask::List];
        }
        (Job::SaveEdited { .. }, Outcome::Checkpoint(id)) => {
            state.pending.clear();
            state.tell(LogKind::Note, text::saved_edited(&id));
            return vec![Ask::List, Ask::Open(id)];
        }
        (Job::Restore { .. } | Job::Undo, _) => restored(state),
        (Job::Apply { .. }, _) => {
            state.pending.clear();
            state.tell(LogKind::Note, text::APPLIED);
        }
        (Job::Remove(_), _) => return vec![Ask::List],
        (Job::Trace(tracing), _) => {
            state.calls.tracing = tracing;
            return tracing::fetch(state);
        }
        (Job::Resume { .. }, Outcome::Held(holders)) if !holders.is_empty() => {
            let names: Vec<String> = holders.iter().map(holder).collect();
            state.tell(LogKind::Trouble, text::still_held(&names));
        }
        _ => {}
    }
    vec![Ask::Look]
}

/// Who holds what after a job is known at once: keys that depend on it need not wait for the next look.
fn know_holders(state: &mut State, job: &Job, outcome: &Outcome) {
    let Some(info) = state.info.as_mut() else { return };
    match (job, outcome) {
        (Job::Restore { .. }, _) => info.holders = vec![Owner::User],
        (Job::Pause(_), Outcome::Held(holders))
        | (Job::Resume { scope: Scope::Environment, .. }, Outcome::Held(holders)) => {
            info.holders.clone_from(holders)
        }
        _ => {}
    }
}

/// A restore shows the live environment again.
fn restored(state: &mut State) {
    if state.opened.take().is_some() {
        memory::forget_memory(state);
        reselect(state, None);
    }
    state.ended = None;
    state.mode = Mode::Normal;
    state.tell(LogKind::Note, text::RESTORED);
}

fn holder(owner: &Owner) -> String {
    match owner {
        Owner::User => text::USER.into(),
        Owner::Client(name) => name.clone(),
    }
}
