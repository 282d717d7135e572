//! Time.

use core::time::Duration;

use super::messages::{ClockReply, ClockRequest};
use super::{Service, ServiceError, request};
use crate::{call, start};

static CLOCK: Service = Service::new("clock");

/// Nanoseconds since some moment in the past; never runs back.
pub fn now() -> Result<u64, ServiceError> {
    ask(ClockRequest::Now)
}

/// The processor's count of time stamps: to measure what asking for [`now`] would disturb.
#[inline]
pub fn ticks() -> u64 {
    // SAFETY: it reads a register that every program may read.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Waits until [`now`] says `until`; returns the time then.
pub fn sleep_until(until: u64) -> Result<u64, ServiceError> {
    ask(ClockRequest::Sleep { until })
}

/// Waits so long.
pub fn sleep(time: Duration) -> Result<(), ServiceError> {
    let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    sleep_until(now()?.saturating_add(nanoseconds)).map(drop)
}

fn ask(wanted: ClockRequest) -> Result<u64, ServiceError> {
    if start::parent().is_null() {
        let until = if let ClockRequest::Sleep { until } = wanted { until } else { 0 };
        return call::timer_wait(until).map_err(ServiceError::Ipc);
    }
    let mut room = [0; 32];
    let ClockReply::Time { nanoseconds } = request(CLOCK.port()?, &wanted, &mut room, &[])?;
    Ok(nanoseconds)
}
