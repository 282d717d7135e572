//! What the parent has to say received into denied pages: of a transfer that crosses the border only one end is the program's.

use flob_program_shared::{Desk, Failure, expect};
use flob_runtime::abi::PAGE_SIZE;
use flob_runtime::service::messages::{ClockReply, ClockRequest, StreamReply, StreamRequest};
use flob_runtime::service::{Service, clock, request};
use flob_runtime::thread::{self, JoinHandle};

use crate::Options;
use crate::keeper::Keeper;
use crate::pages::Pages;

static STDIN: Service = Service::new("stdin");
static CLOCK: Service = Service::new("clock");

/// Room that a reply needs besides the bytes it brings.
const AROUND: u64 = 16;

/// So many nanoseconds that a sleep is not over when it is asked for.
const SLEEP: u64 = 50_000_000;

/// Reads all of standard input, each time into the same pages; how many bytes it has, and their sum.
pub fn read(options: &Options) -> Result<(u64, u64), Failure> {
    let faults = Desk::new(2)?;
    let mut pages = Pages::new(options.pages, faults.port)?;
    // Nothing is: the keeper fills no page.
    pages.put(0, &[]);
    let keeper = Keeper::start(faults.set, pages, options)?;
    let room = pages.arriving();
    let sleeper = if options.sleeper { Some(start_sleeper(keeper, pages, room)?) } else { None };
    let (mut position, mut sum) = (0, 0);
    loop {
        let (bytes, part) = piece(room, position)?;
        if bytes == 0 {
            break;
        }
        (position, sum) = (position + bytes, sum + part);
    }
    sleeper.map_or(Ok(()), |sleeper| sleeper.join()?)?;
    Ok((position, sum))
}

/// Begins a sleep of which the answer is held half way, and waits for that. From then on an answer to this thread, which must not have to wait,
/// arrives at `room` up to the end of the first page.
fn start_sleeper(
    keeper: &'static Keeper,
    pages: Pages,
    room: &mut [u8],
) -> Result<JoinHandle<Result<(), Failure>>, Failure> {
    // There is input from here on.
    piece(&mut [0; AROUND as usize + 1], 0)?;
    let answer = pages.arriving_too().get_mut(PAGE_SIZE as usize - 2..).unwrap_or_default();
    for first in [answer.first_mut(), room.first_mut()] {
        first.into_iter().for_each(|byte| *byte = 1);
    }
    let sleeper = thread::spawn(move || {
        let until = clock::now()? + SLEEP;
        let reply = request(CLOCK.port()?, &ClockRequest::Sleep { until }, answer, &[])?;
        keeper.has_come();
        match reply {
            ClockReply::Time { nanoseconds } => expect("late", u64::from(nanoseconds >= until), 1),
        }
    })?;
    keeper.wait_for_hold();
    Ok(sleeper)
}

/// What of standard input fits into the room, from a position on: how many bytes, and their sum.
fn piece(room: &mut [u8], position: u64) -> Result<(u64, u64), Failure> {
    let max = u32::try_from(room.len() as u64 - AROUND).unwrap_or(u32::MAX);
    match request(STDIN.port()?, &StreamRequest::Read { position, max }, room, &[])? {
        StreamReply::Data { bytes } => {
            Ok((bytes.len() as u64, bytes.iter().map(|byte| u64::from(*byte)).sum()))
        }
        _ => Err(Failure::Wrong("reply", position)),
    }
}
