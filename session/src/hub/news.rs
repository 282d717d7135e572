//! What the link tells, in order, until it is looked after: by a thread that waits for it; or by who has let the program go and waits
//! for the guest's word on that, which often comes with the stop. So no thread is woken to find that it has to wait for another one.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

use flob_link::host::Notice;

use super::{Hub, lock};

/// What has come.
#[derive(Debug, Default)]
pub struct News {
    queue: Mutex<Queue>,
    /// There is something for the thread.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Notice>,
    /// So many have promised to look after what comes.
    awaited: u32,
    /// One is being looked after: the next has to wait.
    is_in_hand: bool,
    /// What waits is not left to those who have promised.
    is_urgent: bool,
}

impl Queue {
    fn take(&mut self) -> Option<Notice> {
        if self.is_in_hand {
            return None;
        }
        let notice = self.waiting.pop_front();
        self.is_in_hand = notice.is_some();
        self.is_urgent &= !self.waiting.is_empty();
        notice
    }
}

impl News {
    /// Takes a notice. What has become of the link does not wait for a guest that may never answer.
    pub fn push(&self, notice: Notice) {
        let mut queue = lock(&self.queue);
        queue.is_urgent |= queue.awaited == 0 || !matches!(notice, Notice::Event { .. });
        queue.waiting.push_back(notice);
        if queue.is_urgent {
            self.changed.notify_one();
        }
    }

    /// The first one of all, if it comes in time.
    pub fn first(&self, time: Duration) -> Option<Notice> {
        let is_empty = |queue: &mut Queue| queue.waiting.is_empty();
        let waited = self.changed.wait_timeout_while(lock(&self.queue), time, is_empty);
        let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        queue.waiting.pop_front()
    }

    /// The next one for the thread.
    fn next(&self) -> Notice {
        let mut queue = lock(&self.queue);
        loop {
            if queue.is_urgent
                && let Some(notice) = queue.take()
            {
                return notice;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn is_done(&self) {
        lock(&self.queue).is_in_hand = false;
    }
}

impl Hub {
    /// Looks after what comes until the link has ended.
    pub(super) fn follow(&self) {
        loop {
            let notice = self.news.next();
            let is_last = notice == Notice::Ended;
            self.look_after(notice);
            self.news.is_done();
            if is_last {
                return;
            }
        }
    }

    /// Does what lets the program go, and looks after what has come of it by then. The caller holds no locks.
    pub(super) fn and_look_after<T>(&self, let_go: impl FnOnce() -> T) -> T {
        lock(&self.news.queue).awaited += 1;
        let done = let_go();
        let mut queue = lock(&self.news.queue);
        queue.awaited -= 1;
        while let Some(notice) = queue.take() {
            drop(queue);
            self.look_after(notice);
            queue = lock(&self.news.queue);
            queue.is_in_hand = false;
        }
        // The thread has one in hand, and the rest is its own now.
        queue.is_urgent = !queue.waiting.is_empty();
        done
    }
}

#[cfg(test)]
mod tests {
    use flob_link::Event;

    use super::*;

    fn event(code: i32) -> Notice {
        Notice::Event { number: 0, event: Event::Exited { code } }
    }

    #[test]
    fn what_waits_is_handed_out_in_order_one_at_a_time() {
        let news = News::default();
        news.push(event(1));
        news.push(Notice::Lost);
        assert_eq!(news.next(), event(1));
        assert_eq!(lock(&news.queue).take(), None, "the first is in hand");
        news.is_done();
        assert_eq!(news.next(), Notice::Lost);
    }

    #[test]
    fn events_are_left_to_who_has_promised_and_the_state_of_the_link_is_not() {
        let news = News::default();
        lock(&news.queue).awaited = 1;
        news.push(event(1));
        assert!(!lock(&news.queue).is_urgent);
        news.push(Notice::Lost);
        // The thread takes what came before it as well.
        assert_eq!(news.next(), event(1));
        news.is_done();
        assert_eq!(news.next(), Notice::Lost);
        news.is_done();
        news.push(event(2));
        assert!(!lock(&news.queue).is_urgent);
        assert_eq!(lock(&news.queue).take(), Some(event(2)));
    }
}
