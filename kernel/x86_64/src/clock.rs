//! Time: the time-stamp counter, calibrated once against the interval timer, which also gives the tick.

use crate::cpu;
use core::cell::Cell;

/// Frequency of the interval timer.
const TIMER_HZ: u64 = 1_193_182;
const TICK_HZ: u64 = 1000;
const CHANNEL_0: u16 = 0x40;
const CHANNEL_2: u16 = 0x42;
const CONTROL: u16 = 0x43;
const GATE: u16 = 0x61;
/// Timer cycles of one measurement: 5 ms.
const MEASURED: u64 = TIMER_HZ / 200;

/// Nanoseconds since boot.
pub struct Clock {
    start: u64,
    /// Nanoseconds per count, times 2^32.
    scale: u64,
    last: Cell<u64>,
}

impl Clock {
    /// Calibrates, which takes some 15 ms, and starts the tick.
    pub fn start() -> Self {
        // A measurement can only come out too long: when the processor was held up at its beginning or its end.
        let counts = (0..3).map(|_| measure()).min().unwrap_or(1).max(1);
        let nanoseconds = u128::from(MEASURED + 1) * 1_000_000_000 / u128::from(TIMER_HZ);
        let scale = u64::try_from((nanoseconds << 32) / u128::from(counts)).unwrap_or(u64::MAX);
        start_tick();
        Self { start: cpu::time_stamp(), scale, last: Cell::new(0) }
    }

    /// Never goes back.
    #[inline]
    pub fn now(&self) -> u64 {
        let counts = cpu::time_stamp().saturating_sub(self.start);
        let now = ((u128::from(counts) * u128::from(self.scale)) >> 32) as u64;
        let now = now.max(self.last.get());
        self.last.set(now);
        now
    }
}

/// Counts from just before channel 2 begins with its `MEASURED` cycles until they are seen to be over. (Counted from behind the
/// beginning, a hold-up there would make the measurement too short, and all time run too fast.)
fn measure() -> u64 {
    let count = (MEASURED as u16).to_le_bytes();
    cpu::out8(GATE, cpu::in8(GATE) & !3 | 1);
    cpu::out8(CONTROL, 0b1011_0000);
    cpu::out8(CHANNEL_2, count[0]);
    let before = cpu::time_stamp();
    cpu::out8(CHANNEL_2, count[1]);
    while cpu::in8(GATE) & 0x20 == 0 {}
    let after = cpu::time_stamp();
    cpu::out8(GATE, cpu::in8(GATE) & !3);
    after.saturating_sub(before)
}

fn start_tick() {
    let count = ((TIMER_HZ / TICK_HZ) as u16).to_le_bytes();
    cpu::out8(CONTROL, 0b0011_0100);
    cpu::out8(CHANNEL_0, count[0]);
    cpu::out8(CHANNEL_0, count[1]);
}
