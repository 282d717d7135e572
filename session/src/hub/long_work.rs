//! At most one save or restore at a time: the next waits for its turn, or until it is cancelled.

use std::sync::{Arc, Condvar, Mutex, PoisonError, atomic::AtomicBool};

use flob_link::Failure;

use super::{lock, requests::ProgressTo, save::stop_if};

/// Whose turn it is.
#[derive(Debug, Default)]
pub(super) struct LongWork(Arc<Busy>);

#[derive(Debug, Default)]
struct Busy {
    busy: Mutex<bool>,
    changed: Condvar,
}

/// The turn; ends when it is dropped.
#[derive(Debug)]
pub(super) struct Turn(Arc<Busy>);

impl LongWork {
    /// Waits for its turn. `progress` hears of the waiting.
    pub fn begin(&self, cancelled: &AtomicBool, progress: ProgressTo<'_>) -> Result<Turn, Failure> {
        let mut busy = lock(&self.0.busy);
        if *busy {
            progress("waiting for another save or restore", 0, 0);
        }
        while *busy {
            stop_if(cancelled)?;
            busy = self.0.changed.wait(busy).unwrap_or_else(PoisonError::into_inner);
        }
        *busy = true;
        Ok(Turn(Arc::clone(&self.0)))
    }

    /// Its turn, if it is free.
    pub fn try_begin(&self) -> Option<Turn> {
        let mut busy = lock(&self.0.busy);
        (!std::mem::replace(&mut *busy, true)).then(|| Turn(Arc::clone(&self.0)))
    }

    /// Something was cancelled: those who wait look whether it was they.
    pub fn look_again(&self) {
        let _busy = lock(&self.0.busy);
        self.0.changed.notify_all();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *lock(&self.0.busy) = false;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{atomic::Ordering, mpsc};

    use super::*;

    #[test]
    fn the_next_waits_for_its_turn_and_a_cancelled_one_waits_no_longer() {
        let work = LongWork::default();
        let (gone_on, cancelled) = (AtomicBool::new(false), AtomicBool::new(false));
        let (waits, waiting) = mpsc::channel();
        let first = work.begin(&gone_on, &|_, _, _| ()).expect("nobody else");
        let wait = |stop: &AtomicBool| {
            work.begin(stop, &|_, _, _| waits.send(()).expect("somebody listens")).is_ok()
        };
        std::thread::scope(|scope| {
            let given_up = scope.spawn(|| wait(&cancelled));
            let next = scope.spawn(|| wait(&gone_on));
            waiting.recv().expect("one waits");
            waiting.recv().expect("the other waits");
            assert!(work.try_begin().is_none());
            cancelled.store(true, Ordering::Relaxed);
            work.look_again();
            assert!(!given_up.join().expect("no panic"));
            drop(first);
            assert!(next.join().expect("no panic"));
        });
        drop(work.begin(&gone_on, &|_, _, _| panic!("it is free")));
    }
}
