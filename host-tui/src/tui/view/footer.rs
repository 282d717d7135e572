//! The last two lines: what is typed or told, with the progress of long work, and the key line.

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::Style,
    text::{Line, Span},
};

use super::super::{
    commands::{Command, Key, navigate},
    edit::{Editor, Target},
    layout::has_detail,
    line,
    state::{Focus, LogKind, Mode, Question, State, Work},
    text,
};
use super::rows::{self, span};

/// Draws both lines; where the cursor is, if text is typed.
pub fn draw(buffer: &mut Buffer, area: Rect, state: &State) -> Option<Position> {
    let upper = rows::lines_of(area, 0, 1);
    let lower = rows::lines_of(area, 1, 1);
    let work = state.work.as_ref().map(|work| work_line(state, work)).unwrap_or_default();
    let work_width = u16::try_from(work.width()).unwrap_or(u16::MAX).min(area.width * 3 / 5);
    buffer.set_line(upper.right() - work_width, upper.y, &work, work_width);
    let told = Rect { width: upper.width - work_width, ..upper };
    buffer.set_line(lower.x, lower.y, &keys(state, lower.width), lower.width);
    match &state.mode {
        Mode::Search(line) => typed(buffer, told, text::SEARCH_PROMPT, line),
        Mode::Command(line) => {
            // Completions stand in the key line's place while a command is typed.
            if let Some((_, notice)) = &state.notice {
                buffer.set_style(lower, Style::reset());
                buffer.set_stringn(
                    lower.x,
                    lower.y,
                    rows::fit(notice, usize::from(lower.width)),
                    usize::from(lower.width),
                    state.theme.dim(),
                );
            }
            typed(buffer, told, text::COMMAND_PROMPT, line)
        }
        Mode::Typing(line) => typed(buffer, told, text::INPUT_PROMPT, line),
        Mode::Filter(line) => typed(buffer, told, text::FILTER_PROMPT, line),
        Mode::Edit(editor) => edited(buffer, told, state, editor),
        _ => {
            buffer.set_line(told.x, told.y, &told_line(state), told.width);
            None
        }
    }
}

/// Draws a prompt and what is typed behind it; where the cursor is.
pub fn typed(buffer: &mut Buffer, area: Rect, prompt: &str, line: &line::Line) -> Option<Position> {
    let before = Span::raw(format!("{prompt}{}", line.before())).width();
    // A long line is shown from where its cursor is visible on.
    let hidden = before.saturating_sub(usize::from(area.width).saturating_sub(2));
    let whole: String = format!("{prompt}{}", line.text()).chars().skip(hidden).collect();
    buffer.set_stringn(area.x, area.y, whole, usize::from(area.width), Style::new());
    let column = u16::try_from(before - hidden).unwrap_or(u16::MAX).min(area.width.saturating_sub(1));
    Some(Position::new(area.x + column, area.y))
}

/// What is typed for a field, and whether it is a value of it.
fn edited(buffer: &mut Buffer, area: Rect, state: &State, editor: &Editor) -> Option<Position> {
    let prompt = match &editor.target {
        Target::Field(_, name) => format!("{name} = "),
        Target::Memory(_, address) => text::bytes_prompt(*address),
    };
    let cursor = typed(buffer, area, &prompt, &editor.line);
    let used = Span::raw(format!("{prompt}{}  ", editor.line.text())).width();
    let checked = state.shown().map(|snapshot| editor.check(snapshot));
    let (verdict, style) = match checked {
        Some(Err(error)) => (format!("{} {error}", state.theme.signs().trouble), state.theme.trouble()),
        _ => (text::EDIT_OK.to_owned(), state.theme.good()),
    };
    let used = u16::try_from(used).unwrap_or(u16::MAX).min(area.width);
    buffer.set_stringn(area.x + used, area.y, verdict, usize::from(area.width - used), style);
    cursor
}

fn told_line(state: &State) -> Line<'static> {
    let fill = |text: &str| state.keymap.fill(text);
    match &state.notice {
        Some((LogKind::Command, text)) => Line::from(span(format!("$ {text}"), state.theme.title())),
        Some((LogKind::Note, text)) => Line::from(fill(text)),
        Some((LogKind::Trouble, text)) => {
            Line::from(span(format!("! {}", fill(text)), state.theme.trouble()))
        }
        None if !state.pending.is_empty() => {
            Line::from(span(fill(&text::pending(state.pending.len())), state.theme.pending()))
        }
        None => Line::from(span(doc(state).unwrap_or_default(), state.theme.dim())),
    }
}

/// What the field under the cursor means.
fn doc(state: &State) -> Option<&'static str> {
    if state.focus != Focus::Detail || !has_detail(state.tab) {
        return None;
    }
    navigate::detail_rows(state).get(state.detail.list.selected)?.doc()
}

fn work_line(state: &State, work: &Work) -> Line<'static> {
    let signs = state.theme.signs();
    let mut texts = vec![format!(" {}", work.title)];
    if work.cancelling {
        texts.push(text::CANCELLING.to_owned());
    }
    if !work.phase.is_empty() {
        texts.push(work.phase.clone());
    }
    if let Some(percent) = work.done.saturating_mul(100).checked_div(work.total) {
        let tenths = usize::try_from(percent / 10).unwrap_or(10).min(10);
        texts.push(format!("{}{}", signs.full.repeat(tenths), signs.empty.repeat(10 - tenths)));
        texts.push(format!("{percent}%"));
    }
    if let Some((rate, left)) = work.pace(state.now) {
        texts.push(text::pace(rate, left));
    }
    Line::from(span(texts.join(" "), state.theme.title()))
}

/// What keys do at the moment: the commands that make sense now, or what is typed or asked.
fn keys(state: &State, width: u16) -> Line<'static> {
    let text = match &state.mode {
        Mode::Normal => return key_line(state, width),
        Mode::Search(_) => text::SEARCH_KEYS,
        Mode::Command(_) => text::COMMAND_KEYS,
        Mode::Palette(_) => text::PALETTE_KEYS,
        Mode::Typing(_) => text::INPUT_KEYS,
        Mode::Filter(_) => text::FILTER_KEYS,
        Mode::Edit(_) => text::EDIT_KEYS,
        Mode::Help(_) | Mode::Reading(_) => text::HELP_KEYS,
        Mode::Confirm(Question::Quit) => text::QUIT_KEYS,
        Mode::Confirm(Question::Apply) => text::APPLY_LINE,
        Mode::Confirm(_) => text::QUESTION_KEYS,
    };
    let text = state.keymap.fill(text);
    let mut line = Line::default();
    for (index, key) in text.split("  ").enumerate() {
        let (name, rest) = key.split_once(' ').unwrap_or((key, ""));
        line.push_span(Span::raw(if index == 0 { "" } else { "  " }));
        line.push_span(span(name.to_owned(), state.theme.key()));
        line.push_span(Span::raw(format!(" {rest}")));
    }
    line
}

/// As many of the commands that make sense now as fit, from the same table as the help.
fn key_line(state: &State, width: u16) -> Line<'static> {
    let mut line = Line::default();
    let is_shown = |(command, keys): &(&Command, &[Key])| {
        !command.short.is_empty() && !keys.is_empty() && (command.enabled)(state)
    };
    let shown = state.keymap.commands().filter(is_shown);
    let (first, last): (Vec<_>, Vec<_>) =
        shown.partition(|(command, _)| !["help", "quit"].contains(&command.name));
    let cell = |(command, keys): &(&Command, &[Key])| {
        let key = keys.first().map(|key| key.label()).unwrap_or_default();
        [span(key, state.theme.key()), Span::raw(format!(" {}  ", command.short))]
    };
    let reserved: usize = last.iter().flat_map(cell).map(|cell| cell.width()).sum();
    for command in &first {
        let cells = cell(command);
        let needed: usize = cells.iter().map(Span::width).sum();
        if line.width() + needed + reserved > usize::from(width) {
            break;
        }
        cells.into_iter().for_each(|cell| line.push_span(cell));
    }
    last.iter().flat_map(cell).for_each(|cell| line.push_span(cell));
    line
}
