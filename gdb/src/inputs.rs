//! What comes to a server, from the debugger and from the session: the thread that takes it in waits for both at once, so that none
//! has to be woken to wake it.

use std::{
    io::{self, PipeReader, PipeWriter, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, TryRecvError},
    },
    time::Duration,
};

use flob_session::HubEvent;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::Stream;

/// Most bytes that are taken from a debugger at once; for more it has to wait.
const MOST_BYTES: usize = 4096;

/// One thing that came.
pub enum Input {
    /// From the debugger.
    Bytes(Vec<u8>),
    /// The debugger has gone.
    Closed,
    /// In the session.
    Event(HubEvent),
    /// The session will tell nothing more.
    SessionEnded,
}

/// Where it comes in.
pub struct Inputs<S> {
    stream: S,
    events: Receiver<HubEvent>,
    bell: Arc<Bell>,
    rung: PipeReader,
}

/// Wakes who waits for inputs.
struct Bell {
    /// Somebody waits, and nobody has rung.
    is_awaited: AtomicBool,
    rope: PipeWriter,
}

impl Bell {
    fn ring(&self) {
        if self.is_awaited.swap(false, Ordering::SeqCst) {
            // Who waited may have gone.
            let _ = (&self.rope).write(&[0]);
        }
    }
}

/// The session's way in. When it goes, that is the session's end.
pub struct Sink {
    events: Option<mpsc::Sender<HubEvent>>,
    bell: Arc<Bell>,
}

impl Sink {
    /// Takes an event. `false` if nobody is there for it any more.
    pub fn take(&self, event: HubEvent) -> bool {
        let is_taken = self.events.as_ref().is_some_and(|events| events.send(event).is_ok());
        self.bell.ring();
        is_taken
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.events = None;
        self.bell.ring();
    }
}

impl<S: Stream> Inputs<S> {
    /// From this stream and through this sink.
    pub fn new(stream: S) -> io::Result<(Self, Sink)> {
        let (rung, rope) = io::pipe()?;
        let (sender, events) = mpsc::channel();
        let bell = Arc::new(Bell { is_awaited: AtomicBool::new(false), rope });
        let sink = Sink { events: Some(sender), bell: Arc::clone(&bell) };
        Ok((Self { stream, events, bell, rung }, sink))
    }

    /// Waits for what comes next, but no longer than that: then it is nothing.
    pub fn next(&mut self, time: Option<Duration>) -> Option<Input> {
        if let Some(event) = self.event() {
            return Some(event);
        }
        self.bell.is_awaited.store(true, Ordering::SeqCst);
        // Who came before that did not ring.
        let event = self.event();
        let came = if event.is_none() { self.wait(time) } else { Ok((false, false)) };
        self.bell.is_awaited.store(false, Ordering::SeqCst);
        let Ok((is_rung, is_readable)) = came else { return Some(Input::Closed) };
        if is_rung {
            // Once is enough, however often it was rung.
            let _ = self.rung.read(&mut [0; 16]);
        }
        event.or_else(|| self.event()).or_else(|| is_readable.then(|| self.bytes()))
    }

    /// What the session has told already.
    pub fn event(&self) -> Option<Input> {
        match self.events.try_recv() {
            Ok(event) => Some(Input::Event(event)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Input::SessionEnded),
        }
    }

    /// Whether the bell was rung, and whether there is something of the debugger's.
    fn wait(&self, time: Option<Duration>) -> io::Result<(bool, bool)> {
        let time = time.map(|time| Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: time.subsec_nanos().into(),
        });
        let mut both = [PollFd::new(&self.rung, PollFlags::IN), PollFd::new(&self.stream, PollFlags::IN)];
        match poll(&mut both, time.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok((false, false)),
            Err(error) => return Err(error.into()),
        }
        let [rung, stream] = both.map(|one| !one.revents().is_empty());
        Ok((rung, stream))
    }

    fn bytes(&mut self) -> Input {
        let mut room = [0; MOST_BYTES];
        match self.stream.read(&mut room) {
            Ok(count @ 1..) => Input::Bytes(room.get(..count).unwrap_or_default().to_vec()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Input::Bytes(Vec::new()),
            Ok(_) | Err(_) => Input::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::unix::net::UnixStream, thread};

    use super::*;

    const LONG: Option<Duration> = Some(Duration::from_secs(60));

    #[test]
    fn who_waits_hears_of_either_side_and_of_both_ends() {
        let (near, mut far) = UnixStream::pair().expect("a pair");
        let (mut inputs, sink) = Inputs::new(near).expect("a pipe");
        assert!(inputs.next(Some(Duration::ZERO)).is_none());
        let session = thread::spawn(move || {
            assert!(sink.take(HubEvent::Changed));
            sink
        });
        assert!(matches!(inputs.next(LONG), Some(Input::Event(HubEvent::Changed))));
        let sink = session.join().expect("no panic");
        let debugger = thread::spawn(move || far.write_all(b"+").map(|()| far));
        let bytes = std::iter::from_fn(|| Some(inputs.next(LONG))).flatten().next();
        assert!(matches!(bytes, Some(Input::Bytes(bytes)) if bytes == b"+"));
        let far = debugger.join().expect("no panic");
        let end = thread::spawn(move || drop(sink));
        let ended = std::iter::from_fn(|| Some(inputs.next(LONG))).flatten().next();
        assert!(matches!(ended, Some(Input::SessionEnded)));
        end.join().expect("no panic");
        drop(far);
    }

    #[test]
    fn nothing_is_missed_between_a_look_and_a_wait() {
        const EVENTS: usize = 20_000;
        let (near, _far) = UnixStream::pair().expect("a pair");
        let (mut inputs, sink) = Inputs::new(near).expect("a pipe");
        let session = thread::spawn(move || (0..EVENTS).all(|_| sink.take(HubEvent::Changed)));
        let mut came = 0;
        while came < EVENTS {
            came += usize::from(matches!(inputs.next(LONG), Some(Input::Event(_))));
        }
        assert!(session.join().expect("no panic"));
    }
}
