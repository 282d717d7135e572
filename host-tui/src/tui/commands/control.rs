//! Running: pause, resume, step; saving and restoring; leaving.

use flob_abi::FlobKind;
use flob_image::Place;
use flob_link::Scope;

use super::super::{
    line::Line,
    message::{Ask, Job},
    state::{LogKind, Mode, Question, State, Work},
    text,
};
use super::{log_command, navigate, trouble};

/// What a scope's text means: a thread, a space, or everything.
fn scope(state: &State, text: &str) -> Result<(Scope, String), String> {
    if text.is_empty() {
        return Ok((Scope::Environment, String::new()));
    }
    let snapshot = state.live.as_ref().ok_or(text::NOTHING_YET)?;
    let place = snapshot.names.find(text)?;
    let name = snapshot.name(place);
    match snapshot.environment.flob(place).map(|flob| flob.state.kind()) {
        Some(FlobKind::Thread) => Ok((Scope::Thread(place), name)),
        Some(FlobKind::Space) => Ok((Scope::Space(place), name)),
        _ => Err(text::NO_THREAD.into()),
    }
}

/// Holds threads.
pub fn pause(state: &mut State, arguments: &str) -> Vec<Ask> {
    match scope(state, arguments) {
        Ok((scope, name)) => {
            log_command(state, &["pause", &name]);
            vec![Ask::Do(Job::Pause(scope))]
        }
        Err(error) => trouble(state, error),
    }
}

/// Lets threads go.
pub fn resume(state: &mut State, arguments: &str) -> Vec<Ask> {
    let force = arguments.split_whitespace().any(|word| word == "--force");
    let name = arguments.split_whitespace().find(|word| !word.starts_with("--")).unwrap_or_default();
    match scope(state, name) {
        Ok((scope, name)) => {
            log_command(state, &["resume", &name, if force { "--force" } else { "" }]);
            vec![Ask::Do(Job::Resume { scope, force })]
        }
        Err(error) => trouble(state, error),
    }
}

/// The thread that is meant: named, selected, or the only one.
pub fn thread(state: &State, text: &str) -> Result<Place, String> {
    let snapshot = state.shown().ok_or(text::NOTHING_YET)?;
    if !text.is_empty() {
        let place = snapshot.names.find(text)?;
        return snapshot.facts_of(place).map(|facts| facts.place).ok_or_else(|| text::NO_THREAD.to_owned());
    }
    let selected = navigate::current_flob(state).filter(|place| snapshot.facts_of(*place).is_some());
    let only = match snapshot.threads.as_slice() {
        [only] => Some(only.place),
        _ => None,
    };
    selected.or(only).ok_or_else(|| text::NO_THREAD.to_owned())
}

/// One instruction.
pub fn step(state: &mut State, arguments: &str) -> Vec<Ask> {
    match thread(state, arguments) {
        Ok(place) => {
            let name = state.name(place);
            log_command(state, &["step", &name]);
            vec![Ask::Do(Job::Step(place))]
        }
        Err(error) => trouble(state, error),
    }
}

/// Takes a long job up, unless one is under way.
fn start(state: &mut State, title: &str, words: &[&str], job: Job) -> Vec<Ask> {
    start_all(state, title, &[words.iter().map(|word| (*word).to_owned()).collect()], job)
}

/// The same of a job that several commands would do.
pub fn start_all(state: &mut State, title: &str, commands: &[Vec<String>], job: Job) -> Vec<Ask> {
    if state.work.is_some() {
        return trouble(state, text::BUSY);
    }
    for words in commands {
        log_command(state, &words.iter().map(String::as_str).collect::<Vec<_>>());
    }
    state.work = Some(Work {
        title: title.to_owned(),
        phase: String::new(),
        done: 0,
        total: 0,
        since: (state.now, 0),
        cancelling: false,
    });
    vec![Ask::Do(job)]
}

/// Saves a checkpoint.
pub fn save(state: &mut State, arguments: &str) -> Vec<Ask> {
    let name = Some(arguments.to_owned()).filter(|name| !name.is_empty());
    start(state, "save", &["checkpoint", "save", arguments], Job::Save { name, then_stop: false })
}

/// The checkpoint that restore goes back to.
pub fn restore_target(state: &State) -> Option<String> {
    let selected = || state.selected_checkpoint().map(|saved| saved.id.clone());
    let opened = state.opened.as_ref().map(|(id, _)| id.clone());
    if state.tab == super::super::state::Tab::Checkpoints {
        return selected();
    }
    opened.or_else(|| state.info.as_ref()?.checkpoint.clone())
}

/// Asks whether to restore.
pub fn restore(state: &mut State, arguments: &str) -> Vec<Ask> {
    if !state.pending.is_empty() {
        return trouble(state, text::PENDING_FIRST);
    }
    let named = Some(arguments.to_owned()).filter(|name| !name.is_empty());
    match named.or_else(|| restore_target(state)) {
        Some(id) => {
            state.mode = Mode::Confirm(Question::Restore(id));
            Vec::new()
        }
        None => trouble(state, text::NO_CHECKPOINT),
    }
}

/// Restores, once that was confirmed.
pub fn restore_now(state: &mut State, id: String) -> Vec<Ask> {
    let words = ["checkpoint", "restore", &id];
    start(state, "restore", &words, Job::Restore { id: id.clone(), force: false })
}

/// Asks whether to take the last edit, poke or restore back.
pub fn undo(state: &mut State, _: &str) -> Vec<Ask> {
    if !state.pending.is_empty() {
        return trouble(state, text::PENDING_FIRST);
    }
    state.mode = Mode::Confirm(Question::Undo);
    Vec::new()
}

/// Takes it back, once that was confirmed.
pub fn undo_now(state: &mut State) -> Vec<Ask> {
    start(state, "undo", &["undo"], Job::Undo)
}

/// Marks the selected checkpoint, to compare others with it, or takes the mark off.
pub fn mark(state: &mut State, _: &str) -> Vec<Ask> {
    let selected = state.selected_checkpoint().map(|saved| saved.id.clone());
    state.marked = if state.marked == selected { None } else { selected };
    Vec::new()
}

/// Compares two checkpoints: those named, or the marked one or else the parent with the selected one.
pub fn compare(state: &mut State, arguments: &str) -> Vec<Ask> {
    let selected = state.selected_checkpoint();
    let pair = match arguments.split_once(' ') {
        Some((before, after)) => Some((before.to_owned(), after.trim().to_owned())),
        None => selected.and_then(|saved| {
            let marked = state.marked.clone().filter(|marked| *marked != saved.id);
            Some((marked.or_else(|| saved.parent.clone())?, saved.id.clone()))
        }),
    };
    let Some((before, after)) = pair else { return trouble(state, text::NOTHING_TO_COMPARE) };
    log_command(state, &["checkpoint", "diff", &before, &after]);
    vec![Ask::Compare(before, after)]
}

/// Asks whether to remove a checkpoint.
pub fn remove(state: &mut State, arguments: &str) -> Vec<Ask> {
    let named = Some(arguments.to_owned()).filter(|name| !name.is_empty());
    match named.or_else(|| state.selected_checkpoint().map(|saved| saved.id.clone())) {
        Some(id) => {
            state.mode = Mode::Confirm(Question::Remove(id));
            Vec::new()
        }
        None => trouble(state, text::NO_CHECKPOINT),
    }
}

/// Removes it, once that was confirmed.
pub fn remove_now(state: &mut State, id: String) -> Vec<Ask> {
    let words = ["checkpoint", "rm", &id];
    start(state, "remove", &words, Job::Remove(id.clone()))
}

/// Saves an edited checkpoint.
pub fn save_edited(state: &mut State, words: &[&str], job: Job) -> Vec<Ask> {
    start(state, "save", words, job)
}

/// Gives up what is under way.
pub fn cancel(state: &mut State, _: &str) -> Vec<Ask> {
    let Some(work) = state.work.as_mut() else { return trouble(state, text::NO_WORK) };
    work.cancelling = true;
    state.tell(LogKind::Note, text::CANCELLING);
    vec![Ask::Cancel]
}

/// Begins typing input for the program, or sends what is given.
pub fn input(state: &mut State, arguments: &str) -> Vec<Ask> {
    if arguments.is_empty() {
        state.tab = super::super::state::Tab::Console;
        state.console.back = 0;
        state.mode = Mode::Typing(Line::default());
        return Vec::new();
    }
    vec![Ask::Do(Job::Type(format!("{arguments}\n").into_bytes()))]
}

/// Asks how to leave; leaves at once where there is nothing to ask.
pub fn quit(state: &mut State, _: &str) -> Vec<Ask> {
    let question = match (state.has_guest(), state.pending.is_empty()) {
        (_, false) => Question::Discard,
        (true, true) => Question::Quit,
        (false, true) => {
            state.leave = Some(gone(state));
            return Vec::new();
        }
    };
    state.mode = Mode::Confirm(question);
    Vec::new()
}

/// How the screen is left when there is nothing to ask.
pub fn gone(state: &State) -> super::super::state::Leave {
    if state.has_session { super::super::state::Leave::Gone } else { super::super::state::Leave::Running }
}

/// Stops the session, after saving a checkpoint if wanted.
pub fn stop(state: &mut State, with_checkpoint: bool) -> Vec<Ask> {
    if with_checkpoint {
        return start(state, "save", &["checkpoint", "save"], Job::Save { name: None, then_stop: true });
    }
    log_command(state, &["stop"]);
    vec![Ask::Do(Job::Stop)]
}
