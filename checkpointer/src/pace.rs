//! Rests for who works at the priority of a child that runs on: without them it would have a whole turn of the processor to itself
//! before the child has any, and those parts of the child that are lower would have nothing of it.

use core::time::Duration;

use flob_runtime::service::clock;

const REST: Duration = Duration::from_millis(1);

/// When to rest: at once, for the child has stood, and then after so many steps each time.
pub struct Pace {
    steps: u32,
    left: u32,
}

impl Pace {
    /// Rests.
    pub fn begin(steps: u32) -> Self {
        rest();
        Self { steps, left: steps }
    }

    /// A step is done.
    pub fn keep(&mut self) {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.left = self.steps;
            rest();
        }
    }
}

/// Waits for a moment in which others have the processor.
pub fn rest() {
    // Without a clock there is no rest.
    let _ = clock::sleep(REST);
}
