//! Every text of the TUI that is not in the table of commands. `{command}` in it is the key that the command has: see
//! [`super::keymap::Keymap::fill`].

use std::time::Duration;

use flob_abi::FlobKind;
use flob_image::Place;
use flob_link::StopReason;
use flob_session::why_stopped;

use super::calls::Calls;
use super::state::{Ended, Tab};

#[expect(missing_docs, reason = "texts")]
mod constants {
    pub const LINKS: &str = "links";
    pub const INCOMING: &str = "leads here";
    pub const FIELDS: &str = "fields";
    pub const NOT_BYTES: &str = "bytes are pairs of hexadecimal digits, like 0f a0";
    pub const NOTHING_YET: &str = "nothing has come from the guest yet";
    pub const NO_FLOB: &str = "no flob is selected";
    pub const NO_OUTPUT: &str = "no output yet";
    pub const EQUAL: &str = "they are equal in everything";
    pub const NOTHING_TO_COMPARE: &str = "with which one? mark another one with {mark} first";
    pub const NO_CHECKPOINTS: &str = "no checkpoints yet: {checkpoint save} saves one";
    pub const NO_CHECKPOINT: &str = "no checkpoint is selected";
    pub const NO_THREAD: &str = "select a thread first";
    pub const NO_SESSION: &str = "there is no running session here: this is a checkpoint";
    pub const NO_EDITS: &str = "no edits are pending: {edit} edits the selected field";
    pub const NOT_EDITABLE: &str = "this cannot be edited: select a field or a link in the detail pane";
    pub const NOT_FOUND: &str = "not found";
    pub const NO_LINK: &str = "no link leads on from here";
    pub const NO_WORK: &str = "nothing to cancel";
    pub const BUSY: &str = "one long job at a time: {cancel} cancels the one under way";
    pub const PENDING_FIRST: &str = "edits are pending: apply them ({apply}) or drop them ({drop all}) first";
    pub const HUB_GONE: &str = "the session has ended";
    pub const GUEST_DEAD: &str = "the guest has ended; what was seen last stays";
    pub const LINK_LOST: &str = "reconnecting";
    pub const LINK_UP: &str = "connected to the guest";
    pub const ANOTHER_GUEST: &str =
        "another guest answers, which was started since: breakpoints and holds are gone";
    pub const FINISHING: &str = "the session ends as soon as what was asked of it is done";
    pub const RESTARTED: &str = "restarted: the program stands at its beginning, held: {resume} lets it run";
    pub const RESTORED: &str = "restored; everything is held: {resume} lets it run";
    pub const CANCELLING: &str = "giving up";
    pub const NO_BYTES: &str = "there is no memory here";
    pub const SET_USAGE: &str = "usage: set FLOB FIELD=VALUE";
    pub const POKE_USAGE: &str = "usage: poke ADDRESS BYTES";
    pub const INPUT_HINT: &str = "{input} types input for the program";
    pub const NO_INPUT: &str = "the program reads its input from elsewhere";
    pub const HELP_TITLE: &str = "help (Esc closes, arrows scroll)";
    pub const TOO_SMALL: &str = "the terminal is too small";
    pub const APPLY_TITLE: &str = "apply these edits?";
    pub const APPLY_KEYS: &str = "Enter applies, u drops the last, Esc goes back";
    pub const CONFIRM_KEYS: &str = "Enter: yes   Esc: no";
    pub const QUIT_TITLE: &str = "leave";
    pub const QUIT_LINES: [&str; 4] = [
        "l  leave the session running",
        "c  save a checkpoint, then stop the session",
        "s  stop the session",
        "Esc  stay",
    ];
    pub const DISCARD: &str = "Edits are pending and would be lost. Leave all the same?";
    pub const THREAD_HEAD: [&str; 4] = ["state", "thread", "at", "waits for"];
    pub const CHECKPOINT_HEAD: [&str; 5] = ["id", "name", "size", "taken", "program"];
    pub const APPLIED: &str = "applied";
    pub const USER: &str = "the user";
    pub const SESSION_OVER: &str = "session ended";
    pub const GUEST_OVER: &str = "guest ended";
    pub const DIED: &str = "died";
    pub const CONNECTING: &str = "connecting";
    pub const HELD: &str = "held";
    pub const PARTLY_HELD: &str = "partly held";
    pub const DEADLOCKED: &str = "deadlock";
    pub const STARTING: &str = "the guest is starting";
    pub const EDIT_KEYS: &str = "Enter take the value  Esc leave it as it is";
    pub const INPUT_KEYS: &str = "Enter send the line  ^D end of input  Esc stop typing";
    pub const SEARCH_KEYS: &str = "Enter find (then {next}, {previous})  Esc leave";
    pub const PALETTE_TITLE: &str = "commands: type a part of what you want";
    pub const PALETTE_PROMPT: &str = "> ";
    pub const PALETTE_KEYS: &str = "Enter do it  Up Down choose  Esc leave";
    pub const COMMAND_KEYS: &str = "Enter do it  Tab complete  Esc leave";
    pub const HELP_KEYS: &str = "Up up  Down down  PgUp PgDn page  Esc close";
    pub const QUESTION_KEYS: &str = "Enter yes  Esc no";
    pub const QUIT_KEYS: &str = "l leave it running  c save and stop  s stop  Esc stay";
    pub const APPLY_LINE: &str = "Enter apply  u drop the last  Esc go back";
    pub const RUNNING: &str = "running";
    pub const FREE: &str = "free";
    pub const OUTSIDE: &str = "outside";
    pub const IS_HELD: &str = ", held";
    pub const IS_SERVED: &str = "is served";
    pub const SLEEPS: &str = "sleeps";
    pub const WAITS: &str = "waits";
    pub const WAITS_FOR_REQUESTS: &str = "waits for requests";
    pub const WAITS_FOR_SERVER: &str = "waits for a server";
    pub const WAITS_FOR_ANSWER: &str = "waits for an answer";
    pub const EDITED: &str = " (edited)";
    pub const ENVIRONMENT_MEMORY: &str = "Memory of the environment ({space}: of a space)";
    pub const SEARCH_PROMPT: &str = "/";
    pub const COMMAND_PROMPT: &str = ":";
    pub const INPUT_PROMPT: &str = "input> ";
    pub const EDIT_OK: &str = "Enter takes it, Esc does not";
    pub const MORE: &str = "and more";
    pub const SAVE_EDITED_TITLE: &str = "save a new checkpoint with these edits?";
    pub const RESTORE_TITLE: &str = "restore";
    pub const UNDO_TITLE: &str = "undo";
    pub const UNDO_QUESTION: &str = "Take the last applied edit, poke or restore back? What the program has done since is lost unless it is saved.";
    pub const REMOVE_TITLE: &str = "remove";
    pub const NO_STORE: &str = "there is no checkpoint store";
    pub const UNEXPECTED: &str = "the hub gave another kind of answer";
    pub const UNCHANGED: &str = "nothing was changed";
    pub const CODE_HEAD: [&str; 3] = ["address", "bytes", "instruction"];
    pub const NO_BREAKPOINTS: &str = "there are no breakpoints: {break} sets one";
    pub const NO_BREAKPOINT: &str = "no breakpoint is selected";
    pub const POINTS_HEAD: [&str; 7] = ["no", "kind", "where", "of", "hits", "state", "if"];
    pub const ENABLED: &str = "enabled";
    pub const DISABLED: &str = "disabled";
    pub const FAILED: &str = "failed";
    pub const FILTER_PROMPT: &str = "filter> ";
    pub const FILTER_KEYS: &str = "Enter show only what contains this (nothing: all)  Esc leave";
    pub const TRACE_USAGE: &str = "usage: trace [services|calls|off]";
    pub const NOTHING_TRACED: &str =
        "nothing is traced: {trace} traces what the program asks of its parent; once more, kernel calls too";
    pub const NOTHING_TRACED_YET: &str = "the program has asked for nothing yet";
    pub const NOTHING_FITS: &str = "nothing contains that: {filter} changes the filter";
    pub const CALLS_COLUMNS: [&str; 4] = ["time", "thread", "call", "took"];
    pub const FLOB_COLUMNS: [&str; 2] = ["name", "changed"];
    pub const NOTHING_TO_COPY: &str = "nothing is selected that could be copied";
    pub const CHOICES_TITLE: &str = "Up Down choose";
    pub const NO_LIST: &str = "there is no list here to filter";
    pub const CALLS_HEAD: [&str; 3] = ["time", "  thread", "call"];
    pub const UNDER_WAY: &str = "under way";
    pub const CALL_UNDONE: &str = "undone: a checkpoint was restored";
    pub const CALL_OF_LAST_RUN: &str = "never ended: the program was restarted";
    pub const THREAD_GONE: &str = "that thread is not there any more";
    pub const NO_OLD_BYTES: &str = "??";
}

pub use constants::*;

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

/// What looking costs the program: looks a second, and the share of its time in thousandths.
pub fn cost(looks: f64, share: f64) -> String {
    format!("  {looks:.1} looks/s cost {:.1} %", share * 100.0)
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

/// A moment of the program's time, in seconds.
pub fn moment(nanoseconds: u64) -> String {
    format!("{:>4}.{:06}", nanoseconds / 1_000_000_000, nanoseconds / 1_000 % 1_000_000)
}

/// How long something took.
pub fn took(nanoseconds: u64) -> String {
    format!("{}.{:03} ms", nanoseconds / 1_000_000, nanoseconds / 1_000 % 1_000)
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

/// How old something is.
pub fn age(age: Duration) -> String {
    match age.as_secs() {
        0 => "now".into(),
        seconds @ 1..=99 => format!("{seconds}s old"),
        seconds => format!("{}min old", seconds / 60),
    }
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

/// How fast something goes and how long it will take.
pub fn pace(rate: u64, left: u64) -> String {
    let left = if left < 100 { format!("{left}s") } else { format!("{}min", left / 60) };
    format!("{}/s, {left} left", amount(rate))
}

/// A number with at most four digits and a unit.
pub fn amount(number: u64) -> String {
    match number {
        0..=9_999 => number.to_string(),
        10_000..=9_999_999 => format!("{}k", number / 1_000),
        _ => format!("{}M", number / 1_000_000),
    }
}

/// A number of bytes.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = (count.max(1).ilog2() / 10).min(4);
    let whole = count >> (10 * unit);
    let tenth = if unit == 0 { 0 } else { (count >> (10 * (unit - 1)) & 1023) * 10 / 1024 };
    let name = UNITS.get(unit as usize).copied().unwrap_or_default();
    if whole < 10 && tenth > 0 { format!("{whole}.{tenth} {name}") } else { format!("{whole} {name}") }
}

/// A moment in seconds since 1970, in universal time.
pub fn date(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days of the proleptic Gregorian calendar, counted in eras of 400 years from 1 March 0000.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let moments = [
            (0, "1970-01-01 00:00:00"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_767_225_599, "2025-12-31 23:59:59"),
        ];
        moments.iter().for_each(|(seconds, text)| assert_eq!(date(*seconds), *text));
    }

    #[test]
    fn sizes_have_a_unit_and_a_tenth_where_it_matters() {
        let sizes = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (10 << 20, "10 MiB"),
            (u64::MAX, "16777215 TiB"),
        ];
        sizes.iter().for_each(|(size, text)| assert_eq!(bytes(*size), *text));
    }
}
