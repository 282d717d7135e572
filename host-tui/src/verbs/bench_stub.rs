//! Steps and breakpoint stops a second over gdb's protocol: of flob's own server, and of the emulator's stub on the same program.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use flob_session::{
    Error,
    boot::arguments::{Beginning, Disturbance, Stack, command_line},
};

use super::bench_machine::emulator;
use crate::guest;

/// The program: once it says that it is ready, it computes in one loop for good, and never waits.
pub const PROGRAM: [&str; 2] = ["scribble", "32"];
/// What it says. Where it was before that, and on the way back from saying it, it never comes again.
pub const READY: &str = "ready";
/// Steps from which is seen where it is: more than its loop has instructions.
const SAMPLES: usize = 400;
/// How often that is looked at until it has come to its loop.
const TRIES: usize = 50;
/// Steps and stops that are timed.
const STEPS: u32 = 1000;
const STOPS: u32 = 300;
/// Nothing that is waited for takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where the instruction pointer is among the registers, in hexadecimal digits.
const RIP: std::ops::Range<usize> = 16 * 16..17 * 16;

/// How many of each a second.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Single steps of a thread.
    pub steps: f64,
    /// Stops at a breakpoint, each passed as gdb does: taken out, stepped over, put in again.
    pub stops: f64,
}

/// An instruction: other programs have others at the same address.
#[derive(Clone, Debug)]
pub struct Place {
    address: u64,
    /// The bytes from there on, in hexadecimal digits.
    code: String,
}

/// Those of the server behind this socket, and where the breakpoint was. The program is ready.
pub fn of_flob(socket: &Path) -> Result<(Rates, Place), Error> {
    let mut stub = Stub::connect(socket, "flob's server")?;
    let address = stub.innermost_loop()?;
    let place = Place { address, code: stub.code(address)? };
    Ok((stub.rates(&place)?, place))
}

/// Those of the emulator's stub, at the same place of the same program on the same kernel.
pub fn of_emulator(place: &Place) -> Result<Rates, Error> {
    let emulator = Emulator::start()?;
    Stub::connect(&emulator.socket, "QEMU's stub")?.rates(place)
}

/// The emulator with its stub on. It ends when this is dropped.
struct Emulator {
    child: Child,
    socket: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl Emulator {
    fn start() -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(|error| Error::io("making a folder", error))?;
        let [name, arguments @ ..] = PROGRAM;
        let program = guest::find(name)?;
        let software = guest::software([&program]);
        let arguments = arguments.map(str::to_owned);
        let stack = Stack { program: &program.name, arguments: &arguments, ..Stack::default() };
        let words = command_line(Beginning::Run, Disturbance::default(), stack)?;
        let socket = folder.path().join("gdb");
        let options = "-accel tcg -M pc -m 256 -nodefaults -no-user-config -no-reboot -display none -serial null \
                       -gdb chardev:stub -S";
        let mut command = emulator(&software, &words, &folder)?;
        command.args(options.split_whitespace()).arg("-chardev");
        command.arg(format!("socket,id=stub,server=on,wait=off,path={}", socket.display()));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(|error| Error::io("starting the emulator", error))?;
        Ok(Self { child, socket, _folder: folder })
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection that speaks gdb's protocol.
struct Stub {
    stream: UnixStream,
    /// Whose it is, for errors.
    name: &'static str,
    /// The packet that was sent last.
    asked: String,
    /// What came and was not read yet.
    waiting: Vec<u8>,
    thread: String,
}

impl Stub {
    /// Connects: everything stops.
    fn connect(socket: &Path, name: &'static str) -> Result<Self, Error> {
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

    fn over(stream: UnixStream, name: &'static str) -> Result<Self, Error> {
        let mut stub =
            Self { stream, name, asked: String::new(), waiting: Vec::new(), thread: String::new() };
        stub.stream.set_read_timeout(Some(PATIENCE)).map_err(|error| stub.failed(error))?;
        let stop = stub.ask("?")?;
        stub.stopped(&stop)?;
        Ok(stub)
    }

    fn rates(&mut self, place: &Place) -> Result<Rates, Error> {
        let Place { address, code } = place;
        let (set, clear) = (format!("Z0,{address:x},1"), format!("z0,{address:x},1"));
        self.expect(&set, "OK")?;
        self.go("c")?;
        self.expect(&clear, "OK")?;
        // The emulator's stub knows nothing of spaces: another program may have come by.
        let begin = Instant::now();
        while self.code(*address)? != *code {
            if begin.elapsed() > PATIENCE {
                return Err(Error::Guest(format!("the program never came to {address:#x}")));
            }
            self.step()?;
            self.expect(&set, "OK")?;
            self.go("c")?;
            self.expect(&clear, "OK")?;
        }
        let steps = timed(STEPS, || self.step())?;
        self.expect(&set, "OK")?;
        self.go("c")?;
        let stops = timed(STOPS, || {
            self.expect(&clear, "OK")?;
            self.step()?;
            self.expect(&set, "OK")?;
            self.go("c")
        })?;
        match self.position()? {
            stands if stands == *address => Ok(Rates { steps, stops }),
            stands => {
                Err(Error::Guest(format!("stopped at {stands:#x} and not at the breakpoint {address:#x}")))
            }
        }
    }

    /// Where the program is most often in the loop that it has come to: it was at the same places twice in a row.
    fn innermost_loop(&mut self) -> Result<u64, Error> {
        let mut before = self.visits()?;
        for _ in 0..TRIES {
            let visits = self.visits()?;
            if visits.keys().eq(before.keys()) {
                let busiest = visits.into_iter().max_by_key(|(place, count)| (*count, *place));
                return Ok(busiest.map_or(0, |(place, _)| place));
            }
            before = visits;
        }
        Err(Error::Guest("the program comes to no loop".into()))
    }

    /// How often it was where within some steps.
    fn visits(&mut self) -> Result<BTreeMap<u64, usize>, Error> {
        let mut visits = BTreeMap::new();
        for _ in 0..SAMPLES {
            self.step()?;
            *visits.entry(self.position()?).or_default() += 1;
        }
        Ok(visits)
    }

    fn step(&mut self) -> Result<(), Error> {
        self.go(&format!("s:{}", self.thread))
    }

    /// Lets something run until it stops.
    fn go(&mut self, action: &str) -> Result<(), Error> {
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

    fn position(&mut self) -> Result<u64, Error> {
        let thread = self.thread.clone();
        self.expect(&format!("Hg{thread}"), "OK")?;
        let registers = self.ask("g")?;
        // The least byte comes first.
        let number = registers.get(RIP).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let unreadable = || Error::Guest(format!("no registers but '{registers}'"));
        number.map(u64::swap_bytes).ok_or_else(unreadable)
    }

    /// The instruction at an address, and some behind it.
    fn code(&mut self, address: u64) -> Result<String, Error> {
        self.ask(&format!("m{address:x},20"))
    }

    fn expect(&mut self, packet: &str, expected: &str) -> Result<(), Error> {
        match self.ask(packet)? {
            reply if reply == expected => Ok(()),
            reply => Err(Error::Guest(format!("'{packet}' was answered by '{reply}'"))),
        }
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::io(
            format!("speaking gdb's protocol with {} ('{}' was sent last)", self.name, self.asked),
            error,
        )
    }

    /// Sends a packet; what comes for it.
    fn ask(&mut self, packet: &str) -> Result<String, Error> {
        let sum = packet.bytes().fold(0u8, u8::wrapping_add);
        packet.clone_into(&mut self.asked);
        self.stream
            .write_all(format!("${packet}#{sum:02x}").as_bytes())
            .map_err(|error| self.failed(error))?;
        let reply = self.reply()?;
        self.stream.write_all(b"+").map_err(|error| self.failed(error))?;
        Ok(reply)
    }

    fn reply(&mut self) -> Result<String, Error> {
        loop {
            let start = self.waiting.iter().position(|byte| *byte == b'$');
            let end = self.waiting.iter().position(|byte| *byte == b'#');
            if let (Some(start), Some(end)) = (start, end)
                && self.waiting.len() >= end + 3
            {
                let packet: Vec<u8> = self.waiting.drain(..end + 3).collect();
                let text = packet.get(start + 1..end).unwrap_or_default();
                return Ok(unpacked(&String::from_utf8_lossy(text)));
            }
            let mut buffer = [0; 4096];
            let count = self.stream.read(&mut buffer).map_err(|error| self.failed(error))?;
            if count == 0 {
                return Err(Error::Guest("the connection to the stub has ended".into()));
            }
            self.waiting.extend_from_slice(buffer.get(..count).unwrap_or_default());
        }
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

/// How often a second something can be done that is done so often.
fn timed(times: u32, mut work: impl FnMut() -> Result<(), Error>) -> Result<f64, Error> {
    let begin = Instant::now();
    (0..times).try_for_each(|_| work())?;
    Ok(f64::from(times) / begin.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a program is after so many steps: it comes back from a call, which passes through a loop of its own, to the one that it
    /// never leaves.
    fn place_after(steps: usize) -> u64 {
        match steps {
            0..100 => 0x1000,
            100..450 => 0x1000 + steps as u64,
            _ => 0x40_0000 + (steps % 21) as u64,
        }
    }

    /// A stub of that program, on one end of a connection.
    fn made_up_stub(mut far: UnixStream) -> std::io::Result<()> {
        let mut steps = 0;
        let mut packet = Vec::new();
        for byte in std::io::BufReader::new(far.try_clone()?).bytes() {
            packet.push(byte?);
            let Some(end) = packet.iter().position(|byte| *byte == b'#') else { continue };
            if packet.len() < end + 3 {
                continue;
            }
            let text = String::from_utf8_lossy(&packet).into_owned();
            packet.clear();
            let answer = match text.trim_start_matches(['+', '$']).as_bytes() {
                [b'?', ..] => "T05thread:1;".into(),
                [b'v', ..] => {
                    steps += 1;
                    "T05thread:1;".into()
                }
                [b'g', ..] => format!("{}{:016x}", "0".repeat(RIP.start), place_after(steps).swap_bytes()),
                _ => "OK".into(),
            };
            far.write_all(format!("+${answer}#00").as_bytes())?;
        }
        Ok(())
    }

    #[test]
    fn a_loop_on_the_way_to_the_programs_own_is_not_taken_for_it() {
        let (near, far) = UnixStream::pair().expect("a pair");
        let stub = std::thread::spawn(|| made_up_stub(far));
        let mut near = Stub::over(near, "a made-up stub").expect("stopped");
        let place = near.innermost_loop().expect("a loop");
        assert!((0x40_0000..0x40_0015).contains(&place), "{place:#x}");
        drop(near);
        stub.join().expect("no panic").expect("served");
    }

    #[test]
    fn runs_are_written_out() {
        assert_eq!(unpacked("0* 1"), "00001");
        assert_eq!(unpacked("OK"), "OK");
    }
}
