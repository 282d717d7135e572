//! Checkpoints: saving, listing, restoring, comparing.

use std::fmt::Write;

use flob_image::{
    Environment,
    diff::{self, FlobChange},
    store::{Checkpoint, Listed, Store},
};
use flob_session::{Error, names::Names};

use crate::{guest::Guest, inferior::Inferior};

/// Saves one, as if nobody held the program.
pub fn save<G: Guest>(inferior: &mut Inferior<G>, name: &str) -> Result<String, Error> {
    let id = inferior.guest.save((!name.is_empty()).then(|| name.to_owned()))?;
    Ok(format!("{id} saved; monitor restore {id} goes back to this moment\n"))
}

/// The tree of all checkpoints of the store.
pub fn list<G: Guest>(_: &mut Inferior<G>, _: &str) -> Result<String, Error> {
    let listed = Store::open_default()?.list()?;
    if listed.is_empty() {
        return Ok("there are no checkpoints: monitor checkpoint saves one\n".into());
    }
    Ok(listed.iter().map(line).collect())
}

fn line(listed: &Listed) -> String {
    let id = format!("{}{}", "  ".repeat(listed.depth), listed.id);
    match &listed.summary {
        Err(error) => format!("{id:<16} {error}\n"),
        Ok(summary) => {
            let name = summary.name.as_deref().unwrap_or("-");
            let (threads, flobs, kib) = (summary.threads, summary.flobs, summary.stored / 1024);
            let program = summary.arguments.join(" ");
            format!("{id:<16} {name:<16} {threads} threads, {flobs} flobs, {kib} KiB: {program}\n")
        }
    }
}

/// Restores one. The debugger's space stays held by the debugger; the others go on.
pub fn restore<G: Guest>(inferior: &mut Inferior<G>, id: &str) -> Result<String, Error> {
    if id.is_empty() {
        let text = "which one? monitor restore CHECKPOINT; monitor checkpoints lists them";
        return Err(Error::Usage(text.into()));
    }
    // What is not there is told before anything is done.
    let id = inferior.guest.checkpoint(id)?;
    let id = inferior.restore(&id)?;
    Ok(format!(
        "{id} restored; gdb shows older values until the program next goes on: that stops at once at the new state\n"
    ))
}

/// What changed from one to the other, or to now.
pub fn diff<G: Guest>(inferior: &mut Inferior<G>, line: &str) -> Result<String, Error> {
    let ids: Vec<&str> = line.split_whitespace().collect();
    let store = Store::open_default()?;
    match ids.as_slice() {
        [before] => {
            let before = store.load(before)?;
            let now = inferior.look_afresh()?;
            let names = inferior.names_of(&now);
            let old_names = inferior.names_of(before.environment());
            Ok(told(&compare(before.environment(), &old_names, &now, &names), None))
        }
        [before, after] => {
            let (before, after) = (store.load(before)?, store.load(after)?);
            let (old, new) = (before.environment(), after.environment());
            let (old_names, names) = (inferior.names_of(old), inferior.names_of(new));
            Ok(told(&compare(old, &old_names, new, &names), Some(pages(&before, &after))))
        }
        _ => Err(Error::Usage("monitor diff CHECKPOINT [CHECKPOINT]; monitor checkpoints lists them".into())),
    }
}

fn told(lines: &str, pages: Option<u64>) -> String {
    match pages {
        Some(pages @ 1..) => format!("{lines}memory: {pages} pages differ\n"),
        _ if lines.is_empty() => "no differences\n".into(),
        _ => lines.into(),
    }
}

fn pages(before: &Checkpoint, after: &Checkpoint) -> u64 {
    let of = |checkpoint: &Checkpoint| checkpoint.pages().collect::<Vec<_>>();
    diff::pages(&of(before), &of(after)).into_iter().map(|range| range.end - range.start).sum()
}

fn compare(before: &Environment, old_names: &Names, after: &Environment, names: &Names) -> String {
    let changes = diff::diff(before, after);
    let mut text = String::new();
    for flob in &changes.removed {
        let _ = writeln!(text, "- {}", old_names.flob(flob.place));
    }
    for flob in &changes.added {
        let _ = writeln!(text, "+ {}", names.flob(flob.place));
    }
    for change in &changes.changed {
        text += &changed(old_names, names, change);
    }
    for stream in &changes.streams {
        let _ = writeln!(text, "{}: {} -> {}", stream.name, stream.before, stream.after);
    }
    if changes.clock != 0 {
        let _ = writeln!(text, "clock: {:+.3} s", changes.clock as f64 / 1e9);
    }
    text
}

fn changed(old_names: &Names, names: &Names, change: &FlobChange) -> String {
    let flob = names.flob(change.place);
    let mut text = String::new();
    for link in &change.links {
        let (before, after) = (old_names.link(&link.before), names.link(&link.after));
        let _ = writeln!(text, "{flob} {}: {before} -> {after}", link.link);
    }
    for field in &change.fields {
        let _ = writeln!(text, "{flob} {}: {} -> {}", field.field, field.before, field.after);
    }
    text
}
