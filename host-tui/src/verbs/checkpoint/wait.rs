//! Waiting for a save or restore, or for work in the store: a terminal shows how far it is. Ctrl-C cancels what the hub does,
//! and then everything is as it was.

use std::{
    io::{self, IsTerminal},
    thread,
    time::{Duration, Instant},
};

use flob_image::store::Step;
use flob_session::{Error, HubReply, Pending};
use signal_hook::{consts::SIGINT, iterator::Signals};

/// Waits; the checkpoint's id.
pub fn wait(pending: Pending) -> Result<String, Error> {
    match reply(pending)? {
        HubReply::Checkpoint(id) => Ok(id),
        other => Err(Error::Internal(format!("the hub answered with {other:?}"))),
    }
}

/// Waits; whatever the answer is.
pub fn reply(pending: Pending) -> Result<HubReply, Error> {
    let interrupts = cancel_on_interrupt(&pending)?;
    let mut meter = io::stderr().is_terminal().then(Meter::default);
    let reply = pending.wait_with(|phase, done, total| {
        if let Some(meter) = &mut meter {
            eprint!("\r\x1b[K{}", meter.line(phase, Unit::Page, (done, total), Instant::now()));
        }
    });
    interrupts.close();
    if meter.is_some() {
        eprint!("\r\x1b[K");
    }
    reply
}

/// How far work of this process is, on a line of standard error that is gone afterwards; nothing if that is no terminal.
pub struct Shown {
    meter: Option<Meter>,
    last: Option<(Step, Instant)>,
}

impl Shown {
    /// Nothing is done yet.
    pub fn new() -> Self {
        Self { meter: io::stderr().is_terminal().then(Meter::default), last: None }
    }

    /// What work in the store tells.
    pub fn progress(&mut self) -> impl FnMut(Step, u64, u64) {
        |step, done, total| self.update(step, done, total)
    }

    /// Something else is about to be written; the work may go on.
    pub fn clear(&self) {
        if self.meter.is_some() {
            eprint!("\r\x1b[K");
        }
    }

    /// So much of a step is done.
    fn update(&mut self, step: Step, done: u64, total: u64) {
        const SEEN: Duration = Duration::from_millis(50);
        // More often than that nobody can read it.
        let is_due = self.last.is_none_or(|(last, at)| last != step || at.elapsed() >= SEEN);
        if let Some(meter) = self.meter.as_mut().filter(|_| is_due) {
            let now = Instant::now();
            self.last = Some((step, now));
            let unit = if step.is_in_pages() { Unit::Page } else { Unit::File };
            eprint!("\r\x1b[K{}", meter.line(step.name(), unit, (done, total), now));
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The first Ctrl-C asks the hub to give up, and its answer is waited for; the second waits for nothing.
fn cancel_on_interrupt(pending: &Pending) -> Result<signal_hook::iterator::Handle, Error> {
    let io = |error| Error::io("listening for Ctrl-C", error);
    let mut signals = Signals::new([SIGINT]).map_err(io)?;
    let (handle, canceller) = (signals.handle(), pending.canceller());
    let listen = move || {
        let mut signals = signals.forever();
        if signals.next().is_some() {
            // If the hub is gone the wait ends by itself.
            let _ = canceller.cancel();
        }
        if let Some(signal) = signals.next() {
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    };
    thread::Builder::new().name("interrupts".into()).spawn(listen).map_err(io)?;
    Ok(handle)
}

/// What is counted.
#[derive(Clone, Copy)]
enum Unit {
    Page,
    File,
}

impl Unit {
    /// So many a second.
    fn rate(self, count: f64) -> String {
        const PAGES_OF_MIB: f64 = 256.0;
        match self {
            Self::Page => format!("{:.1} MiB/s", count / PAGES_OF_MIB),
            Self::File => format!("{count:.0} files/s"),
        }
    }
}

/// How fast a phase goes.
#[derive(Default)]
struct Meter {
    phase: String,
    /// When it was first told of, and how much was done by then.
    begun: Option<(Instant, u64)>,
}

impl Meter {
    /// `pages 120/4096 12.5 MiB/s, 2 s left`.
    fn line(&mut self, phase: &str, unit: Unit, (done, total): (u64, u64), now: Instant) -> String {
        if self.phase != phase {
            phase.clone_into(&mut self.phase);
            self.begun = None;
        }
        let (begun, before) = *self.begun.get_or_insert((now, done));
        if total == 0 {
            return phase.to_owned();
        }
        let taken = now.duration_since(begun).as_secs_f64();
        let mut line = format!("{phase} {done}/{total}");
        if done > before && taken > 0.0 {
            let rate = (done - before) as f64 / taken;
            let left = (total.saturating_sub(done) as f64 / rate).ceil();
            line += &format!(" {}, {left} s left", unit.rate(rate));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_before_anybody_looked_does_not_make_a_phase_faster() {
        let mut meter = Meter::default();
        let begin = Instant::now();
        assert_eq!(meter.line("pages", Unit::Page, (512, 1024), begin), "pages 512/1024");
        let line = meter.line("pages", Unit::Page, (768, 1024), begin + Duration::from_secs(1));
        assert_eq!(line, "pages 768/1024 1.0 MiB/s, 1 s left");
    }

    #[test]
    fn a_phase_has_a_rate_and_a_time_left_of_its_own() {
        let mut meter = Meter::default();
        let begin = Instant::now();
        assert_eq!(meter.line("waiting", Unit::Page, (0, 0), begin), "waiting");
        let later = begin + Duration::from_secs(5);
        assert_eq!(meter.line("pages", Unit::Page, (0, 1024), later), "pages 0/1024");
        let line = meter.line("pages", Unit::Page, (512, 1024), later + Duration::from_secs(4));
        assert_eq!(line, "pages 512/1024 0.5 MiB/s, 4 s left");
        assert_eq!(meter.line("files", Unit::File, (0, 30), later), "files 0/30");
        let line = meter.line("files", Unit::File, (20, 30), later + Duration::from_secs(2));
        assert_eq!(line, "files 20/30 10 files/s, 1 s left");
    }
}
