//! A byte stream in memory that loses, flips and delays bytes.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    sync::{
        Arc, Condvar, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
};

use flob_link::host::{Inlet, Outlet};

/// A small random generator: the seed says all.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn one_in(&mut self, chances: u64) -> bool {
        chances != 0 && self.next().is_multiple_of(chances)
    }
}

/// How bad the line is: one byte in so many is lost or flipped, one write in so many is delayed; 0 for never.
#[derive(Clone, Copy)]
pub struct Faults {
    pub lose: u64,
    pub flip: u64,
    pub delay: u64,
}

pub const PERFECT: Faults = Faults { lose: 0, flip: 0, delay: 0 };

pub struct Writer {
    sender: Sender<Vec<u8>>,
    faults: Faults,
    random: Random,
    held: Vec<u8>,
}

pub struct Reader {
    receiver: Receiver<Vec<u8>>,
    waiting: VecDeque<u8>,
    gate: Gate,
}

/// What a pipe's reader passes, unless it is shut: then everything is late.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub fn set_shut(&self, is_shut: bool) {
        *self.0.0.lock().expect("no panic") = is_shut;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let shut = self.0.0.lock().expect("no panic");
        drop(self.0.1.wait_while(shut, |is_shut| *is_shut).expect("no panic"));
    }
}

impl Reader {
    pub fn gate(&self) -> Gate {
        self.gate.clone()
    }
}

pub fn pipe(faults: Faults, seed: u64) -> (Writer, Reader) {
    let (sender, receiver) = channel();
    let writer = Writer { sender, faults, random: Random::new(seed), held: Vec::new() };
    (writer, Reader { receiver, waiting: VecDeque::new(), gate: Gate::default() })
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            if self.random.one_in(self.faults.lose) {
                continue;
            }
            let flip = if self.random.one_in(self.faults.flip) { 1 << (self.random.next() % 8) } else { 0 };
            self.held.push(byte ^ flip);
        }
        // Delayed bytes come with those of a later write.
        if !self.random.one_in(self.faults.delay) {
            self.sender.send(std::mem::take(&mut self.held)).map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// It has room for everything.
impl Inlet for Reader {}

impl Outlet for Writer {
    fn write_at_once(&mut self, bytes: &[u8]) -> usize {
        self.write(bytes).unwrap_or(0)
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.waiting.is_empty() {
            match self.receiver.recv() {
                Ok(bytes) => self.waiting.extend(bytes),
                Err(_) => return Ok(0),
            }
        }
        self.gate.pass();
        self.waiting.read(buffer)
    }
}
