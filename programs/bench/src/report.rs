//! Rows to the early console, one line each: `row NAME MEDIAN LEAST MOST`, and on a measuring kernel
//! `counts NAME ENTRIES …`. The host knows what they mean.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::AtomicBool;

use flob_runtime::abi::Status;
use flob_runtime::call;
use flob_runtime::sync::Lock;

use crate::counters;

/// How often each thing is done, after it was done a few times for nothing.
pub const ROUNDS: usize = 33;
const WARM_UP: usize = 5;

/// Whether the kernel under this program counts.
pub static COUNTING: AtomicBool = AtomicBool::new(false);

/// Says something.
pub fn line(text: &str) {
    call::kernel_log(text.as_bytes());
    call::kernel_log(b"\n");
}

/// Whether the kernel is attacked and not measured.
pub static HOSTILE: AtomicBool = AtomicBool::new(false);

/// The beginning of the names of the rows that are wanted.
pub static WANTED: Lock<String> = Lock::new(String::new());

/// Whether a row is wanted: its name begins so, or where `$` ends what is wanted, is that.
pub fn is_wanted(name: &str) -> bool {
    let wanted = WANTED.lock();
    wanted.strip_suffix('$').map_or_else(|| name.starts_with(wanted.as_str()), |whole| name == whole)
}

/// Measures something many times and reports its median.
pub fn row(name: &str, mut once: impl FnMut() -> Result<u64, Status>) -> Result<(), Status> {
    if !is_wanted(name) {
        return Ok(());
    }
    for _ in 0..WARM_UP {
        once()?;
    }
    let mut all = Vec::with_capacity(ROUNDS);
    counters::begin_row();
    for _ in 0..ROUNDS {
        all.push(once()?);
    }
    figures(name, all);
    counters::report_row(name, ROUNDS);
    Ok(())
}

/// Reports the median of what was measured elsewhere.
pub fn figures(name: &str, mut all: Vec<u64>) {
    all.sort_unstable();
    let at = |index: usize| all.get(index).copied().unwrap_or(0);
    let (median, least, most) = (at(all.len() / 2), at(0), at(all.len().saturating_sub(1)));
    line(&format!("row {name} {median} {least} {most}"));
}
