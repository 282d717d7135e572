//! What was done and what is being done: the log, and the long job under way.

use std::time::Duration;

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// When, since the start of the screen.
    pub at: Duration,
    /// What.
    pub text: String,
    /// What kind of line.
    pub kind: LogKind,
}

/// Kinds of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogKind {
    /// The `flob` command that does the same as what was just done.
    Command,
    /// Something happened.
    Note,
    /// Something went wrong.
    Trouble,
}

/// A long job under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// What it is.
    pub title: String,
    /// What it does now.
    pub phase: String,
    #[expect(missing_docs, reason = "the name says it")]
    pub done: u64,
    /// 0 if not known.
    pub total: u64,
    /// When its phase began, and how much was done then.
    pub since: (Duration, u64),
    /// It was asked to give up.
    pub cancelling: bool,
}

impl Work {
    /// Amount a second, and seconds left, once they can be told.
    pub fn pace(&self, now: Duration) -> Option<(u64, u64)> {
        let time = now.checked_sub(self.since.0).filter(|time| *time >= Duration::from_millis(200))?;
        let rate = (self.done.saturating_sub(self.since.1) as f64 / time.as_secs_f64()) as u64;
        let left = self.total.saturating_sub(self.done).checked_div(rate)?;
        Some((rate, left))
    }
}
