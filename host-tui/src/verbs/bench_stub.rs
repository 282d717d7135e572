//! Steps and breakpoint stops a second over gdb's protocol: of flob's own server, and of the emulator's stub on the same program.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Child, Stdio},
    time::Instant,
};

use flob_session::{
    Error,
    boot::arguments::{Beginning, Disturbance, Stack, command_line},
};

use super::{
    bench_client::{PATIENCE, Stub},
    bench_machine::emulator,
};
use crate::guest;

/// The program: once it says that it is ready, it computes in one loop for good, and never waits.
pub const PROGRAM: [&str; 2] = ["scribble", "32"];
/// What it says. Where it was before that, and on the way back from saying it, it never comes again.
pub const READY: &str = "ready";
/// Steps from which is seen where it is: more than its loop has instructions.
const SAMPLES: usize = 400;
/// How often that is looked at until it has come to its loop.
const TRIES: usize = 50;
/// Steps and stops that are timed at once.
const STEPS: u32 = 1000;
const STOPS: u32 = 300;
/// How often they are: whatever else the machine does for a moment is in few of these.
const TIMES: usize = 5;

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

impl Stub {
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
}

/// How often a second something can be done that is done so often: the median of some times.
fn timed(times: u32, mut work: impl FnMut() -> Result<(), Error>) -> Result<f64, Error> {
    let mut rates = [0.0; TIMES];
    for rate in &mut rates {
        let begin = Instant::now();
        (0..times).try_for_each(|_| work())?;
        *rate = f64::from(times) / begin.elapsed().as_secs_f64();
    }
    rates.sort_by(f64::total_cmp);
    Ok(rates[TIMES / 2])
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufReader, Read, Write},
        os::unix::net::UnixStream,
    };

    use flob_gdb::packet::{Framer, Incoming, frame};

    use super::{super::bench_client::RIP, *};

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
        let (mut steps, mut framer) = (0, Framer::default());
        for byte in BufReader::new(far.try_clone()?).bytes() {
            let Some(Incoming::Packet(packet)) = framer.push(byte?) else { continue };
            steps += usize::from(packet.starts_with(b"vCont"));
            let answer = match packet.first() {
                Some(b'?' | b'v') => "T05thread:1;".into(),
                Some(b'g') => format!("{}{:016x}", "0".repeat(RIP.start), place_after(steps).swap_bytes()),
                _ => "OK".into(),
            };
            far.write_all(&frame(answer.as_bytes()))?;
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
}
