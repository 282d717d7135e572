//! A guest as the protocol wants it: a cache of answers, numbered events that are kept until they were seen.

use std::{
    io::{Read, Write},
    thread,
};

use flob_abi::{PAGE_SIZE, Sum};
use flob_link::answers::{Answers, Verdict};
use flob_link::frame::{Decoder, encode, encode_raw_head, encode_with_bulk};
use flob_link::{
    CHANNEL_DEBUGGER, CHUNK, Capacity, Event, Failure, FailureKind, FromGuest, Progress, Reply, Request, Run,
    Scope, ToGuest, VERSION,
};

use crate::pipe::{Reader, Writer};

/// The long answer of this guest.
pub fn long_answer(size: usize) -> Vec<u8> {
    (0..size).map(|index| (index * 7 + index / 251) as u8).collect()
}

/// These pages: each is like no other.
pub fn pages(runs: &[Run]) -> Vec<u8> {
    let numbers = runs.iter().flat_map(|run| (run.first..).take(run.count as usize));
    let page =
        |number: u64| (0..PAGE_SIZE).map(move |byte| (number * 13 + byte * (number + 3) + byte / 256) as u8);
    numbers.flat_map(page).collect()
}

/// A line on which every byte counts, and one that pages go over raw.
pub const NARROW: Capacity = Capacity { is_lossless: false, to_host: 1, to_guest: 1 };
/// See [`NARROW`].
pub const WIDE: Capacity = Capacity { is_lossless: true, to_host: 4, to_guest: 4 };

pub struct Guest {
    writer: Writer,
    version: u32,
    answers: Answers<Result<Reply, Failure>>,
    events: Vec<Event>,
    kept_from: u64,
    long: Vec<u8>,
    capacity: Capacity,
    /// So many of the next messages with raw bulk stop in the middle of it.
    halves: u32,
    /// How often each `Write` was carried out, by address.
    written: Vec<u32>,
}

impl Guest {
    /// Runs a guest on these streams until they end.
    pub fn start(mut reader: Reader, writer: Writer, version: u32, long: usize, capacity: Capacity) {
        let mut guest = Self {
            writer,
            version,
            answers: Answers::default(),
            events: Vec::new(),
            kept_from: 0,
            long: long_answer(long),
            capacity,
            halves: 0,
            written: vec![0; 4096],
        };
        thread::spawn(move || {
            let mut decoder = Decoder::new();
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                let mut messages = Vec::new();
                decoder.feed(&buffer[..count], |frame| messages.push((frame.payload.to_vec(), frame.bulk)));
                for (message, bulk) in messages {
                    if let Ok(message) = postcard::from_bytes(&message) {
                        guest.asked(message, &bulk);
                    }
                }
            }
        });
    }

    fn asked(&mut self, message: ToGuest, bulk: &[u8]) {
        let (epoch, number) = (message.epoch, message.number);
        let pages = match &message.request {
            Request::SavePages { runs } => pages(runs),
            _ => Vec::new(),
        };
        let result = match self.answers.judge(epoch, number) {
            Verdict::Stale => return,
            Verdict::Repeat(result) => result.clone(),
            Verdict::New => {
                let result = self.carry_out(message.request, bulk);
                self.answers.keep((epoch, number), result.clone());
                result
            }
        };
        self.say_with(&FromGuest::Reply { epoch, number, result }, &pages);
    }

    fn carry_out(&mut self, request: Request, bulk: &[u8]) -> Result<Reply, Failure> {
        match request {
            Request::Hello { .. } => Ok(Reply::Hello {
                version: self.version,
                size: 1 << 20,
                program: "simulated".into(),
                boot: 1,
                first_event: 0,
                capacity: self.capacity,
            }),
            Request::Sync { events_from } => {
                assert!(events_from >= self.kept_from, "asked for an event that was seen");
                self.kept_from = events_from;
                for number in events_from..self.events.len() as u64 {
                    self.tell(number);
                }
                Ok(Reply::Sync(Progress {
                    boot: 1,
                    next_event: self.events.len() as u64,
                    ..Progress::default()
                }))
            }
            Request::Look { .. } => Ok(Reply::Long { answer: 5, size: self.long.len() as u64 }),
            Request::Chunk { answer: 5, index } => {
                Ok(Reply::Bytes(self.long.chunks(CHUNK).nth(index as usize).unwrap_or_default().to_vec()))
            }
            // One event and one count for each write that is really carried out.
            Request::Write { address, .. } => {
                self.written[address as usize] += 1;
                self.events.push(Event::Exited { code: address as i32 });
                self.tell(self.events.len() as u64 - 1);
                Ok(Reply::Done)
            }
            Request::Read { address, .. } => {
                Ok(Reply::Bytes(self.written[address as usize].to_le_bytes().to_vec()))
            }
            Request::SavePages { .. } => Ok(Reply::Pages(Vec::new())),
            // As many pages as it is told of, and each as it is; counted like writes.
            Request::RestorePages { runs, .. } => {
                assert!(bulk == pages(&runs), "{runs:?} came with {} bytes of something else", bulk.len());
                runs.iter().for_each(|run| self.written[run.first as usize] += 1);
                Ok(Reply::Done)
            }
            // What comes next stops half-way so often.
            Request::Blank { pages } => {
                self.halves = pages;
                Ok(Reply::Done)
            }
            Request::Forget { .. } => Ok(Reply::Done),
            Request::Stop(Scope::Thread(thread)) => {
                self.events.push(Event::Exited { code: thread as i32 });
                self.tell(self.events.len() as u64 - 1);
                Ok(Reply::Threads(1))
            }
            _ => Err(Failure { kind: FailureKind::Invalid, text: "not simulated".into() }),
        }
    }

    fn tell(&mut self, number: u64) {
        let event = self.events[number as usize].clone();
        self.say(&FromGuest::Event { number, event });
    }

    fn say(&mut self, message: &FromGuest) {
        self.say_with(message, &[]);
    }

    fn say_with(&mut self, message: &FromGuest, bulk: &[u8]) {
        let (mut frame, channel) = (Vec::new(), CHANNEL_DEBUGGER);
        let message = postcard::to_allocvec(message).expect("encodes");
        match (bulk, self.capacity.is_lossless) {
            ([], _) => encode(channel, &message, &mut frame),
            (bulk, false) => encode_with_bulk(channel, &message, bulk, &mut frame),
            (bulk, true) => encode_raw_head(channel, &message, bulk.len(), Sum::of(bulk), &mut frame),
        }
        .expect("short");
        if self.capacity.is_lossless {
            let is_half = !bulk.is_empty() && self.halves > 0;
            self.halves -= u32::from(is_half);
            frame.extend_from_slice(if is_half { &bulk[..bulk.len() / 2] } else { bulk });
        }
        // The host may have gone.
        let _ = self.writer.write(&frame);
    }
}

/// The version that fits.
pub const FITTING: u32 = VERSION;
