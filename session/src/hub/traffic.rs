//! What is on its way between the hub and its clients: requests that have come and are not answered, and messages that are not
//! written yet. A session that ends waits for it a moment, so that nobody is told of its end in place of an answer.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        mpsc::{self, Receiver, SendError, Sender},
    },
    time::Duration,
};

use super::lock;
use crate::FromHub;

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
        // As above: whoever panicked has left a good number.
        drop(self.none.wait_timeout_while(lock(&self.count), most, |count| *count > 0));
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

/// The way out to a client.
#[derive(Clone, Debug)]
pub struct Outward {
    sender: Sender<(FromHub, Underway)>,
    traffic: Arc<Traffic>,
}

impl Outward {
    /// A way, and where its messages come out: each is on its way until what comes with it is dropped.
    pub fn new(traffic: &Arc<Traffic>) -> (Self, Receiver<(FromHub, Underway)>) {
        let (sender, messages) = mpsc::channel();
        (Self { sender, traffic: Arc::clone(traffic) }, messages)
    }

    /// Sends a message, or gives it back if nobody is there to hear it.
    #[expect(clippy::result_large_err, reason = "the message comes back as channels give it back")]
    pub fn send(&self, message: FromHub) -> Result<(), FromHub> {
        self.sender.send((message, self.traffic.begin())).map_err(|SendError((message, _))| message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HubEvent;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_is_sent_is_on_its_way_until_it_is_written() {
        let traffic = Arc::default();
        let (outward, messages) = Outward::new(&traffic);
        outward.send(FromHub::Event(HubEvent::Changed)).expect("somebody hears it");
        let writer = std::thread::spawn(move || messages.recv().expect("it was sent").0);
        traffic.settle(LONG);
        // Not before.
        assert!(matches!(writer.join().expect("no panic"), FromHub::Event(HubEvent::Changed)));
    }

    #[test]
    fn nobody_waits_for_a_client_that_has_gone() {
        let traffic = Arc::default();
        let (outward, messages) = Outward::new(&traffic);
        outward.send(FromHub::Event(HubEvent::Changed)).expect("somebody hears it");
        drop(messages);
        assert!(outward.send(FromHub::Event(HubEvent::Changed)).is_err());
        traffic.settle(LONG);
    }

    #[test]
    fn a_client_that_does_not_listen_is_not_waited_for_for_ever() {
        let traffic: Arc<Traffic> = Arc::default();
        let _kept = traffic.begin();
        traffic.settle(Duration::from_millis(1));
    }
}
