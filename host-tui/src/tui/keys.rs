//! What a key means in each mode. In the normal mode, the table of commands says it.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use flob_session::names::Name;

use super::{
    choices,
    commands::{self, control, editing, looking, sorting},
    line::Line,
    message::{Ask, Job},
    palette,
    state::{Leave, LogKind, Mode, Question, Reading, State},
};

/// Takes a key.
pub fn press(state: &mut State, key: KeyEvent) -> Vec<Ask> {
    if key.kind == KeyEventKind::Release {
        return Vec::new();
    }
    if !matches!(state.mode, Mode::Edit(_)) {
        state.notice = None;
    }
    match std::mem::replace(&mut state.mode, Mode::Normal) {
        Mode::Normal => commands::press(state, key),
        mode if is_escape(key) && !matches!(mode, Mode::Confirm(_)) => Vec::new(),
        Mode::Search(line) => typing(state, line, key, Mode::Search, looking::search),
        Mode::Command(line) => command(state, line, key),
        Mode::Palette(palette) => palette::press(state, palette, key),
        Mode::Filter(line) => filter(state, line, key),
        Mode::Typing(line) => input(state, line, key),
        Mode::Edit(mut editor) => {
            if key.code == KeyCode::Enter {
                return enter_edit(state, editor);
            }
            if !choices::choose(state, &mut editor, key) && editor.line.take(key) {
                editor.choices.typed(editor.line.text());
            }
            state.mode = Mode::Edit(editor);
            Vec::new()
        }
        Mode::Confirm(question) => answer(state, question, key),
        Mode::Help(scroll) => {
            let lines = super::view::help::line_count();
            if let Some(scroll) = scrolled(state, scroll, lines, key) {
                state.mode = Mode::Help(scroll);
            }
            Vec::new()
        }
        Mode::Reading(reading) => {
            let lines = super::view::reading::line_count(state, &reading);
            if let Some(scroll) = scrolled(state, reading.scroll, lines, key) {
                state.mode = Mode::Reading(Reading { scroll, ..reading });
            }
            Vec::new()
        }
    }
}

/// Text was pasted: into the line being typed, if there is one.
pub fn paste(state: &mut State, text: &str) {
    match &mut state.mode {
        Mode::Search(line) | Mode::Command(line) | Mode::Filter(line) | Mode::Typing(line) => {
            line.paste(text)
        }
        Mode::Edit(editor) => editor.line.paste(text),
        Mode::Palette(palette) => {
            let mut palette = std::mem::take(palette);
            palette::paste(state, &mut palette, text);
            state.mode = Mode::Palette(palette);
        }
        _ => {}
    }
}

fn is_escape(key: KeyEvent) -> bool {
    key.code == KeyCode::Esc
        || key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL)
}

/// A line is typed; Enter does something with it, erasing beyond its beginning leaves it.
fn typing(
    state: &mut State,
    mut line: Line,
    key: KeyEvent,
    mode: fn(Line) -> Mode,
    done: fn(&mut State, &str) -> Vec<Ask>,
) -> Vec<Ask> {
    if key.code == KeyCode::Enter {
        return if line.text().is_empty() { Vec::new() } else { done(state, line.text()) };
    }
    if key.code == KeyCode::Backspace && line.text().is_empty() {
        return Vec::new();
    }
    line.take(key);
    state.mode = mode(line);
    Vec::new()
}

/// What rows must contain; nothing for all of them.
fn filter(state: &mut State, mut line: Line, key: KeyEvent) -> Vec<Ask> {
    if key.code == KeyCode::Enter {
        sorting::set_filter(state, line.text());
    } else {
        line.take(key);
        state.mode = Mode::Filter(line);
    }
    Vec::new()
}

fn command(state: &mut State, line: Line, key: KeyEvent) -> Vec<Ask> {
    if key.code == KeyCode::Tab {
        let completed = complete(state, line.text());
        state.mode = Mode::Command(Line::new(completed));
        return Vec::new();
    }
    typing(state, line, key, Mode::Command, commands::execute)
}

/// Completes the name of a command, or of a flob after it, as far as it is certain; says what else there is.
fn complete(state: &mut State, text: &str) -> String {
    let names: Vec<String> = commands::completions(text).map(str::to_owned).collect();
    let (kept, names) = match text.rsplit_once(' ') {
        Some((kept, word)) if names.is_empty() => {
            let snapshot = state.shown();
            let all = snapshot.map(|snapshot| snapshot.names.all()).unwrap_or_default();
            let fitting = all.iter().map(Name::whole).filter(|name| name.starts_with(word));
            (format!("{kept} "), fitting.map(str::to_owned).collect())
        }
        _ => (String::new(), names),
    };
    let Some(first) = names.first() else { return text.to_owned() };
    let same = |name: &String| first.chars().zip(name.chars()).take_while(|(a, b)| a == b).count();
    let certain = names.iter().map(same).min().unwrap_or_default();
    if names.len() > 1 {
        let some: Vec<&str> = names.iter().take(8).map(String::as_str).collect();
        state.notice = Some((LogKind::Note, some.join("  ")));
    }
    let end = if names.len() == 1 { " " } else { "" };
    format!("{kept}{}{end}", first.chars().take(certain).collect::<String>())
}

/// Input for the program: a line at a time; Control-D ends it.
fn input(state: &mut State, mut line: Line, key: KeyEvent) -> Vec<Ask> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Enter => {
            state.mode = Mode::Typing(Line::default());
            vec![Ask::Do(Job::Type(format!("{}\n", line.text()).into_bytes()))]
        }
        KeyCode::Char('d') if control => vec![Ask::Do(Job::Type(Vec::new()))],
        _ => {
            line.take(key);
            state.mode = Mode::Typing(line);
            Vec::new()
        }
    }
}

/// A field's new value is taken up if it is one; else the editor stays.
fn enter_edit(state: &mut State, editor: super::edit::Editor) -> Vec<Ask> {
    let Some(snapshot) = state.shown().cloned() else { return Vec::new() };
    match editor.check(&snapshot) {
        Ok(edit) => {
            state.notice = None;
            editing::take(state, edit);
        }
        Err(error) => {
            state.notice = Some((LogKind::Trouble, error));
            state.mode = Mode::Edit(editor);
        }
    }
    Vec::new()
}

/// How far a text of so many lines is scrolled after a key; `None` if the key ends the reading.
fn scrolled(state: &State, scroll: usize, lines: usize, key: KeyEvent) -> Option<usize> {
    let page = usize::from(state.size.1.saturating_sub(6)).max(1);
    let scroll = match key.code {
        KeyCode::Up | KeyCode::Char('k') => scroll.saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => scroll + 1,
        KeyCode::PageUp => scroll.saturating_sub(page),
        KeyCode::PageDown | KeyCode::Char(' ') => scroll + page,
        KeyCode::Home => 0,
        KeyCode::End => lines,
        _ => return None,
    };
    Some(scroll.min(lines.saturating_sub(page)))
}

/// An answer to a question; a key that answers nothing leaves it standing.
fn answer(state: &mut State, question: Question, key: KeyEvent) -> Vec<Ask> {
    let yes = matches!(key.code, KeyCode::Enter | KeyCode::Char('y'));
    if is_escape(key) || key.code == KeyCode::Char('n') {
        return Vec::new();
    }
    match (question, key.code) {
        (Question::Apply, KeyCode::Char('u')) => {
            editing::drop_last(state, "");
            if state.pending.is_empty() { Vec::new() } else { editing::apply(state, "") }
        }
        (Question::Apply, _) if yes => editing::apply_now(state),
        (Question::Restore(id), _) if yes => control::restore_now(state, id),
        (Question::Undo, _) if yes => control::undo_now(state),
        (Question::Remove(id), _) if yes => control::remove_now(state, id),
        (Question::Discard, _) if yes => {
            state.pending.clear();
            control::quit(state, "")
        }
        (Question::Quit, KeyCode::Char('l' | 'q')) => {
            state.leave = Some(Leave::Running);
            Vec::new()
        }
        (Question::Quit, KeyCode::Char('c')) => control::stop(state, true),
        (Question::Quit, KeyCode::Char('s')) => control::stop(state, false),
        (question, _) => {
            state.mode = Mode::Confirm(question);
            Vec::new()
        }
    }
}
