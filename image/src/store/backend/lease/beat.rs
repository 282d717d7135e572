//! A thread that writes a lease again and again, as long as its process lives and its holder wants it.

use std::io::Result;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use super::super::objects::Objects;

/// How often.
const BEAT: Duration = Duration::from_secs(30);

/// The beat of one lease.
pub(super) struct Beat {
    shared: Arc<Shared>,
    thread: Option<(Sender<()>, JoinHandle<()>)>,
}

struct Shared {
    objects: Arc<Objects>,
    path: String,
    end: String,
    text: String,
    last: Mutex<Moment>,
}

/// A moment on the clock that is never set and on the one that goes on while the machine sleeps.
#[derive(Clone, Copy)]
struct Moment(Instant, SystemTime);

impl Moment {
    fn now() -> Self {
        Self(Instant::now(), SystemTime::now())
    }

    fn age(self) -> Duration {
        self.0.elapsed().max(self.1.elapsed().unwrap_or_default())
    }
}

impl Beat {
    /// Of a lease that was just written.
    pub fn start(objects: Arc<Objects>, path: String, end: String, text: String) -> Result<Self> {
        let shared = Arc::new(Shared { objects, path, end, text, last: Mutex::new(Moment::now()) });
        let (sender, receiver) = channel();
        let beating = shared.clone();
        let run = move || {
            while receiver.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                // One that fails is made good by the next; if none is, the age says so.
                let _ = beating.renew();
            }
        };
        let thread = std::thread::Builder::new().name("flob-lease".to_owned()).spawn(run)?;
        Ok(Self { shared, thread: Some((sender, thread)) })
    }

    /// Writes it now.
    pub fn now(&self) -> Result<()> {
        self.shared.renew()
    }

    /// For how long it was not written.
    pub fn age(&self) -> Duration {
        self.shared.last.lock().unwrap_or_else(PoisonError::into_inner).age()
    }

    /// It is not written any more once this returns.
    pub fn stop(&mut self) {
        if let Some((sender, thread)) = self.thread.take() {
            drop(sender);
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn renew(&self) -> Result<()> {
        let begun = Moment::now();
        // What was taken away is not to come back.
        if self.objects.size(&self.end)?.is_none() {
            self.objects.put(&self.path, self.text.clone().into_bytes(), true)?;
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = begun;
        }
        Ok(())
    }
}
