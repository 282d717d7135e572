//! A small client of gdb's protocol, for benchmarks: one packet after the other, each with its answer.

use std::{
    io::{self, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

use flob_gdb::packet::{Framer, Incoming, frame};
use flob_session::Error;

/// Nothing that is waited for takes longer.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Where the instruction pointer is among the registers, in hexadecimal digits.
pub const RIP: std::ops::Range<usize> = 16 * 16..17 * 16;

/// A connection that speaks gdb's protocol.
pub struct Stub {
    stream: BufReader<UnixStream>,
    framer: Framer,
    /// Whose it is, for errors.
    name: &'static str,
    /// The packet that was sent last.
    asked: String,
    thread: String,
}

impl Stub {
    /// Connects: everything stops.
    pub fn connect(socket: &Path, name: &'static str) -> Result<Self, Error> {
        let failed = |error| Error::io(format!("connecting to {name}"), error);
        let begin = Instant::now();
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) if begin.elapsed() > PATIENCE => return Err(failed(error)),
                // The emulator has not made it yet.
                Err(_) => std::thread::yield_now(),
            }
        };
        Self::over(stream, name)
    }

    /// Over this connection: everything stops.
    pub fn over(stream: UnixStream, name: &'static str) -> Result<Self, Error> {
        let (stream, framer) = (BufReader::new(stream), Framer::default());
        let mut stub = Self { stream, framer, name, asked: String::new(), thread: String::new() };
        stub.stream.get_ref().set_read_timeout(Some(PATIENCE)).map_err(|error| stub.failed(error))?;
        let stop = stub.ask("?")?;
        stub.stopped(&stop)?;
        Ok(stub)
    }

    /// One instruction of the thread that stopped last.
    pub fn step(&mut self) -> Result<(), Error> {
        self.go(&format!("s:{}", self.thread))
    }

    /// Lets something run until it stops.
    pub fn go(&mut self, action: &str) -> Result<(), Error> {
        let stop = self.ask(&format!("vCont;{action}"))?;
        self.stopped(&stop)
    }

    fn stopped(&mut self, reply: &str) -> Result<(), Error> {
        let thread = reply.split(';').find_map(|part| part.split_once("thread:").map(|(_, thread)| thread));
        match (reply.as_bytes().first(), thread) {
            (Some(b'T'), Some(thread)) => thread.clone_into(&mut self.thread),
            (Some(b'T' | b'S'), None) if !self.thread.is_empty() => {}
            _ => return Err(Error::Guest(format!("it did not stop: '{reply}'"))),
        }
        Ok(())
    }

    /// Where that thread is.
    pub fn position(&mut self) -> Result<u64, Error> {
        let thread = self.thread.clone();
        self.expect(&format!("Hg{thread}"), "OK")?;
        let registers = self.ask("g")?;
        // The least byte comes first.
        let number = registers.get(RIP).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let unreadable = || Error::Guest(format!("no registers but '{registers}'"));
        number.map(u64::swap_bytes).ok_or_else(unreadable)
    }

    /// The instruction at an address, and some behind it.
    pub fn code(&mut self, address: u64) -> Result<String, Error> {
        self.ask(&format!("m{address:x},20"))
    }

    /// Sends a packet that has only one good answer.
    pub fn expect(&mut self, packet: &str, expected: &str) -> Result<(), Error> {
        match self.ask(packet)? {
            reply if reply == expected => Ok(()),
            reply => Err(Error::Guest(format!("'{packet}' was answered by '{reply}'"))),
        }
    }

    fn failed(&self, error: io::Error) -> Error {
        Error::io(
            format!("speaking gdb's protocol with {} ('{}' was sent last)", self.name, self.asked),
            error,
        )
    }

    /// Sends a packet; what comes for it.
    fn ask(&mut self, packet: &str) -> Result<String, Error> {
        packet.clone_into(&mut self.asked);
        self.send(&frame(packet.as_bytes()))?;
        let reply = self.packet().map_err(|error| self.failed(error))?;
        let reply = reply.ok_or_else(|| Error::Guest("the connection to the stub has ended".into()))?;
        self.send(b"+")?;
        Ok(unpacked(&String::from_utf8_lossy(&reply)))
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.stream.get_mut().write_all(bytes).map_err(|error| self.failed(error))
    }

    /// The body of the next packet; nothing behind the last one.
    fn packet(&mut self) -> io::Result<Option<Vec<u8>>> {
        for byte in self.stream.by_ref().bytes() {
            if let Some(Incoming::Packet(body)) = self.framer.push(byte?) {
                return Ok(Some(body));
            }
        }
        Ok(None)
    }
}

/// A reply with its runs written out: `x*N` is an x and as many more as N is above 29.
fn unpacked(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, whole.chars().last()) {
            ('*', Some(last)) => {
                let more = letters.next().map_or(0, |count| u32::from(count).saturating_sub(29));
                whole.extend(std::iter::repeat_n(last, more as usize));
            }
            _ => whole.push(letter),
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_written_out() {
        assert_eq!(unpacked("0* 1"), "00001");
        assert_eq!(unpacked("OK"), "OK");
    }
}
