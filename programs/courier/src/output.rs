//! Requests to the parent sent out of denied pages: of a transfer that crosses the border only one end is the program's.

use alloc::format;
use alloc::string::String;
use core::ops::Range;

use flob_program_shared::{Desk, Failure};
use flob_runtime::service::messages::{StreamReply, StreamRequest};
use flob_runtime::service::{Service, ServiceError, pass_on};
use flob_runtime::thread;

use crate::Options;
use crate::keeper::Keeper;
use crate::pages::Pages;

static STDOUT: Service = Service::new("stdout");

/// What a request has besides the bytes it brings, at most.
const AROUND: u64 = 16;

/// Says as many lines as fit into the pages that are sent, each its number in seven digits; all in one request, if the parent takes that.
/// In a chain as many lines go before them, from the other pages, by another thread: which begins when the second of these pages is held, and
/// until it has come to its end that is.
pub fn write(options: &Options) -> Result<(), Failure> {
    let faults = Desk::new(2)?;
    let mut pages = Pages::new(options.pages, faults.port)?;
    let (other, lines) = (pages.bytes(), (pages.bytes() - AROUND) / 8);
    let said_before = if options.chain { lines } else { 0 };
    let said = Said::new(&mut pages, 0, said_before..said_before + lines)?;
    let before = Said::new(&mut pages, other, 0..said_before)?;
    let keeper = Keeper::start(faults.set, pages, options)?;
    let other = thread::spawn(move || {
        if said_before > 0 {
            keeper.wait_for_hold();
            before.say(pages)?;
            keeper.has_come();
        }
        Ok::<(), Failure>(())
    })?;
    said.say(pages)?;
    other.join()?
}

/// What is said by one thread.
struct Said {
    text: String,
    /// Where that begins in all that is said.
    position: u64,
    /// Where it lies in the pages while it is.
    start: u64,
    /// The length of the request that is there.
    length: usize,
}

impl Said {
    /// These lines, at so many bytes in the pages.
    fn new(pages: &mut Pages, start: u64, lines: Range<u64>) -> Result<Self, Failure> {
        let position = lines.start * 8;
        let text: String = lines.map(|line| format!("{line:07}\n")).collect();
        let length = put(pages, start, position, text.as_bytes())?;
        Ok(Self { text, position, start, length })
    }

    fn say(mut self, mut pages: Pages) -> Result<(), Failure> {
        let mut left = self.text.as_bytes();
        while !left.is_empty() {
            let request = pages.denied().get(self.start as usize..).unwrap_or_default();
            let request = request.get(..self.length).unwrap_or_default();
            let reply = pass_on(STDOUT.port()?, request).unwrap_or_default();
            let Ok(StreamReply::Written { count }) = postcard::from_bytes(&reply) else {
                return Err(Failure::Wrong("reply", left.len() as u64));
            };
            left = left.get(count as usize..).unwrap_or_default();
            self.position += u64::from(count);
            self.length = put(&mut pages, self.start, self.position, left)?;
        }
        Ok(())
    }
}

/// A request at so many bytes in the pages; its length.
fn put(pages: &mut Pages, start: u64, position: u64, bytes: &[u8]) -> Result<usize, Failure> {
    let request = postcard::to_allocvec(&StreamRequest::Write { position, bytes });
    let request = request.map_err(|_| ServiceError::Garbled)?;
    pages.put(start, &request);
    Ok(request.len())
}
