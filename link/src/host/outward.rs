//! The way out of the stream: what it has room for is written by whoever sends it, so that nobody has to be woken for it; for the
//! rest there is a thread, so that a guest that does not read holds up nothing else.

use std::{
    collections::VecDeque,
    fmt,
    io::{self, Write},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use super::lock;

/// Frames that may wait for the writer. One more is dropped, as if lost on the way.
const WAITING_FRAMES: usize = 64;

/// Where frames go.
pub trait Outlet: Write + Send + 'static {
    /// Writes as much as there is room for, without waiting: how many bytes. None where that cannot be known, or on an error,
    /// which the next write finds.
    fn write_at_once(&mut self, bytes: &[u8]) -> usize {
        let _ = bytes;
        0
    }
}

/// The way out. It ends when it is closed, or by an error: the reader will see the end of the stream, too.
pub struct Outward {
    shared: Arc<Writing>,
}

struct Writing {
    queue: Mutex<Queue>,
    /// There is more to write, or nothing more will come.
    changed: Condvar,
    sent: Arc<AtomicU64>,
}

struct Queue {
    /// Nobody's while the thread writes.
    outlet: Option<Box<dyn Outlet>>,
    waiting: VecDeque<Vec<u8>>,
    is_closed: bool,
}

impl Outward {
    /// Into this outlet; what is sent is counted.
    pub fn new(outlet: impl Outlet, sent: Arc<AtomicU64>) -> io::Result<Self> {
        let outlet: Box<dyn Outlet> = Box::new(outlet);
        let queue = Queue { outlet: Some(outlet), waiting: VecDeque::new(), is_closed: false };
        let shared = Arc::new(Writing { queue: Mutex::new(queue), changed: Condvar::new(), sent });
        let theirs = Arc::clone(&shared);
        thread::Builder::new().name("link writer".into()).spawn(move || theirs.write_all())?;
        Ok(Self { shared })
    }

    /// Sends a frame behind those before it. `false` if there is no room for it.
    pub fn send(&self, mut frame: Vec<u8>) -> bool {
        let mut queue = lock(&self.shared.queue);
        if queue.is_closed || queue.waiting.len() >= WAITING_FRAMES {
            return false;
        }
        if let (true, Some(outlet)) = (queue.waiting.is_empty(), &mut queue.outlet) {
            let written = outlet.write_at_once(&frame);
            frame.drain(..written);
            self.shared.sent.fetch_add(written as u64, Ordering::Relaxed);
        }
        if !frame.is_empty() {
            queue.waiting.push_back(frame);
            self.shared.changed.notify_one();
        }
        true
    }

    /// What was sent is still written.
    pub fn close(&self) {
        lock(&self.shared.queue).is_closed = true;
        self.shared.changed.notify_one();
    }
}

impl Writing {
    /// Writes what waits until the end.
    fn write_all(&self) {
        let mut queue = lock(&self.queue);
        loop {
            let Some(frame) = queue.waiting.pop_front() else {
                if queue.is_closed {
                    queue.outlet = None;
                    return;
                }
                queue = self.changed.wait(queue).unwrap_or_else(std::sync::PoisonError::into_inner);
                continue;
            };
            let Some(mut outlet) = queue.outlet.take() else { return };
            drop(queue);
            let written = outlet.write_all(&frame).and_then(|()| outlet.flush());
            queue = lock(&self.queue);
            if written.is_err() {
                queue.is_closed = true;
                return;
            }
            self.sent.fetch_add(frame.len() as u64, Ordering::Relaxed);
            queue.outlet = Some(outlet);
        }
    }
}

impl fmt::Debug for Outward {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} frames wait", lock(&self.shared.queue).waiting.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes at once, and the rest from a thread that may wait.
    struct Narrow {
        at_once: usize,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            lock(&self.taken).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Outlet for Narrow {
        fn write_at_once(&mut self, bytes: &[u8]) -> usize {
            let count = self.at_once.min(bytes.len());
            lock(&self.taken).extend_from_slice(&bytes[..count]);
            count
        }
    }

    #[test]
    fn frames_keep_their_order_whoever_writes_them_and_however_much_there_is_room_for() {
        let frames: Vec<Vec<u8>> = (1..=200).map(|number: u8| vec![number; usize::from(number)]).collect();
        for at_once in [0, 1, 150, 1000] {
            let (taken, sent) = (Arc::default(), Arc::default());
            let outlet = Narrow { at_once, taken: Arc::clone(&taken) };
            let outward = Outward::new(outlet, Arc::clone(&sent)).expect("a thread");
            for frame in &frames {
                while !outward.send(frame.clone()) {
                    thread::yield_now();
                }
            }
            outward.close();
            assert!(!outward.send(vec![1]), "nothing goes behind the end");
            while sent.load(Ordering::Relaxed) < frames.concat().len() as u64 {
                thread::yield_now();
            }
            assert_eq!(*lock(&taken), frames.concat(), "{at_once} bytes at once");
        }
    }
}
