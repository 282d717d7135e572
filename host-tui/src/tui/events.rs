//! What the hub tells by itself, and the order of checkpoints.

use std::collections::{HashMap, HashSet};

use flob_abi::ExceptionCode;
use flob_link::Event;
use flob_session::{HubEvent, LinkState};

use super::{
    commands::{sorting, tracing},
    message::Ask,
    state::{Ended, LogKind, Logged, Mode, Reading, State},
    store::Saved,
    text,
};

/// The hub has told something.
pub fn hub_event(state: &mut State, event: HubEvent) -> Vec<Ask> {
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
        HubEvent::AnotherGuest => {
            state.console.rewind();
            state.ended = None;
            state.tell(LogKind::Trouble, text::ANOTHER_GUEST);
        }
        HubEvent::Arrived(id) => state.tell(LogKind::Note, text::arrived(id.as_deref())),
        HubEvent::PagesLost(text) => state.tell(LogKind::Trouble, text),
        HubEvent::GuestEnded(text) => guest_ended(state, &text),
        HubEvent::Finishing => state.tell(LogKind::Note, text::FINISHING),
        HubEvent::Moved(to) => {
            state.tell(LogKind::Note, text::moved(&to));
            state.moved = Some(to);
        }
        HubEvent::Trace(part) => {
            let snapshot = state.live.clone();
            state.calls.take(part, snapshot.as_deref());
            return Vec::new();
        }
        HubEvent::Saved(id) => {
            // A save of our own tells about itself when it has ended, which may be heard first.
            let told = text::saved(&id);
            if state.work.is_none() && !state.log.iter().rev().take(16).any(|line| line.text == told) {
                state.tell(LogKind::Note, text::saved_elsewhere(&id));
            }
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
            state.tell(LogKind::Note, text::stopped(&name, &reason));
        }
        Event::Died { thread, code, address, .. } => {
            let what = ExceptionCode::from_number(code).map_or("exception", ExceptionCode::text);
            let sentence = text::died(&state.name(thread), what, address);
            state.tell(LogKind::Trouble, sentence.clone());
            state.ended = Some(Ended::Died(sentence, code));
        }
        Event::Exited { code } => ended(state, code),
        Event::Restored(_) | Event::Restarted(_) => {
            state.console.rewind();
            state.ended = None;
            // What was restored is told by who asked for it.
            if matches!(event, Event::Restarted(_)) {
                state.tell(LogKind::Note, text::RESTARTED);
            }
        }
        Event::Traced { .. } => return tracing::fetch(state),
        Event::SaveReady | Event::StandsStill | Event::InputWanted { .. } | Event::PageWanted { .. } => {
            return Vec::new();
        }
    }
    vec![Ask::Look]
}

/// The guest's last words are told line by line, and shown over everything: a panic record says what happened.
fn guest_ended(state: &mut State, text: &str) {
    state.tell(LogKind::Trouble, text.lines().next().unwrap_or_default());
    let lines = text.lines().map(|line| line.trim_start_matches([' ', '|']).to_owned());
    let lines: Vec<String> = lines.collect();
    for line in lines.iter().skip(1) {
        state.log.push(Logged { at: state.now, text: line.clone(), kind: LogKind::Trouble });
    }
    if lines.len() > 1 && state.mode == Mode::Normal {
        let title = text::GUEST_DEAD.to_owned();
        state.mode = Mode::Reading(Reading { title, lines, scroll: 0 });
    }
}

/// The program has ended.
pub fn ended(state: &mut State, code: i32) {
    if state.ended.is_none() {
        state.tell(LogKind::Note, text::exited(code));
        state.ended = Some(Ended::Exited(code));
    }
}

/// The hub's connection has ended.
pub fn hub_gone(state: &mut State) {
    if !state.hub_gone {
        state.hub_gone = true;
        state.work = None;
        match state.moved.clone() {
            Some(to) => state.tell(LogKind::Note, text::moved(&to)),
            None => state.tell(LogKind::Trouble, text::HUB_GONE),
        }
    }
}

/// Puts checkpoints into the order of their tree: each behind the one it was made from.
pub fn checkpoints(state: &mut State, mut saved: Vec<Saved>) {
    let selected = state.selected_checkpoint().map(|saved| saved.id.clone());
    saved.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
    let known: HashSet<String> = saved.iter().map(|saved| saved.id.clone()).collect();
    let mut children: HashMap<Option<String>, Vec<Saved>> = HashMap::new();
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
    sorting::checkpoints(state);
    sorting::select_checkpoint(state, selected.as_deref());
}
