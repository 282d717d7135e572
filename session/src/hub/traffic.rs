//! What is on its way between the hub and its clients: requests that have come and are not answered, and messages that are not
//! written yet. A session that ends waits for it a moment, so that nobody is told of its end in place of an answer.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use super::lock;

/// Counts what is on its way.
#[derive(Debug, Default)]
pub struct Traffic {
    count: Mutex<usize>,
    none: Condvar,
}

/// One thing that is on its way, until this is dropped.
#[derive(Debug)]
pub struct Underway(Arc<Traffic>);

impl Traffic {
    /// One thing more.
    pub fn begin(self: &Arc<Self>) -> Underway {
        *lock(&self.count) += 1;
        Underway(Arc::clone(self))
    }

    /// Waits until nothing is on its way, or so long: a client need not listen.
    pub fn settle(&self, most: Duration) {
        self.settle_and_tell(most, || ());
    }

    /// The same. If there is something to wait for, that is told first: by then nothing ends the wait before it should.
    pub fn settle_and_tell(&self, most: Duration, tell: impl FnOnce()) {
        let count = lock(&self.count);
        if *count > 0 {
            tell();
        }
        // As above: whoever panicked has left a good number.
        drop(self.none.wait_timeout_while(count, most, |count| *count > 0));
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let mut count = lock(&self.0.count);
        *count -= 1;
        if *count == 0 {
            self.0.none.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// It ends only when it was told that somebody waits for it.
    #[test]
    fn what_is_on_its_way_is_waited_for() {
        let traffic: Arc<Traffic> = Arc::default();
        let underway = traffic.begin();
        let (tell, told) = mpsc::channel();
        let ender = std::thread::spawn(move || {
            told.recv().expect("somebody waits");
            drop(underway);
        });
        traffic.settle_and_tell(Duration::from_secs(60), || tell.send(()).expect("it is still on its way"));
        assert_eq!(*lock(&traffic.count), 0);
        ender.join().expect("no panic");
        traffic.settle_and_tell(Duration::from_secs(60), || panic!("nothing is on its way"));
    }

    #[test]
    fn a_client_that_does_not_listen_is_not_waited_for_for_ever() {
        let traffic: Arc<Traffic> = Arc::default();
        let _kept = traffic.begin();
        traffic.settle(Duration::from_millis(1));
    }
}
