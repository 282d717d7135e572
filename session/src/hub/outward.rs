//! The way out to a client. What it can take at once is written by whoever sends it; the rest waits for a thread that writes, and
//! not without bound: answers wait for their client to read, and one that does not read what happens is cut off, and told so.

use std::{
    collections::VecDeque,
    io::Write,
    net::Shutdown,
    os::unix::net::UnixStream,
    sync::{Arc, Condvar, Mutex, Weak},
};

use super::{
    lock,
    traffic::{Traffic, Underway},
};
use crate::{FromHub, HubEvent, HubReply, client::Inbox, wire};

/// Bytes of what happened that may wait for a client: a whole backlog of output, and the last trace, fit in several times.
const MOST: usize = 16 << 20;

/// The way, for those who send. When the last of these goes, what waits is still written.
#[derive(Clone, Debug)]
pub enum Outward {
    /// Over a socket.
    Far(Arc<Sending>),
    /// To a client in this process.
    Near(Weak<Mutex<Inbox>>),
}

/// What those who send over a socket share.
#[derive(Debug)]
pub struct Sending {
    way: Arc<Way>,
    traffic: Arc<Traffic>,
}

/// The way, for the thread that writes.
#[derive(Debug)]
pub struct Way {
    stream: UnixStream,
    queue: Mutex<Queue>,
    /// The queue is another one.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Of all that wait.
    bytes: usize,
    /// One is being written by the thread; it is none of those above.
    is_writing: bool,
    standing: Standing,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    #[default]
    Open,
    /// What waits is the last.
    Closing,
    /// Nobody is there any more.
    Gone,
}

/// A message that waits.
#[derive(Debug)]
struct Waiting {
    /// Encoded, or what is left of it.
    bytes: Vec<u8>,
    what: What,
    _underway: Underway,
}

/// As far as it matters while it waits.
#[derive(Debug)]
enum What {
    Changed,
    Progress(u32),
    /// To be told to whoever writes, when it is written.
    Migrated(String),
    Other,
}

impl What {
    fn of(message: &FromHub) -> Self {
        match message {
            FromHub::Event(HubEvent::Changed) => Self::Changed,
            FromHub::Progress { number, .. } => Self::Progress(*number),
            FromHub::Reply { result: Ok(HubReply::Migrated(moved)), .. } => Self::Migrated(moved.to.clone()),
            _ => Self::Other,
        }
    }

    /// Whether this says all that the one before it has said.
    fn replaces(&self, before: &Self) -> bool {
        match (before, self) {
            (Self::Changed, Self::Changed) => true,
            (Self::Progress(before), Self::Progress(now)) => before == now,
            _ => false,
        }
    }
}

impl Outward {
    /// A way over this stream, and its end that [`Way::write_all`] is to be called on.
    pub fn new(stream: UnixStream, traffic: &Arc<Traffic>) -> (Self, Arc<Way>) {
        let way = Arc::new(Way { stream, queue: Mutex::default(), changed: Condvar::new() });
        (Self::Far(Arc::new(Sending { way: Arc::clone(&way), traffic: Arc::clone(traffic) })), way)
    }

    /// The way to a client in this process.
    pub fn near(inbox: &Arc<Mutex<Inbox>>) -> Self {
        Self::Near(Arc::downgrade(inbox))
    }

    /// Whether what is sent has arrived.
    pub const fn is_near(&self) -> bool {
        matches!(self, Self::Near(_))
    }

    /// Sends a message, or gives it back if nobody is there to hear it. An answer first waits until the client has read most of
    /// what came before.
    #[expect(clippy::result_large_err, reason = "the message comes back as it went")]
    pub fn send(&self, message: FromHub) -> Result<(), FromHub> {
        match self {
            Self::Far(sending) => sending.send(message),
            Self::Near(inbox) => match inbox.upgrade() {
                Some(inbox) => {
                    lock(&inbox).deliver(message);
                    Ok(())
                }
                None => Err(message),
            },
        }
    }
}

impl Sending {
    #[expect(clippy::result_large_err, reason = "the message comes back as it went")]
    fn send(&self, message: FromHub) -> Result<(), FromHub> {
        let Self { way, traffic } = self;
        let mut bytes = Vec::new();
        if wire::write(&mut bytes, &message).is_err() {
            return Err(message);
        }
        let mut queue = lock(&way.queue);
        if matches!(message, FromHub::Reply { .. }) {
            let is_full = |queue: &mut Queue| queue.standing == Standing::Open && queue.bytes > MOST;
            queue = match way.changed.wait_while(queue, is_full) {
                Ok(queue) => queue,
                Err(poisoned) => poisoned.into_inner(),
            };
        }
        if queue.standing != Standing::Open {
            return Err(message);
        }
        if matches!(message, FromHub::Event(_)) && queue.bytes + bytes.len() > MOST {
            way.cut_off(&mut queue, traffic);
            return Err(message);
        }
        let what = What::of(&message);
        let is_direct = queue.waiting.is_empty() && !queue.is_writing && !matches!(what, What::Migrated(_));
        if is_direct {
            bytes.drain(..wire::write_at_once(&way.stream, &bytes));
        }
        if !bytes.is_empty() {
            queue.push(Waiting { bytes, what, _underway: traffic.begin() });
            way.changed.notify_all();
        }
        Ok(())
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let mut queue = lock(&self.way.queue);
        if queue.standing == Standing::Open {
            queue.standing = Standing::Closing;
        }
        self.way.changed.notify_all();
    }
}

impl Queue {
    /// The newest of several that say the same is enough; the first may have begun to be written.
    fn push(&mut self, waiting: Waiting) {
        if self.waiting.len() > 1
            && let Some(last) = self.waiting.back_mut()
            && waiting.what.replaces(&last.what)
        {
            self.bytes = self.bytes - last.bytes.len() + waiting.bytes.len();
            *last = waiting;
            return;
        }
        self.bytes += waiting.bytes.len();
        self.waiting.push_back(waiting);
    }
}

impl Way {
    /// The client has fallen too far behind. What it was not told is dropped, but for a message that has begun; the connection
    /// reads nothing more, and so ends.
    fn cut_off(&self, queue: &mut Queue, traffic: &Arc<Traffic>) {
        let text =
            format!("this client had not read {} MiB of what happened, and was cut off", queue.bytes >> 20);
        queue.waiting.truncate(1);
        let mut bytes = Vec::new();
        if wire::write(&mut bytes, &FromHub::CutOff(text)).is_ok() {
            queue.waiting.push_back(Waiting { bytes, what: What::Other, _underway: traffic.begin() });
        }
        queue.bytes = queue.waiting.iter().map(|waiting| waiting.bytes.len()).sum();
        queue.standing = Standing::Closing;
        self.changed.notify_all();
        // It may have gone.
        let _ = self.stream.shutdown(Shutdown::Read);
    }

    /// Writes what waits, until the way is closed and nothing does, or the client has gone. `moved` hears of the session that the
    /// program is in, once the client does.
    pub fn write_all(&self, moved: impl Fn(&str)) {
        while let Some(waiting) = self.next() {
            let written = (&self.stream).write_all(&waiting.bytes);
            let mut queue = lock(&self.queue);
            queue.is_writing = false;
            let mut done = vec![waiting];
            if written.is_err() {
                done.extend(std::mem::take(&mut queue.waiting));
                *queue = Queue { standing: Standing::Gone, ..Queue::default() };
            }
            self.changed.notify_all();
            drop(queue);
            for Waiting { what, .. } in done {
                if let What::Migrated(to) = what {
                    moved(&to);
                }
            }
        }
        // Whoever reads there sees that nothing follows.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The next message to be written.
    fn next(&self) -> Option<Waiting> {
        let is_idle = |queue: &mut Queue| queue.waiting.is_empty() && queue.standing == Standing::Open;
        let mut queue = match self.changed.wait_while(lock(&self.queue), is_idle) {
            Ok(queue) => queue,
            Err(poisoned) => poisoned.into_inner(),
        };
        let next = queue.waiting.pop_front()?;
        queue.is_writing = true;
        queue.bytes -= next.bytes.len();
        self.changed.notify_all();
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use std::{thread, time::Duration};

    use flob_link::Event;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn pair() -> (Outward, Arc<Way>, UnixStream, Arc<Traffic>) {
        let (near, far) = UnixStream::pair().expect("a pair");
        let traffic = Arc::default();
        let (outward, way) = Outward::new(near, &traffic);
        (outward, way, far, traffic)
    }

    fn output(size: usize) -> FromHub {
        FromHub::Event(HubEvent::Guest(Event::Output { stream: 1, position: 0, bytes: vec![b'x'; size] }))
    }

    fn reply(number: u32) -> FromHub {
        FromHub::Reply { number, result: Ok(HubReply::Bytes(vec![0; 1 << 20])) }
    }

    #[test]
    fn a_client_that_reads_gets_everything_in_order() {
        let (outward, way, mut far, traffic) = pair();
        let writer = thread::spawn(move || way.write_all(|_| ()));
        let sender = thread::spawn(move || {
            for number in 0..64 {
                outward.send(reply(number)).expect("it listens");
            }
        });
        for expected in 0..64 {
            let FromHub::Reply { number, .. } = wire::read(&mut far).expect("a reply") else {
                panic!("a reply")
            };
            assert_eq!(number, expected);
        }
        sender.join().expect("no panic");
        writer.join().expect("the writer ends with who sends");
        traffic.settle(LONG);
    }

    #[test]
    fn a_client_that_never_reads_is_cut_off_and_told_so() {
        let (outward, way, mut far, _traffic) = pair();
        // Nobody writes yet: all that the socket does not take at once waits.
        let mut sent = 0;
        while outward.send(output(1 << 16)).is_ok() {
            sent += 1;
            assert!(lock(&way.queue).bytes <= MOST, "the queue grows without bound");
            assert!(sent < (10 * MOST) >> 16, "it is never cut off");
        }
        assert!(lock(&way.queue).bytes < 1 << 20, "what it will not be told is not kept");
        assert!(outward.send(reply(1)).is_err(), "nothing more is sent to it");
        let mut byte = [0];
        assert_eq!(std::io::Read::read(&mut &way.stream, &mut byte).expect("no error"), 0, "nor read of it");
        let writer = thread::spawn(move || way.write_all(|_| ()));
        let mut told = None;
        while let Ok(message) = wire::read::<FromHub>(&mut far) {
            assert!(told.is_none(), "it is the last word");
            if let FromHub::CutOff(text) = message {
                told = Some(text);
            }
        }
        assert!(told.expect("it is told").contains("cut off"));
        writer.join().expect("the writer ends");
    }

    #[test]
    fn an_answer_waits_until_its_client_has_read() {
        let (outward, way, mut far, _traffic) = pair();
        let theirs = outward.clone();
        let sender = thread::spawn(move || {
            let all = (0..64).map(|number| theirs.send(reply(number)).is_ok());
            all.filter(|sent| *sent).count()
        });
        let full = |queue: &mut Queue| queue.bytes <= MOST;
        drop(way.changed.wait_timeout_while(lock(&way.queue), LONG, full));
        assert!(lock(&way.queue).bytes <= MOST + (2 << 20), "no more than one beyond the bound");
        let same = Arc::clone(&way);
        let writer = thread::spawn(move || same.write_all(|_| ()));
        for _ in 0..64 {
            wire::read::<FromHub>(&mut far).expect("a reply");
        }
        assert_eq!(sender.join().expect("no panic"), 64);
        drop(outward);
        writer.join().expect("the writer ends");
    }

    #[test]
    fn of_several_changes_the_last_is_told() {
        let (outward, way, _far, _traffic) = pair();
        while lock(&way.queue).waiting.len() < 2 {
            outward.send(output(1 << 16)).expect("it listens");
        }
        for _ in 0..1000 {
            outward.send(FromHub::Event(HubEvent::Changed)).expect("it listens");
        }
        assert_eq!(lock(&way.queue).waiting.len(), 3);
    }

    #[test]
    fn nobody_waits_for_a_client_that_has_gone() {
        let (outward, way, far, traffic) = pair();
        drop(far);
        // Found out by who writes.
        outward.send(output(1)).expect("nobody knows yet");
        let writer = thread::spawn(move || way.write_all(|_| ()));
        writer.join().expect("the writer ends");
        assert!(outward.send(output(1)).is_err());
        traffic.settle(LONG);
    }
}
