//! Requests to the parent sent out of denied pages: of a transfer that crosses the border only one end is the program's.

use alloc::format;
use alloc::string::String;

use flob_program_shared::{Desk, Failure};
use flob_runtime::service::messages::{StreamReply, StreamRequest};
use flob_runtime::service::{Service, ServiceError, pass_on};

use crate::Options;
use crate::keeper::Keeper;
use crate::pages::Pages;

static STDOUT: Service = Service::new("stdout");

/// What a request has besides the bytes it brings, at most.
const AROUND: u64 = 16;

/// Says as many lines as fit into the pages, each its number in seven digits; all in one request, if the parent takes that.
pub fn write(options: &Options) -> Result<(), Failure> {
    let faults = Desk::new(2)?;
    let mut pages = Pages::new(options.pages, faults.port)?;
    let text: String = (0..(pages.bytes() - AROUND) / 8).map(|line| format!("{line:07}\n")).collect();
    let mut left = text.as_bytes();
    let mut length = put(&mut pages, 0, left)?;
    Keeper::start(faults.set, pages, options)?;
    loop {
        let request = pages.leaving().get(..length).unwrap_or_default();
        let reply = pass_on(STDOUT.port()?, request).unwrap_or_default();
        let Ok(StreamReply::Written { count }) = postcard::from_bytes(&reply) else {
            return Err(Failure::Wrong("reply", left.len() as u64));
        };
        left = left.get(count as usize..).unwrap_or_default();
        if left.is_empty() {
            return Ok(());
        }
        length = put(&mut pages, (text.len() - left.len()) as u64, left)?;
    }
}

/// A request in the pages; its length.
fn put(pages: &mut Pages, position: u64, bytes: &[u8]) -> Result<usize, Failure> {
    let request = postcard::to_allocvec(&StreamRequest::Write { position, bytes });
    let request = request.map_err(|_| ServiceError::Garbled)?;
    pages.put(&request);
    Ok(request.len())
}
