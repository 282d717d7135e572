//! What the line carries, measured.

use std::time::Instant;

use flob_link::{Failure, Reply, Request, host::LinkError};

use super::{Hub, memory};
use crate::LineFigures;

impl Hub {
    /// Fetches so many full messages of zeroes and drops them.
    pub(super) fn measure_line(&self, messages: u32) -> Result<LineFigures, Failure> {
        let pages = self.capacity().to_host;
        let mut bytes = 0;
        let begin = Instant::now();
        let requests = (0..u64::from(messages)).map(|index| (index, Request::Blank { pages }));
        self.link.pipeline(requests, |_, reply| {
            bytes += memory::pages(reply, pages as usize)?.len() as u64;
            Ok::<(), Failure>(())
        })?;
        let nanoseconds = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let stop_time = self.time(Request::StopTime)?;
        let restore_time = self.time(Request::RestoreTime)?;
        Ok(LineFigures { bytes, nanoseconds, received: self.link.received(), stop_time, restore_time })
    }

    fn time(&self, request: Request) -> Result<u64, Failure> {
        match self.link.request(request)? {
            Reply::Nanoseconds(time) => Ok(time),
            other => Err(LinkError::unexpected(&other).into()),
        }
    }
}
