//! The coach of `flob demo`: a line that says what to press next, from a deadlock to a changed lock and back in time. It goes on
//! when the thing is done, however that came about, and never stands in the way.

use super::state::{Focus, LogKind, State, Tab};

/// One thing to do.
struct Step {
    text: &'static str,
    is_done: fn(&State) -> bool,
}

const STEPS: [Step; 9] = [
    Step { text: "Four philosophers sit down and reach for their forks …", is_done: State::is_deadlocked },
    Step {
        text: "Each holds a fork and waits for the next: a deadlock. Press {graph} to see it drawn.",
        is_done: |state| state.tab == Tab::Graph,
    },
    Step {
        text: "Press {checkpoint save}: all is saved, memory and kernel state, just as it stands.",
        is_done: |state| was_done(state, "checkpoint save") && state.work.is_none(),
    },
    Step {
        text: "Look at a lock inside the kernel: type :show FORKS[0] and press Enter.",
        is_done: |state| {
            let looked_at = state.detail.place.map(|place| state.name(place)).unwrap_or_default();
            state.focus == Focus::Detail && looked_at.contains("FORKS[")
        },
    },
    Step {
        text: "All of it can be changed. Set it free: {last}, {edit}, Ctrl-U, type false, Enter.",
        is_done: |state| !state.pending.is_empty(),
    },
    Step {
        text: "It was checked while you typed. Press {apply}, then Enter: the kernel takes it.",
        is_done: |state| state.pending.is_empty() && was_done(state, "set"),
    },
    Step {
        text: "The fork is free, and the meals go on. Press {console} to read what they say.",
        is_done: |state| state.tab == Tab::Console,
    },
    Step {
        text: "Back in time: press {checkpoint list}, choose a checkpoint, press {checkpoint restore}, then Enter.",
        is_done: |state| was_done(state, "checkpoint restore") && state.work.is_none(),
    },
    Step {
        text: "There it stands again, held. {resume} lets it go, {help} lists all keys. That was the demo.",
        is_done: |_| false,
    },
];

/// How far the demo is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coach {
    step: usize,
}

impl Coach {
    /// What to do now.
    pub fn text(self) -> &'static str {
        STEPS.get(self.step).map_or("", |step| step.text)
    }

    /// Goes on as far as things are done.
    pub fn follow(mut self, state: &State) -> Self {
        while STEPS.get(self.step).is_some_and(|step| (step.is_done)(state)) {
            self.step += 1;
        }
        self
    }
}

/// Whether this verb of `flob` was done by keys: each is logged as a command.
fn was_done(state: &State, verb: &str) -> bool {
    let is_it = |text: &str| text.split_once(verb).is_some_and(|(before, _)| before.starts_with("flob "));
    state.log.iter().any(|line| line.kind == LogKind::Command && is_it(&line.text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::keymap::Keymap;

    #[test]
    fn every_line_fits_the_smallest_terminal() {
        let keymap = Keymap::default();
        assert!(STEPS.iter().all(|step| keymap.fill(step.text).chars().count() <= 80));
    }
}
