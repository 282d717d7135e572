//! Every text of the TUI that is not in the table of commands.

use flob_image::Place;

use super::state::Tab;

#[expect(missing_docs, reason = "texts")]
mod constants {
    pub const LINKS: &str = "links";
    pub const INCOMING: &str = "leads here";
    pub const FIELDS: &str = "fields";
    pub const NOT_BYTES: &str = "bytes are pairs of hexadecimal digits, like 0f a0";
    pub const NOTHING_YET: &str = "nothing has come from the guest yet";
    pub const NO_FLOB: &str = "no flob is selected";
    pub const NO_OUTPUT: &str = "no output yet";
    pub const NO_CHECKPOINTS: &str = "no checkpoints yet: c saves one";
    pub const NO_CHECKPOINT: &str = "no checkpoint is selected";
    pub const NO_THREAD: &str = "select a thread first";
    pub const NO_SESSION: &str = "there is no running session here: this is a checkpoint";
    pub const NO_EDITS: &str = "no edits are pending: e edits the selected field";
    pub const NOT_EDITABLE: &str = "this cannot be edited: select a field or a link in the detail pane";
    pub const NOT_FOUND: &str = "not found";
    pub const NO_LINK: &str = "no link leads on from here";
    pub const NO_WORK: &str = "nothing to cancel";
    pub const BUSY: &str = "one long job at a time: x cancels the one under way";
    pub const PENDING_FIRST: &str = "edits are pending: apply them (a) or drop them (U) first";
    pub const HUB_GONE: &str = "the session has ended";
    pub const GUEST_DEAD: &str = "the guest has ended; what was seen last stays";
    pub const LINK_LOST: &str = "reconnecting";
    pub const LINK_UP: &str = "connected to the guest";
    pub const RESTORED: &str = "restored; everything is held: r lets it run";
    pub const CANCELLING: &str = "giving up";
    pub const NO_BYTES: &str = "there is no memory here";
    pub const SET_USAGE: &str = "usage: set FLOB FIELD=VALUE";
    pub const POKE_USAGE: &str = "usage: poke ADDRESS BYTES";
    pub const INPUT_HINT: &str = "i types input for the program";
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
    pub const NO_OLD_BYTES: &str = "??";
}

pub use constants::*;

/// The title of a tab.
pub const fn tab(tab: Tab) -> &'static str {
    match tab {
        Tab::Flobs => "Flobs",
        Tab::Threads => "Threads",
        Tab::Memory => "Memory",
        Tab::Console => "Console",
        Tab::Checkpoints => "Checkpoints",
        Tab::Log => "Log",
    }
}

/// A shorter title of a tab, for narrow screens.
pub const fn tab_short(tab: Tab) -> &'static str {
    match tab {
        Tab::Memory => "Mem",
        Tab::Checkpoints => "Saves",
        other => self::tab(other),
    }
}

/// Nothing has this name.
pub fn no_such_flob(text: &str) -> String {
    format!("there is no flob '{text}'")
}

/// Several flobs have this name.
pub fn ambiguous(text: &str, names: &[String]) -> String {
    format!("'{text}' could be {}", names.join(", "))
}

/// A flob that was there is not there any more.
pub fn flob_gone(place: Place) -> String {
    format!("the flob at {place:#x} is not there any more")
}

/// A deadlock, its threads named in the order of their waiting.
pub fn deadlock(names: &[&str], arrow: &str) -> String {
    let first = names.first().copied().unwrap_or_default();
    format!("DEADLOCK of {}: {} {arrow} {first}", names.len(), names.join(&format!(" {arrow} ")))
}

/// The program has ended with this code.
pub fn exited(code: i32) -> String {
    format!("the program has ended with exit code {code}; it stays to be looked at")
}

/// Others still hold threads.
pub fn still_held(holders: &[String]) -> String {
    format!("still held by {}: ':resume --force' lets go all the same", holders.join(", "))
}

/// Asks whether to restore.
pub fn restore_question(id: &str) -> String {
    format!("Restore checkpoint {id}? What the program has done since is lost unless it is saved.")
}

/// Asks whether to remove.
pub fn remove_question(id: &str) -> String {
    format!("Remove checkpoint {id}?")
}

/// No command has this name.
pub fn no_such_command(text: &str) -> String {
    format!("there is no command '{text}'; ? lists them")
}

/// A command that makes no sense now.
pub fn not_now(name: &str) -> String {
    format!("'{name}' is not possible here")
}

/// No symbol or address.
pub fn no_such_address(text: &str) -> String {
    format!("'{text}' is no address, symbol or flob")
}

/// How many edits are pending.
pub fn pending(count: usize) -> String {
    match count {
        0 => "no edits are pending".into(),
        1 => "1 edit is pending: a applies, u takes it back".into(),
        count => format!("{count} edits are pending: a applies, u takes the last back"),
    }
}
