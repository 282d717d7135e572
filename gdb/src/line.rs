//! The way to the debugger. gdb gives a question up after two seconds of silence, and would take the answer for that to its
//! next question; but an acknowledgement that it has not waited for passes the time as well as anything. So while an answer
//! takes long, it gets one every now and then.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

use crate::Stream;

/// Silence that any debugger bears.
const SILENCE: Duration = Duration::from_millis(700);

struct Shared<S> {
    stream: Mutex<S>,
    is_busy: AtomicBool,
}

impl<S> Shared<S> {
    fn stream(&self) -> MutexGuard<'_, S> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
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
        let shared = Arc::new(Shared { stream: Mutex::new(stream), is_busy: AtomicBool::new(false) });
        let (wake, woken) = mpsc::channel();
        let theirs = Arc::clone(&shared);
        thread::Builder::new().name("gdb patience".into()).spawn(move || keep_alive(&theirs, &woken))?;
        Ok(Self { shared, wake })
    }

    /// From now on an answer is being made, or no more.
    pub fn set_busy(&self, is_busy: bool) {
        self.shared.is_busy.store(is_busy, Ordering::SeqCst);
        // The thread goes with the line.
        let _ = self.wake.send(());
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
    while woken.recv().is_ok() {
        while shared.is_busy.load(Ordering::SeqCst) {
            match woken.recv_timeout(SILENCE) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => {
                    let mut stream = shared.stream();
                    if shared.is_busy.load(Ordering::SeqCst) && stream.write_all(b"+").is_err() {
                        return;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
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
