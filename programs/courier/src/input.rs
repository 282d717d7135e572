//! What the parent has to say received into denied pages: of a transfer that crosses the border only one end is the program's.

use flob_program_shared::{Desk, Failure};
use flob_runtime::service::messages::{StreamReply, StreamRequest};
use flob_runtime::service::{Service, request};

use crate::Options;
use crate::keeper::Keeper;
use crate::pages::Pages;

static STDIN: Service = Service::new("stdin");

/// Room that a reply needs besides the bytes it brings.
const AROUND: u64 = 16;

/// Reads all of standard input, each time into the same pages; how many bytes it has, and their sum.
pub fn read(options: &Options) -> Result<(u64, u64), Failure> {
    let faults = Desk::new(2)?;
    let pages = Pages::new(options.pages, faults.port)?;
    Keeper::start(faults.set, pages, options)?;
    let room = pages.arriving();
    let (mut position, mut sum) = (0, 0);
    loop {
        let max = u32::try_from(pages.bytes() - AROUND).unwrap_or(u32::MAX);
        let wanted = StreamRequest::Read { position, max };
        match request(STDIN.port()?, &wanted, room, &[])? {
            StreamReply::Data { bytes: [] } => return Ok((position, sum)),
            StreamReply::Data { bytes } => {
                position += bytes.len() as u64;
                sum += bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
            }
            _ => return Err(Failure::Wrong("reply", position)),
        }
    }
}
