//! Threads that wait, in every way there is, until the gate is open; what each comes to afterwards is known.

use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use flob_runtime::abi::ipc::Flavour;
use flob_runtime::abi::{ExceptionMessage, ExceptionReply, PAGE_SIZE, Protection, RegionState, Status};
use flob_runtime::call::Transfer;
use flob_runtime::flob::{Links, Mapping, Region, Thread};
use flob_runtime::ipc::{Answer, Server};
use flob_runtime::sync::{Condition, Lock};
use flob_runtime::thread::{self, Builder, JoinHandle};
use flob_runtime::{abi::exception::reply_action, call, named, start};
use zerocopy::FromBytes;

use crate::options::Options;
use crate::{GATE, ends};
use flob_program_shared::{Desk, Failure, expect, leak, mix, refer};

/// Of each of the program's threads.
pub const STACK: usize = 16 * 1024;
/// Bytes of a message that is longer than any room for it.
const LONG: usize = 5000;
/// Where the page that a keeper keeps back is seen.
const WINDOW: u64 = 0x6000_0000_0000;

static OPEN: (Lock<bool>, Condition) = (Lock::new(false), Condition::new());
static IS_OPEN: AtomicBool = AtomicBool::new(false);
/// Marks that came one way.
static MARKS: AtomicU64 = AtomicU64::new(0);

/// What threads wait for.
#[derive(Clone, Copy)]
struct Waits {
    /// A port that nobody serves before the gate is open.
    later: Desk,
    /// A port whose servers take a part of a request, and then wait for the gate.
    halves: Desk,
}

/// A way to wait: number of the thread → what it comes to.
type Way = fn(Waits, u64) -> Result<u64, Failure>;

const WAYS: [Way; 10] = [
    |_, number| {
        drop(GATE.lock());
        Ok(number)
    },
    |_, number| {
        drop(OPEN.1.wait_until(OPEN.0.lock(), |open| *open));
        Ok(number)
    },
    |waits, number| connect(waits.later, number, LONG),
    |waits, number| connect(waits.halves, number, LONG),
    |waits, number| {
        let outcome = named::call_words(waits.later.port, [number; 8]);
        expect("call", outcome.status as u64, 0)?;
        let [answer, ..] = outcome.words;
        Ok(answer ^ 1)
    },
    |waits, number| {
        named::send_words(waits.later.port, [number; 8]);
        Ok(number)
    },
    |_, number| {
        let at = core::ptr::with_exposed_provenance::<u64>((WINDOW + number % (PAGE_SIZE / 8) * 8) as usize);
        // SAFETY: mapped, aligned, and looked at as a number.
        Ok(unsafe { at.read_volatile() } ^ number)
    },
    |_, number| ends::client(number),
    |_, number| ends::server(number),
    |_, number| {
        // Running, with something in its vectors.
        let mut sum = number as f64;
        while !IS_OPEN.load(Ordering::Relaxed) {
            sum = core::hint::black_box(sum + 1.0) - 1.0;
            call::null();
        }
        Ok(sum as u64)
    },
];

/// At most so many run, so that the others come to wait in good time.
const MOST_RUNNING: u64 = 4;

/// All of them.
pub struct Threads {
    waits: Waits,
    running: Vec<(u64, JoinHandle<Result<u64, Failure>>)>,
}

/// Starts so many threads in so many spaces.
pub fn start(options: &Options) -> Result<Threads, Failure> {
    let waits = Waits { later: Desk::new(1)?, halves: Desk::new(1)? };
    let mut all_spaces = vec![start::space()];
    for _ in 0..options.spaces {
        all_spaces.push(flob_program_shared::another()?);
    }
    let page = keep_a_page_back()?;
    for space in &all_spaces {
        let mapping = leak(Mapping::new()).at();
        mapping.map((page, 0), (*space, WINDOW), PAGE_SIZE, Protection::READ)?;
    }
    let mut running = Vec::new();
    for (number, space) in (0..options.threads).zip(all_spaces.iter().cycle()) {
        let kind = number % WAYS.len() as u64;
        let kind =
            if number / WAYS.len() as u64 >= MOST_RUNNING { kind % (WAYS.len() as u64 - 1) } else { kind };
        let Some(way) = WAYS.get(kind as usize).copied() else { continue };
        if kind == 3 {
            Builder::new().stack(STACK).spawn(move || serve_half(waits.halves))?.detach();
        }
        let flob = leak(Thread::new());
        let builder = Builder::new().flob(flob).stack(STACK).space(*space);
        running.push((number, builder.spawn(move || way(waits, number))?));
    }
    Ok(Threads { waits, running })
}

impl Threads {
    /// Opens the gate and waits until every thread has come to what it should.
    pub fn release(self) -> Result<(), Failure> {
        let waits = self.waits;
        thread::spawn(move || serve_all(waits.later))?.detach();
        IS_OPEN.store(true, Ordering::Relaxed);
        *OPEN.0.lock() = true;
        OPEN.1.broadcast();
        for (number, thread) in self.running {
            expect("result", thread.join()??, number)?;
        }
        Ok(())
    }
}

/// Connects and sends a long message; the reply is its number.
fn connect(desk: Desk, number: u64, size: usize) -> Result<u64, Failure> {
    let (message, mut reply) = (vec![number as u8; size], [0; 8]);
    let transfer = Transfer { send: &message, receive: &mut reply, ..Transfer::default() };
    let outcome = named::client_connect_send_over_receive(desk.port, transfer);
    let is_whole = outcome.received == reply.len();
    named::client_disconnect(Transfer::default());
    expect("reply", u64::from(is_whole), 1)?;
    expect("sum", u64::from_le_bytes(reply), size as u64 * u64::from(number as u8))?;
    Ok(number)
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte)).sum()
}

/// Receives the rest of a message and answers it.
fn finish(mut status: Status, mut total: u64) {
    while status == Status::ReceiveMoreData {
        let mut room = [0; 700];
        let more = named::server_receive(Transfer { receive: &mut room, ..Transfer::default() });
        total += sum(room.get(..more.received).unwrap_or_default());
        status = more.status;
    }
    named::server_ack_send(Transfer { send: &total.to_le_bytes(), ..Transfer::default() });
    named::server_disconnect(Transfer::default());
}

/// Takes a part of one request; the rest when the gate is open.
fn serve_half(desk: Desk) {
    let mut room = [0; 700];
    let heard = named::wait_receive(desk.set, Transfer { receive: &mut room, ..Transfer::default() });
    drop(GATE.lock());
    finish(heard.status, sum(room.get(..heard.received).unwrap_or_default()));
}

/// Serves requests of every flavour.
fn serve_all(desk: Desk) {
    loop {
        let mut room = [0; 700];
        let heard = named::wait_receive(desk.set, Transfer { receive: &mut room, ..Transfer::default() });
        let bytes = room.get(..heard.received).unwrap_or_default();
        if heard.flavour == Flavour::Idempotent as u64 {
            let word = bytes.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
            named::reply_words([word ^ 1; 8]);
        } else if heard.flavour == Flavour::OneWay as u64 {
            MARKS.fetch_xor(mix(sum(bytes), 0), Ordering::Relaxed);
        } else {
            finish(heard.status, sum(bytes));
        }
    }
}

#[repr(C, align(4096))]
struct Page([AtomicU64; PAGE_SIZE as usize / 8]);

/// A region of one page that its keeper keeps back until the gate is open.
fn keep_a_page_back() -> Result<flob_runtime::flob::FlobAt<flob_runtime::flob::Reference>, Status> {
    let page: &'static Page = leak(Page([const { AtomicU64::new(0) }; PAGE_SIZE as usize / 8]));
    let (desk, region) = (Desk::new(1)?, leak(Region::new()).at());
    let start = core::ptr::from_ref(page).expose_provenance() as u64;
    region.export(start::space(), start, PAGE_SIZE, Protection::NONE)?;
    let state: RegionState = region.get_state(&Links::NONE)?;
    region.set_state(&state, &Links::of(&[start::space(), desk.port]))?;
    thread::spawn(move || {
        let Ok(mut server) = Server::new(desk.set) else { return };
        let mut answer = Answer::None;
        loop {
            let (request, _) = server.next(answer);
            let message = ExceptionMessage::read_from_prefix(request.bytes);
            drop(GATE.lock());
            answer = message.map_or(Answer::None, |(message, _)| {
                let (action, access) = (reply_action::LIFT, Protection::READ.0);
                Answer::Exception(ExceptionReply { number: message.number, action, access })
            });
        }
    })?
    .detach();
    refer(region)
}
