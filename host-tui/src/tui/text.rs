//! Every text of the TUI that is not in the table of commands. `{command}` in it is the key that the command has: see
//! [`super::keymap::Keymap::fill`].

use flob_abi::FlobKind;
use flob_image::Place;
use flob_link::StopReason;
use flob_session::why_stopped;

use super::calls::Calls;
use super::state::{Ended, Tab};

mod constants;
mod figures;

pub use constants::*;
pub use figures::*;

/// The title of a tab.
pub const fn tab(tab: Tab) -> &'static str {
    match tab {
        Tab::Flobs => "Flobs",
        Tab::Threads => "Threads",
        Tab::Memory => "Memory",
        Tab::Graph => "Graph",
        Tab::Console => "Console",
        Tab::Checkpoints => "Checkpoints",
        Tab::Log => "Log",
        Tab::Calls => "Calls",
        Tab::Breakpoints => "Breakpoints",
    }
}

/// A shorter title of a tab, for narrow screens.
pub const fn tab_short(tab: Tab) -> &'static str {
    match tab {
        Tab::Memory => "Mem",
        Tab::Checkpoints => "Saves",
        Tab::Console => "Out",
        Tab::Breakpoints => "Stops",
        other => self::tab(other),
    }
}

/// Title of the trace: what is traced, and what of it is shown.
pub fn calls_title(calls: &Calls) -> String {
    let mut title = tab(Tab::Calls).to_owned();
    let mut add = |text: &str| title = format!("{title}, {text}");
    match (calls.tracing.services, calls.tracing.calls.is_empty()) {
        (false, true) => add("off"),
        (true, true) => add("services"),
        (false, false) => add("kernel calls"),
        (true, false) => add("services and kernel calls"),
    }
    if calls.is_frozen {
        add("frozen");
    }
    if calls.lost() > 0 {
        add(&format!("{} lost", calls.lost()));
    }
    title
}

/// How a list is sorted.
pub fn sorted_by(column: &str, direction: &str) -> String {
    format!("by {column} {direction}")
}

/// How a list is filtered.
pub fn only(filter: &str) -> String {
    format!("only '{filter}'")
}

/// A list cannot be sorted so.
pub fn no_such_column(name: &str, columns: &[&str]) -> String {
    if columns.is_empty() {
        return "there is no list here to sort".into();
    }
    format!("no column '{name}': sort [{}|off] [down]", columns.join("|").replace(' ', ""))
}

/// The program has moved into another session.
pub fn moved(to: &str) -> String {
    format!("the program goes on in session '{to}': 'flob attach {to}' shows it")
}

/// This is in the clipboard now.
pub fn copied(text: &str) -> String {
    format!("copied: {text}")
}

/// Where a breakpoint is, and on what condition.
pub fn point(place: &str, address: Option<(Place, u64)>, condition: &str) -> String {
    let address = address.map(|(_, address)| format!(", {address:#x}")).unwrap_or_default();
    let condition = if condition.is_empty() { String::new() } else { format!(", if {condition}") };
    format!("{place}{address}{condition}")
}

/// Title of a comparison.
pub fn compared(before: &str, after: &str) -> String {
    format!("from {before} to {after}")
}

/// A script has come to its end early.
pub fn script_stopped(line: usize, trouble: &str) -> String {
    format!("the script stops at line {line}: {trouble}")
}

/// A flob that was there is not there any more.
pub fn flob_gone(place: Place) -> String {
    format!("the flob at {place:#x} is not there any more")
}

/// A deadlock, the first of its threads named in the order of their waiting.
pub fn deadlock(count: usize, names: &[&str], arrow: &str) -> String {
    let first = if names.len() == count { names.first().copied().unwrap_or_default() } else { "and more" };
    format!("DEADLOCK of {count}: {} {arrow} {first}", names.join(&format!(" {arrow} ")))
}

/// The head of a ring.
pub fn deadlock_of(count: usize) -> String {
    format!("deadlock of {count}")
}

/// Where in the source.
pub fn at(position: &str) -> String {
    format!("at {position}")
}

/// The program has ended with this code.
pub fn exited(code: i32) -> String {
    format!("the program has ended with exit code {code}; it stays to be looked at")
}

/// How the program ended, in a line.
pub fn ended(ended: &Ended) -> String {
    match ended {
        Ended::Exited(code) => format!("the program has ended with exit code {code}"),
        Ended::Died(sentence, _) => sentence.clone(),
    }
}

/// The session runs on.
pub fn runs_on(session: &str) -> String {
    format!("session {session} runs on: 'flob attach {session}' shows it, 'flob stop {session}' ends it")
}

/// The session was stopped after a save.
pub fn stopped_with(session: &str, id: &str) -> String {
    format!(
        "session {session} is stopped; 'flob attach --at {id}' opens its checkpoint, 'flob run --restore {id} PROGRAM' goes on"
    )
}

/// The session was stopped.
pub fn session_stopped(session: &str) -> String {
    format!("session {session} is stopped")
}

/// Others still hold threads.
pub fn still_held(holders: &[String]) -> String {
    format!("still held by {}: ':resume --force' lets go all the same", holders.join(", "))
}

/// The first of several commands.
pub fn first_of(command: &str, count: usize) -> String {
    if count > 1 { format!("{command} and {} more", count - 1) } else { command.to_owned() }
}

/// What is done now cannot be undone.
pub fn not_kept(error: &str) -> String {
    format!("this will not be undone by 'flob undo': {error}")
}

/// Some edits were applied, then one failed.
pub fn partly(done: usize, of: usize, error: &str) -> String {
    format!("{done} of {of} edits were applied, then: {error}")
}

/// A worker has panicked.
pub fn defect(what: &str) -> String {
    format!("this is a defect of flob, please report it: {what}")
}

/// Asks whether to restore.
pub fn restore_question(id: &str) -> String {
    format!("Restore checkpoint {id}? What the program has done since is lost unless it is saved.")
}

/// The guest has restored after all.
pub fn arrived(id: Option<&str>) -> String {
    let what = id.map_or_else(|| "a checkpoint".to_owned(), |id| format!("checkpoint {id}"));
    format!("the guest answers again, and {what} is in place after all; everything is held")
}

/// A checkpoint that this screen has not asked for: the black box's, or another client's.
pub fn saved_elsewhere(id: &str) -> String {
    format!("checkpoint {id} was saved: {{checkpoint list}} lists it")
}

/// Asks whether to remove.
pub fn remove_question(id: &str) -> String {
    format!("Remove checkpoint {id}?")
}

/// No command has this name.
pub fn no_such_command(text: &str) -> String {
    format!("there is no command '{text}'; {{help}} lists them")
}

/// A command that makes no sense now.
pub fn not_now(name: &str) -> String {
    format!("'{name}' is not possible here; {{help}} tells where")
}

/// How many edits are pending.
pub fn pending(count: usize) -> String {
    match count {
        0 => "no edits are pending".into(),
        1 => "1 edit is pending: {apply} applies, {drop} takes it back".into(),
        count => format!("{count} edits are pending: {{apply}} applies, {{drop}} takes the last back"),
    }
}

/// A checkpoint is browsed.
pub fn opened(id: &str, has_session: bool) -> String {
    let back = if has_session { "; {back} goes back to the session" } else { "" };
    format!("checkpoint {id}: edits are saved as a new checkpoint{back}")
}

/// A thread was stopped.
pub fn stopped(name: &str, reason: &StopReason) -> String {
    format!("{name} {}", why_stopped(reason))
}

/// A thread died.
pub fn died(name: &str, what: &str, address: u64) -> String {
    format!("{name} died: {what} at {address:#x}; everything is stopped, to be looked at")
}

/// A checkpoint was saved.
pub fn saved(id: &str) -> String {
    format!("saved checkpoint {id}")
}

/// An edited checkpoint was saved.
pub fn saved_edited(id: &str) -> String {
    format!("saved the edited checkpoint as {id}: {{checkpoint restore}} restores it")
}

/// Title of the memory of a space.
pub fn space_memory(name: &str) -> String {
    format!("Memory of {name} ({{space}}: next space)")
}

/// What the first line says of an opened checkpoint.
pub fn checkpoint_title(id: &str) -> String {
    format!("checkpoint {id}")
}

/// The program's exit, in two words.
pub fn exit_word(code: i32) -> String {
    format!("exited {code}")
}

/// Behind the name of the program: how many flobs, how much memory.
pub fn environment(flobs: usize, size: u64) -> String {
    format!("  {flobs} flobs, {}", bytes(size))
}

/// Several of a kind.
pub fn group(kind: FlobKind) -> &'static str {
    match kind {
        FlobKind::Space => "spaces",
        FlobKind::Thread => "threads",
        FlobKind::Region => "regions",
        FlobKind::Mapping => "mappings",
        FlobKind::Port => "ports",
        FlobKind::PortSet => "port sets",
        FlobKind::Mutex => "mutexes",
        FlobKind::Condition => "conditions",
        FlobKind::Reference => "references",
    }
}

/// How many threads wait for something.
pub fn waiters(count: usize) -> String {
    format!(", {count} waiting")
}

/// A mutex is held.
pub fn held_by(owner: &str) -> String {
    format!("held by {owner}")
}

/// The alias of a port.
pub fn alias(alias: u64) -> String {
    format!("alias {alias:#x}")
}

/// What a thread waits for and who holds it.
pub fn waits_held(target: &str, holder: &str) -> String {
    format!("{target}, held by {holder}")
}

/// A pane that is scrolled back.
pub fn scrolled(title: &str, lines: usize) -> String {
    format!("{title} ({lines} lines back; {{last}} follows)")
}

/// The number at an address.
pub fn word_at(place: &str, number: u64) -> String {
    format!("{place}: {number:#x} = {number}")
}

/// Before the bytes that are edited.
pub fn bytes_prompt(address: u64) -> String {
    format!("bytes at {address:#x} = ")
}
