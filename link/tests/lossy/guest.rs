//! A guest as the protocol wants it: a cache of answers, numbered events that are kept until they were seen.

use std::{
    io::{Read, Write},
    thread,
};

use flob_link::answers::{Answers, Verdict};
use flob_link::frame::{Decoder, encode};
use flob_link::{
    CHANNEL_DEBUGGER, CHUNK, Capacity, Event, Failure, FailureKind, FromGuest, Progress, Reply, Request,
    ToGuest, VERSION,
};

use crate::pipe::{Reader, Writer};

/// The long answer of this guest.
pub fn long_answer(size: usize) -> Vec<u8> {
    (0..size).map(|index| (index * 7 + index / 251) as u8).collect()
}

pub struct Guest {
    writer: Writer,
    version: u32,
    answers: Answers<Result<Reply, Failure>>,
    events: Vec<Event>,
    kept_from: u64,
    long: Vec<u8>,
    /// How often each `Write` was carried out, by address.
    written: Vec<u32>,
}

impl Guest {
    /// Runs a guest on these streams until they end.
    pub fn start(mut reader: Reader, writer: Writer, version: u32, long: usize) {
        let mut guest = Self {
            writer,
            version,
            answers: Answers::default(),
            events: Vec::new(),
            kept_from: 0,
            long: long_answer(long),
            written: vec![0; 4096],
        };
        thread::spawn(move || {
            let mut decoder = Decoder::new();
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                let mut messages = Vec::new();
                decoder.feed(&buffer[..count], |frame| messages.push(frame.payload.to_vec()));
                for message in messages {
                    if let Ok(message) = postcard::from_bytes(&message) {
                        guest.asked(message);
                    }
                }
            }
        });
    }

    fn asked(&mut self, message: ToGuest) {
        let (epoch, number) = (message.epoch, message.number);
        let result = match self.answers.judge(epoch, number) {
            Verdict::Stale => return,
            Verdict::Repeat(result) => result.clone(),
            Verdict::New => {
                let result = self.carry_out(message.request);
                self.answers.keep(number, result.clone());
                result
            }
        };
        self.say(&FromGuest::Reply { epoch, number, result });
    }

    fn carry_out(&mut self, request: Request) -> Result<Reply, Failure> {
        match request {
            Request::Hello { .. } => Ok(Reply::Hello {
                version: self.version,
                size: 1 << 20,
                program: "simulated".into(),
                boot: 1,
                capacity: Capacity { is_lossless: false, to_host: 1, to_guest: 1 },
            }),
            Request::Sync { events_from } => {
                assert!(events_from >= self.kept_from, "asked for an event that was seen");
                self.kept_from = events_from;
                for number in events_from..self.events.len() as u64 {
                    self.tell(number);
                }
                Ok(Reply::Sync(Progress { next_event: self.events.len() as u64, ..Progress::default() }))
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
            Request::Forget { .. } => Ok(Reply::Done),
            _ => Err(Failure { kind: FailureKind::Invalid, text: "not simulated".into() }),
        }
    }

    fn tell(&mut self, number: u64) {
        let event = self.events[number as usize].clone();
        self.say(&FromGuest::Event { number, event });
    }

    fn say(&mut self, message: &FromGuest) {
        let mut frame = Vec::new();
        encode(CHANNEL_DEBUGGER, &postcard::to_allocvec(message).expect("encodes"), &mut frame)
            .expect("short");
        // The host may have gone.
        let _ = self.writer.write(&frame);
    }
}

/// The version that fits.
pub const FITTING: u32 = VERSION;
