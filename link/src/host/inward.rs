//! The way in. A thread reads, so that the guest never waits for the host; but who waits for an answer reads for all until it has
//! come, where the stream can be awaited: so no thread is woken only to wake another one.

use std::{
    fmt,
    io::{self, ErrorKind, Read},
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, MutexGuard, TryLockError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::{
    event::{
        PollFd, PollFlags, Timespec,
        epoll::{self, CreateFlags, EventData, EventFlags},
        poll,
    },
    io::Errno,
};

use super::{Shared, lock};

/// Most bytes that are read at once.
const READ: usize = 256 * 1024;
/// An answer takes no longer than this to come, often, and a thread that sleeps takes a tenth of it to wake: so long is looked again and
/// again, with the processor for whoever else has use for it.
const BRIEFLY: Duration = Duration::from_micros(200);
/// After so long without a byte, who waits for an answer leaves the stream to the thread: it may be that there will be none, and that
/// does not come by the stream.
const TURN: Duration = Duration::from_millis(20);

/// Where frames come from.
pub trait Inlet: Read + Send + 'static {
    /// Where it can be awaited that there is something to read, if it can be. Reading then never waits: where there is nothing, that is
    /// [`ErrorKind::WouldBlock`].
    fn awaitable(&self) -> io::Result<Option<OwnedFd>> {
        Ok(None)
    }
}

/// The stream, and who reads it.
pub struct Inward {
    shared: Arc<Shared>,
    received: Arc<AtomicU64>,
    /// Whoever has this reads.
    reading: Mutex<Reading>,
    /// For a stream that can be awaited. The thread has any other one for itself.
    gate: Option<Gate>,
}

struct Reading {
    inlet: Box<dyn Inlet>,
    buffer: Vec<u8>,
}

/// What the thread waits at while nobody else reads.
struct Gate {
    stream: OwnedFd,
    opened: OwnedFd,
}

/// What came of a look.
#[derive(PartialEq, Eq)]
enum Came {
    Something,
    Nothing,
    End,
}

impl Gate {
    fn new(stream: OwnedFd) -> io::Result<Self> {
        let opened = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&opened, &stream, EventData::new_u64(0), EventFlags::IN)?;
        Ok(Self { stream, opened })
    }

    /// Whether the thread is woken when there is something.
    fn set_open(&self, is_open: bool) {
        let events = if is_open { EventFlags::IN } else { EventFlags::empty() };
        // It was added, and what is asked for is known.
        let _ = epoll::modify(&self.opened, &self.stream, EventData::new_u64(0), events);
    }

    /// For the thread.
    fn pass(&self) {
        let mut events = [epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }];
        // Interrupted, it looks in vain.
        let _ = epoll::wait(&self.opened, &mut events, None);
    }

    /// For who reads in the thread's place. Whether something has come.
    fn wait(&self, time: Duration) -> bool {
        let time = Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
        let mut stream = [PollFd::new(&self.stream, PollFlags::IN)];
        matches!(poll(&mut stream, Some(&time)), Ok(1..) | Err(Errno::INTR))
    }
}

impl fmt::Debug for Inward {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes came", self.received.load(Ordering::Relaxed))
    }
}

impl Inward {
    /// Starts the thread.
    pub fn start(inlet: impl Inlet, shared: Arc<Shared>, received: Arc<AtomicU64>) -> io::Result<Arc<Self>> {
        let gate = inlet.awaitable()?.map(Gate::new).transpose()?;
        let reading = Mutex::new(Reading { inlet: Box::new(inlet), buffer: vec![0; READ] });
        let inward = Arc::new(Self { shared, received, reading, gate });
        let theirs = Arc::clone(&inward);
        thread::Builder::new().name("link reader".into()).spawn(move || theirs.read_all())?;
        Ok(inward)
    }

    /// Reads until the end, and says that it has come.
    fn read_all(&self) {
        loop {
            if let Some(gate) = &self.gate {
                gate.pass();
            }
            let mut reading = lock(&self.reading);
            match self.look(&mut reading) {
                Came::Something => lock(&self.shared.manager).write_log(),
                Came::Nothing => {}
                Came::End => break,
            }
        }
        lock(&self.shared.manager).end();
        self.shared.over.notify_all();
    }

    /// Counts what there is and hands it on. A stream that says `NotConnected` is interrupted, and read again.
    fn look(&self, reading: &mut Reading) -> Came {
        let Reading { inlet, buffer } = reading;
        let bytes = match inlet.read(buffer) {
            Ok(0) => return Came::End,
            Ok(count) => buffer.get(..count).unwrap_or_default(),
            Err(error) => match error.kind() {
                ErrorKind::Interrupted | ErrorKind::WouldBlock => return Came::Nothing,
                // A device that has gone and may come back: the next read waits for that.
                ErrorKind::NotConnected => {
                    lock(&self.shared.manager).interrupted();
                    return Came::Nothing;
                }
                _ => return Came::End,
            },
        };
        self.received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let answers = lock(&self.shared.manager).arrived(bytes);
        for (asker, result) in answers {
            asker.answer(result);
        }
        Came::Something
    }

    /// For somebody who is about to ask and to wait for the answer: the reading, unless it is somebody else's.
    pub fn turn(&self) -> Option<Turn<'_>> {
        let gate = self.gate.as_ref()?;
        let reading = match self.reading.try_lock() {
            Ok(reading) => reading,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        gate.set_open(false);
        Some(Turn { opens: Opens(gate), inward: self, reading })
    }
}

/// The reading, in the hands of somebody who waits for an answer.
pub struct Turn<'a> {
    /// Before the reading is let go: nobody else can have closed it meanwhile.
    opens: Opens<'a>,
    inward: &'a Inward,
    reading: MutexGuard<'a, Reading>,
}

/// Leaves the stream to the thread again.
struct Opens<'a>(&'a Gate);

impl Drop for Opens<'_> {
    fn drop(&mut self) {
        self.0.set_open(true);
    }
}

impl Turn<'_> {
    /// Reads until this is there, or nothing has come for a while.
    pub fn read_until<T>(mut self, mut there: impl FnMut() -> Option<T>) -> Option<T> {
        loop {
            if let Some(made) = there() {
                return Some(made);
            }
            // While the guest is at work: nobody waits for this.
            lock(&self.inward.shared.manager).write_log();
            if self.await_some() != Came::Something {
                return None;
            }
        }
    }

    fn await_some(&mut self) -> Came {
        let begin = Instant::now();
        while begin.elapsed() < BRIEFLY {
            match self.inward.look(&mut self.reading) {
                Came::Nothing => thread::yield_now(),
                came => return came,
            }
        }
        if self.opens.0.wait(TURN) { self.inward.look(&mut self.reading) } else { Came::Nothing }
    }
}
