//! The way to the debugger. gdb gives a question up after two seconds of silence, and would take the answer for that to its
//! next question; but an acknowledgement that it has not waited for passes the time as well as anything. So while an answer
//! takes long, it gets one every now and then.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use crate::Stream;

/// Silence that any debugger bears; twice as much is borne, too.
const SILENCE: Duration = Duration::from_millis(700);

struct Shared<S> {
    stream: Mutex<S>,
    is_busy: AtomicBool,
    /// Answers that were begun.
    begun: AtomicU64,
    /// The thread below has nothing to look after, and waits to be woken. Most answers come at once: it is not woken for each.
    sleeps: AtomicBool,
}

impl<S> Shared<S> {
    fn stream(&self) -> MutexGuard<'_, S> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer that is being made, if one is.
    fn under_way(&self) -> Option<u64> {
        let begun = self.begun.load(Ordering::SeqCst);
        self.is_busy.load(Ordering::SeqCst).then_some(begun)
    }
}

/// The writing end of a connection.
pub struct Line<S> {
    shared: Arc<Shared<S>>,
    wake: Sender<()>,
}

impl<S: Stream> Line<S> {
    /// Over this stream.
    pub fn new(stream: S) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            stream: Mutex::new(stream),
            is_busy: AtomicBool::new(false),
            begun: AtomicU64::new(0),
            sleeps: AtomicBool::new(true),
        });
        let (wake, woken) = mpsc::channel();
        let theirs = Arc::clone(&shared);
        thread::Builder::new().name("gdb patience".into()).spawn(move || keep_alive(&theirs, &woken))?;
        Ok(Self { shared, wake })
    }

    /// From now on an answer is being made, or no more.
    pub fn set_busy(&self, is_busy: bool) {
        self.shared.begun.fetch_add(u64::from(is_busy), Ordering::SeqCst);
        self.shared.is_busy.store(is_busy, Ordering::SeqCst);
        if is_busy && self.shared.sleeps.swap(false, Ordering::SeqCst) {
            // The thread goes with the line.
            let _ = self.wake.send(());
        }
    }

    /// Sends all of this.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.shared.stream().write_all(bytes)
    }

    /// Ends the connection.
    pub fn end(&self) {
        self.shared.stream().end();
    }
}

fn keep_alive<S: Stream>(shared: &Shared<S>, woken: &Receiver<()>) {
    let mut before = None;
    loop {
        let came = match before {
            // Nothing is to be looked after until somebody says so.
            None => woken.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(_) => woken.recv_timeout(SILENCE),
        };
        if came == Err(RecvTimeoutError::Disconnected) {
            return;
        }
        let now = shared.under_way();
        if now.is_some() && now == before {
            let mut stream = shared.stream();
            if shared.under_way() == before && stream.write_all(b"+").is_err() {
                return;
            }
        }
        before = now;
        // Who begins now either finds it asleep and wakes it, or is seen by the second look.
        shared.sleeps.store(now.is_none(), Ordering::SeqCst);
        before = before.or_else(|| shared.under_way());
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, os::unix::net::UnixStream};

    use super::*;

    #[test]
    fn who_waits_long_for_an_answer_hears_that_there_will_be_one() {
        let (near, mut far) = UnixStream::pair().expect("a pair");
        let line = Line::new(near).expect("a thread");
        line.set_busy(true);
        let mut byte = [0];
        far.read_exact(&mut byte).expect("a sign of life");
        assert_eq!(&byte, b"+");
        line.set_busy(false);
        line.write(b"$OK#9a").expect("written");
        line.end();
        let mut rest = String::new();
        far.read_to_string(&mut rest).expect("read");
        assert!(rest.trim_start_matches('+').starts_with("$OK#9a"), "{rest}");
    }
}
