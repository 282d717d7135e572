//! Waiting for a save or restore: a terminal shows how far it is; Ctrl-C cancels it, and then everything is as it was.

use std::{
    io::{self, IsTerminal},
    thread,
    time::{Duration, Instant},
};

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
            eprint!("\r\x1b[K{}", meter.line(phase, (done, total), Instant::now()));
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
    last: Option<Instant>,
}

impl Shown {
    /// Nothing is done yet.
    pub fn new() -> Self {
        Self { meter: io::stderr().is_terminal().then(Meter::default), last: None }
    }

    /// So many pages of so many are done.
    pub fn update(&mut self, phase: &str, done: u64, total: u64) {
        const SEEN: Duration = Duration::from_millis(50);
        // More often than that nobody can read it.
        let is_due = self.last.is_none_or(|last| last.elapsed() >= SEEN);
        if let Some(meter) = self.meter.as_mut().filter(|_| is_due) {
            self.last = Some(Instant::now());
            eprint!("\r\x1b[K{}", meter.line(phase, (done, total), Instant::now()));
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if self.meter.is_some() {
            eprint!("\r\x1b[K");
        }
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

/// How fast a phase goes.
#[derive(Default)]
struct Meter {
    phase: String,
    begun: Option<Instant>,
}

impl Meter {
    /// `pages 120/4096 12.5 MiB/s, 2 s left`: of counts of pages, and of nothing else.
    fn line(&mut self, phase: &str, (done, total): (u64, u64), now: Instant) -> String {
        const PAGES_OF_MIB: f64 = 256.0;
        if self.phase != phase {
            phase.clone_into(&mut self.phase);
            self.begun = Some(now);
        }
        if total == 0 {
            return phase.to_owned();
        }
        let taken = self.begun.map_or(Duration::ZERO, |begun| now.duration_since(begun)).as_secs_f64();
        let mut line = format!("{phase} {done}/{total}");
        if done > 0 && taken > 0.0 {
            let rate = done as f64 / taken;
            let left = (total.saturating_sub(done) as f64 / rate).ceil();
            line += &format!(" {:.1} MiB/s, {left} s left", rate / PAGES_OF_MIB);
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_has_a_rate_and_a_time_left_of_its_own() {
        let mut meter = Meter::default();
        let begin = Instant::now();
        assert_eq!(meter.line("waiting", (0, 0), begin), "waiting");
        let later = begin + Duration::from_secs(5);
        assert_eq!(meter.line("pages", (0, 1024), later), "pages 0/1024");
        let line = meter.line("pages", (512, 1024), later + Duration::from_secs(4));
        assert_eq!(line, "pages 512/1024 0.5 MiB/s, 4 s left");
    }
}
