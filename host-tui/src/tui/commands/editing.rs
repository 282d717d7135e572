//! Editing fields, links, memory and saved checkpoints.

use flob_image::{Place, fields};
use flob_link::Memory;

use super::super::{
    choices::Choices,
    detail,
    edit::{self, Edit, Editor, Target},
    layout::has_detail,
    line::Line,
    message::{Ask, Job},
    state::{Focus, LogKind, Mode, Question, State, Tab},
    store::Poke,
    text,
};
use super::{control, log_command, memory, navigate, trouble};

/// The flob and the field or link under the cursor.
pub fn field_under_cursor(state: &State) -> Option<(Place, &'static str)> {
    if state.focus != Focus::Detail || !has_detail(state.tab) {
        return None;
    }
    let name =
        navigate::detail_rows(state).get(state.detail.list.selected).and_then(detail::Row::editable)?;
    Some((state.detail.place?, name))
}

/// Begins to edit what is selected.
pub fn edit(state: &mut State, _: &str) -> Vec<Ask> {
    if state.tab == Tab::Checkpoints {
        return open_checkpoint(state, "");
    }
    if state.tab == Tab::Memory {
        return edit_memory(state);
    }
    let Some((place, name)) = field_under_cursor(state) else { return trouble(state, text::NOT_EDITABLE) };
    let flob = state.shown().and_then(|snapshot| snapshot.environment.flob(place));
    let Some(old) = flob.and_then(|flob| fields::get(flob, name)) else {
        return trouble(state, text::NOT_EDITABLE);
    };
    let line = Line::new(pending_value(state, place, name).unwrap_or_else(|| old.clone()));
    state.mode = Mode::Edit(Editor {
        target: Target::Field(place, name.to_owned()),
        old,
        line,
        choices: Choices::default(),
    });
    Vec::new()
}

fn pending_value(state: &State, flob: Place, field: &str) -> Option<String> {
    state.pending.iter().rev().find_map(|edit| match edit {
        Edit::Field { place, name, new, .. } if *place == flob && name == field => Some(new.clone()),
        _ => None,
    })
}

fn edit_memory(state: &mut State) -> Vec<Ask> {
    let view = &state.memory;
    let old = edit::format_bytes(&view.bytes_at(view.cursor, 8));
    if old.is_empty() {
        return trouble(state, text::NO_BYTES);
    }
    let target = Target::Memory(view.memory, view.cursor);
    state.mode =
        Mode::Edit(Editor { target, line: Line::new(old.clone()), old, choices: Choices::default() });
    Vec::new()
}

/// Takes an edit up among the pending ones, in place of an earlier one of the same field.
pub fn take(state: &mut State, edit: Edit) {
    if let Edit::Field { place, name, old, new } = &edit {
        let same = |other: &Edit| matches!(other, Edit::Field { place: at, name: field, .. } if at == place && field == name);
        state.pending.retain(|other| !same(other));
        if old == new {
            return;
        }
    }
    state.pending.push(edit);
    let count = state.pending.len();
    state.notice = Some((LogKind::Note, text::pending(count)));
}

/// `set FLOB FIELD=VALUE`.
pub fn set(state: &mut State, arguments: &str) -> Vec<Ask> {
    let parsed =
        arguments.split_once(' ').and_then(|(flob, rest)| Some((flob, rest.trim().split_once('=')?)));
    let Some((flob, (field, value))) = parsed else { return trouble(state, text::SET_USAGE) };
    let Some(snapshot) = state.shown() else { return trouble(state, text::NOTHING_YET) };
    let found = snapshot.names.find(flob).map_err(String::from);
    match found.and_then(|place| edit::check_field(snapshot, place, field.trim(), value)) {
        Ok(edit) => {
            take(state, edit);
            apply(state, "")
        }
        Err(error) => trouble(state, error),
    }
}

/// `poke ADDRESS BYTES`.
pub fn poke(state: &mut State, arguments: &str) -> Vec<Ask> {
    let Some((address, bytes)) = arguments.split_once(' ') else { return trouble(state, text::POKE_USAGE) };
    let parsed = memory::find(state, address).and_then(|place| Ok((place, edit::parse_bytes(bytes)?)));
    match parsed {
        Ok(((memory, address), bytes)) => {
            let is_shown = memory == state.memory.memory;
            let known = if is_shown { bytes.len() as u64 } else { 0 };
            let old = state.memory.bytes_at(address, known);
            take(state, Edit::Memory { poke: Poke { memory, address, bytes }, old });
            apply(state, "")
        }
        Err(error) => trouble(state, error),
    }
}

/// Shows the pending edits and asks.
pub fn apply(state: &mut State, _: &str) -> Vec<Ask> {
    if state.pending.is_empty() {
        return trouble(state, text::NO_EDITS);
    }
    state.mode = Mode::Confirm(Question::Apply);
    Vec::new()
}

/// Applies them, once that was confirmed. They stay pending until it has worked.
pub fn apply_now(state: &mut State) -> Vec<Ask> {
    let Some(snapshot) = state.shown().cloned() else { return trouble(state, text::NOTHING_YET) };
    let pokes = edit::pokes(&state.pending);
    if let Some((id, _)) = state.opened.clone() {
        let environment = match edit::with_edits(&snapshot.environment, &state.pending) {
            Ok(environment) => Box::new(environment),
            Err(error) => return trouble(state, error),
        };
        let words = edit_words(state, &id);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        return control::save_edited(state, &words, Job::SaveEdited { parent: id, environment, pokes });
    }
    if !state.has_guest() {
        return trouble(state, text::GUEST_DEAD);
    }
    match edit::changes(&snapshot.environment, &state.pending) {
        Ok(changes) => {
            let commands = edit_commands(state);
            let first = commands.first().map(|words| words.join(" ")).unwrap_or_default();
            let what = text::first_of(&first, commands.len());
            control::start_all(state, "apply", &commands, Job::Apply { what, changes, pokes })
        }
        Err(error) => trouble(state, error),
    }
}

/// `checkpoint edit ID` with the flobs that are edited.
fn edit_words(state: &State, id: &str) -> Vec<String> {
    let mut words = vec!["checkpoint".to_owned(), "edit".to_owned(), id.to_owned()];
    for edit in &state.pending {
        let Edit::Field { place, .. } = edit else { continue };
        let name = state.name(*place);
        if !words.contains(&name) {
            words.push(name);
        }
    }
    words
}

/// Each pending edit as the command that does the same.
fn edit_commands(state: &State) -> Vec<Vec<String>> {
    let command = |edit: &Edit| match edit {
        Edit::Field { place, name, new, .. } => {
            vec!["set".into(), state.name(*place), format!("{name}={new}")]
        }
        Edit::Memory { poke, .. } => {
            let space = match poke.memory {
                Memory::Space(space) => state.name(space),
                Memory::Environment => String::new(),
            };
            let bytes: String = poke.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            vec!["poke".into(), space, format!("{:#x}", poke.address), bytes]
        }
    };
    state.pending.iter().map(command).collect()
}

/// Takes the last pending edit back.
pub fn drop_last(state: &mut State, _: &str) -> Vec<Ask> {
    state.pending.pop();
    let count = state.pending.len();
    state.notice = Some((LogKind::Note, text::pending(count)));
    Vec::new()
}

/// Takes all pending edits back.
pub fn drop_all(state: &mut State, _: &str) -> Vec<Ask> {
    state.pending.clear();
    state.notice = Some((LogKind::Note, text::pending(0)));
    Vec::new()
}

/// Opens a checkpoint to browse and edit it.
pub fn open_checkpoint(state: &mut State, arguments: &str) -> Vec<Ask> {
    if !state.pending.is_empty() {
        return trouble(state, text::PENDING_FIRST);
    }
    let named = Some(arguments.to_owned()).filter(|id| !id.is_empty());
    match named.or_else(|| state.selected_checkpoint().map(|saved| saved.id.clone())) {
        Some(id) => vec![Ask::Open(id)],
        None => trouble(state, text::NO_CHECKPOINT),
    }
}

/// Goes back from an opened checkpoint to the live environment.
pub fn close_checkpoint(state: &mut State) -> Vec<Ask> {
    if state.opened.is_none() || !state.has_session {
        return Vec::new();
    }
    if !state.pending.is_empty() {
        return trouble(state, text::PENDING_FIRST);
    }
    let selected = navigate::selected_flob(state);
    state.opened = None;
    navigate::refold(state, selected);
    memory::forget_memory(state);
    state.tab = Tab::Checkpoints;
    vec![Ask::List]
}

/// Whether there is a checkpoint to open in `$EDITOR`.
pub fn can_use_editor(state: &State) -> bool {
    state.opened.is_some() || state.tab == Tab::Checkpoints && state.selected_checkpoint().is_some()
}

/// Leaves the terminal to `$EDITOR` with the text form of the opened or selected checkpoint: of the flob looked at, or of
/// all of it from the list.
pub fn editor(state: &mut State, _: &str) -> Vec<Ask> {
    if !state.pending.is_empty() {
        return trouble(state, text::PENDING_FIRST);
    }
    let (checkpoint, flobs) = match (&state.opened, state.tab) {
        (Some((id, _)), Tab::Flobs | Tab::Threads | Tab::Graph) => {
            (Some(id.clone()), navigate::current_flob(state))
        }
        _ => (state.selected_checkpoint().map(|saved| saved.id.clone()), None),
    };
    let Some(checkpoint) = checkpoint else { return trouble(state, text::NO_CHECKPOINT) };
    let name = flobs.map(|place| state.name(place)).unwrap_or_default();
    log_command(state, &["checkpoint", "edit", &checkpoint, &name]);
    vec![Ask::Editor { checkpoint, flobs: flobs.into_iter().collect() }]
}
