//! What looking costs the program: for each look it stands still. Measured by the guest itself, over the last few seconds.

use flob_link::Progress;

/// Nanoseconds that a figure is about, at least.
const SPAN: u64 = 2_000_000_000;

/// Looks a second, and the share of time that they take.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Meter {
    from: Option<Progress>,
    rate: Option<(f64, f64)>,
}

impl Meter {
    /// The guest has told how it is.
    pub fn take(&mut self, now: &Progress) {
        let Some(from) = self.from.filter(|from| from.time <= now.time && from.looks <= now.looks) else {
            *self = Self { from: (now.time > 0).then_some(*now), rate: None };
            return;
        };
        let time = now.time - from.time;
        if time >= SPAN {
            let part = |part: u64| part as f64 / time as f64;
            let looks = part(now.looks - from.looks) * 1e9;
            self.rate = Some((looks, part(now.looking.saturating_sub(from.looking))));
            self.from = Some(*now);
        }
    }

    /// Looks a second, and the share of the program's time.
    pub fn rate(&self) -> Option<(f64, f64)> {
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, looks: u64, milliseconds: u64) -> Progress {
        let (time, looking) = (seconds * 1_000_000_000, milliseconds * 1_000_000);
        Progress { time, looks, looking, ..Progress::default() }
    }

    #[test]
    fn rates_are_of_the_last_seconds_and_begin_anew_with_another_guest() {
        let mut meter = Meter::default();
        let mut told = |progress| {
            meter.take(&progress);
            meter.rate()
        };
        assert_eq!(told(at(0, 0, 0)), None, "nothing is known yet");
        assert_eq!(told(at(10, 40, 7)), None);
        assert_eq!(told(at(11, 44, 8)), None, "too short a time says little");
        assert_eq!(told(at(14, 52, 47)), Some((3.0, 0.01)));
        assert_eq!(told(at(15, 60, 50)), Some((3.0, 0.01)));
        assert_eq!(told(at(1, 1, 1)), None, "another guest");
    }
}
