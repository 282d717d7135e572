//! Messages to state: a pure function, and the only thing that changes the state.

use std::sync::Arc;

use flob_abi::ExceptionCode;
use flob_link::Event;
use flob_session::{HubEvent, LinkState, Owner};

use super::{
    commands::{looking, navigate},
    keys,
    message::{Ask, Job, Message, Outcome},
    snapshot::Snapshot,
    state::{Ended, Leave, LogKind, Logged, Mode, State, Tab},
    store::Saved,
    text,
};

/// Takes a message in. What is to be done about it is for others.
pub fn update(state: &mut State, message: Message) -> Vec<Ask> {
    let mut asks = take(state, message);
    navigate::settle(state);
    asks.retain(|ask| *ask != Ask::Look || state.has_hub());
    asks
}

fn take(state: &mut State, message: Message) -> Vec<Ask> {
    match message {
        Message::Key(key) => return keys::press(state, key),
        Message::Paste(text) => keys::paste(state, &text),
        Message::Resize(width, height) => {
            state.size = (width, height);
            if state.tab == Tab::Memory {
                return looking::read_memory(state);
            }
        }
        Message::Tick => {}
        Message::Terminate => state.leave = Some(Leave::Terminated),
        Message::Defect(what) => state.tell(LogKind::Trouble, text::defect(&what)),
        Message::Hub(event) => return hub_event(state, event),
        Message::HubGone => hub_gone(state),
        Message::Info(info) => {
            state.link = info.link;
            if let (Some(code), None) = (info.progress.exit, &state.ended) {
                ended(state, code);
            }
            state.info = Some(info);
        }
        Message::Looked { snapshot, took } => return looked(state, snapshot, took),
        Message::LookFailed(error) => {
            if state.live.is_none() {
                state.notice = Some((LogKind::Trouble, error));
            }
        }
        Message::Memory { memory, address, result } => state.memory.take(memory, address, result, state.now),
        Message::Checkpoints(Ok(saved)) => checkpoints(state, saved),
        Message::Checkpoints(Err(error)) | Message::Opened(Err(error)) => state.tell(LogKind::Trouble, error),
        Message::Opened(Ok((id, snapshot))) => return opened(state, id, snapshot),
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
    if state.tab == Tab::Memory && state.is_live() { looking::read_memory(state) } else { Vec::new() }
}

/// After the flobs have changed, the same thread and row stay selected.
fn reselect(state: &mut State, selected: Option<flob_image::Place>) {
    navigate::refold(state, selected);
    let threads = state.shown().map(|snapshot| snapshot.threads.iter());
    let index = threads.and_then(|mut threads| threads.position(|facts| Some(facts.place) == selected));
    if let (Tab::Threads, Some(index)) = (state.tab, index) {
        state.threads.selected = index;
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
    state.tell(LogKind::Note, text::opened(&id));
    state.opened = Some((id, snapshot));
    if state.tab == Tab::Checkpoints {
        state.tab = Tab::Flobs;
    }
    state.focus = super::state::Focus::List;
    looking::forget_memory(state);
    reselect(state, selected);
    if state.tab == Tab::Memory { looking::read_memory(state) } else { Vec::new() }
}

fn hub_event(state: &mut State, event: HubEvent) -> Vec<Ask> {
    match event {
        HubEvent::Guest(event) => return guest_event(state, event),
        HubEvent::Link(link) => {
            let (kind, text) = match link {
                LinkState::Connecting => return Vec::new(),
                LinkState::Up => (LogKind::Note, text::LINK_UP),
                LinkState::Lost => (LogKind::Trouble, text::LINK_LOST),
                LinkState::Dead => (LogKind::Trouble, text::GUEST_DEAD),
            };
            if state.link != link {
                state.tell(kind, text);
            }
            state.link = link;
        }
        HubEvent::Changed => {}
        HubEvent::Saved(id) => {
            if let Some(info) = state.info.as_mut() {
                info.checkpoint = Some(id);
            }
            return vec![Ask::List, Ask::Look];
        }
    }
    vec![Ask::Look]
}

fn guest_event(state: &mut State, event: Event) -> Vec<Ask> {
    match event {
        Event::Output { stream, position, bytes } => {
            state.console.write(stream, position, &bytes);
            return Vec::new();
        }
        Event::Stopped { thread, reason, .. } => {
            let name = state.name(thread);
            state.tell(LogKind::Note, text::stopped(&name, reason));
        }
        Event::Died { thread, code, address, .. } => {
            let what = ExceptionCode::from_number(code).map_or("exception", ExceptionCode::text);
            let sentence = text::died(&state.name(thread), what, address);
            state.tell(LogKind::Trouble, sentence.clone());
            state.ended = Some(Ended::Died(sentence, code));
        }
        Event::Exited { code } => ended(state, code),
        Event::Restored => {
            state.console.rewind();
            state.ended = None;
        }
        Event::SaveReady | Event::InputWanted { .. } => return Vec::new(),
    }
    vec![Ask::Look]
}

fn ended(state: &mut State, code: i32) {
    if state.ended.is_none() {
        state.tell(LogKind::Note, text::exited(code));
        state.ended = Some(Ended::Exited(code));
    }
}

fn hub_gone(state: &mut State) {
    if !state.hub_gone {
        state.hub_gone = true;
        state.work = None;
        state.tell(LogKind::Trouble, text::HUB_GONE);
    }
}

/// Puts checkpoints into the order of their tree: each behind the one it was made from.
fn checkpoints(state: &mut State, mut saved: Vec<Saved>) {
    let selected = state.selected_checkpoint().map(|saved| saved.id.clone());
    saved.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
    let known: std::collections::HashSet<String> = saved.iter().map(|saved| saved.id.clone()).collect();
    let mut children: std::collections::HashMap<Option<String>, Vec<Saved>> = std::collections::HashMap::new();
    for one in saved {
        let parent = one.parent.clone().filter(|parent| known.contains(parent) && *parent != one.id);
        children.entry(parent).or_default().push(one);
    }
    let mut stack: Vec<(usize, Saved)> = Vec::new();
    let mut push = |stack: &mut Vec<(usize, Saved)>, depth: usize, parent: Option<String>| {
        let below = children.remove(&parent).unwrap_or_default();
        stack.extend(below.into_iter().rev().map(|one| (depth, one)));
    };
    push(&mut stack, 0, None);
    state.saved.clear();
    while let Some((depth, one)) = stack.pop() {
        push(&mut stack, depth + 1, Some(one.id.clone()));
        state.saved.push((depth, one));
    }
    let index = state.saved.iter().position(|(_, saved)| Some(&saved.id) == selected.as_ref());
    if let Some(index) = index {
        state.checkpoints.selected = index;
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
        (Job::Restore { .. }, _) => restored(state),
        (Job::Apply { .. }, _) => {
            state.pending.clear();
            state.tell(LogKind::Note, text::APPLIED);
        }
        (Job::Remove(_), _) => return vec![Ask::List],
        (Job::Resume { .. }, Outcome::Held(holders)) if !holders.is_empty() => {
            let names: Vec<String> = holders.iter().map(holder).collect();
            state.tell(LogKind::Trouble, text::still_held(&names));
        }
        _ => {}
    }
    vec![Ask::Look]
}

/// A restore shows the live environment again.
fn restored(state: &mut State) {
    if state.opened.take().is_some() {
        looking::forget_memory(state);
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
