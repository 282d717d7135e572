//! A script of commands (`--commands FILE`): each line is what one would type after `:`. The next one comes when what the last has
//! begun is done and the screen has looked again. Questions are answered with yes. It ends at the first trouble.

use std::{collections::VecDeque, sync::Arc};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{
    commands, keys,
    message::{Ask, Message},
    snapshot::Snapshot,
    state::{Leave, LogKind, Mode, Question, State},
    text,
};

/// What is left of a script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// Number and text of each line that is left.
    lines: VecDeque<(usize, String)>,
    /// The line that is being done.
    present: usize,
    /// Jobs that are not done.
    jobs: usize,
    /// What is shown is from before the last job was done.
    stale: bool,
}

impl Script {
    /// Empty lines and those that begin with `#` are left out.
    pub fn new(text: &str) -> Self {
        let lines = text.lines().map(str::trim).zip(1..);
        let lines = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
        Self { lines: lines.map(|(line, number)| (number, line.to_owned())).collect(), ..Self::default() }
    }

    /// Notes what a message means for it.
    pub fn hear(&mut self, message: &Message) {
        match message {
            Message::Finished { .. } | Message::Opened(_) => {
                self.jobs = self.jobs.saturating_sub(1);
                self.stale = true;
            }
            Message::Looked { .. } => self.stale = false,
            _ => {}
        }
    }
}

/// Goes on with the state's script, if it is time. `asks` is what the last message has led to.
pub fn go_on(state: &mut State, mut asks: Vec<Ask>) -> Vec<Ask> {
    let Some(mut script) = state.script.take() else { return asks };
    script.jobs += jobs(&asks);
    while script.is_due(state) {
        if let Some(trouble) = trouble(state).filter(|_| script.present > 0) {
            state.tell(LogKind::Trouble, text::script_stopped(script.present, &trouble));
            return asks;
        }
        let Some(more) = script.next(state) else { return asks };
        script.jobs += jobs(&more);
        asks.extend(more);
    }
    state.script = Some(script);
    asks
}

fn jobs(asks: &[Ask]) -> usize {
    asks.iter().filter(|ask| matches!(ask, Ask::Do(_) | Ask::Open(_))).count()
}

/// What has gone wrong. That the program stands in a deadlock is no failure of the script.
fn trouble(state: &State) -> Option<String> {
    let Some((LogKind::Trouble, trouble)) = &state.notice else { return None };
    let is_of_program = |live: &Arc<Snapshot>| live.threads.iter().any(|facts| facts.why == *trouble);
    (!state.live.as_ref().is_some_and(is_of_program)).then(|| trouble.clone())
}

impl Script {
    /// Whether nothing is under way, nothing is typed, and what is shown is of now.
    fn is_due(&self, state: &State) -> bool {
        let is_fresh = state.shown().is_some() && !(self.stale && state.has_hub());
        let is_free = matches!(state.mode, Mode::Normal | Mode::Confirm(_));
        self.jobs == 0 && is_fresh && is_free && state.leave.is_none()
    }

    /// Does the next line, or answers what the last one asks. `None` behind the last line.
    fn next(&mut self, state: &mut State) -> Option<Vec<Ask>> {
        match &state.mode {
            Mode::Confirm(Question::Quit) => {
                state.leave = Some(Leave::Running);
                Some(Vec::new())
            }
            Mode::Confirm(_) => Some(keys::press(state, KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE))),
            _ => {
                let (number, line) = self.lines.pop_front()?;
                self.present = number;
                state.notice = None;
                Some(commands::execute(state, &line))
            }
        }
    }
}
