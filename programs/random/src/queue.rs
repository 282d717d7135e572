//! Producers and consumers of a short queue, which wait for each other at conditions.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use flob_runtime::abi::Status;
use flob_runtime::sync::{Condition, Lock};
use flob_runtime::thread;

use crate::Round;
use crate::options::Options;
use flob_program_shared::{Failure, mix};

const ROOM: usize = 4;

struct Queue {
    items: Lock<VecDeque<u64>>,
    has_room: Condition,
    has_items: Condition,
}

impl Queue {
    const fn new() -> Self {
        Self { items: Lock::new(VecDeque::new()), has_room: Condition::new(), has_items: Condition::new() }
    }

    fn put(&self, item: u64) {
        let mut items = self.has_room.wait_until(self.items.lock(), |items| items.len() < ROOM);
        items.push_back(item);
        self.has_items.signal();
    }

    fn take(&self) -> u64 {
        let mut items = self.has_items.wait_until(self.items.lock(), |items| !items.is_empty());
        self.has_room.signal();
        items.pop_front().unwrap_or(0)
    }
}

pub fn prepare(_: &Options) -> Result<Round, Failure> {
    Ok(Box::new(|random| {
        let queue = Arc::new(Queue::new());
        let (seed, count) = (random.word(), 1 + random.below(3));
        let turns = 30 + random.below(40);
        let producers: Vec<_> = (0..count)
            .map(|number| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || (0..turns).for_each(|turn| queue.put(mix(seed ^ number, turn))))
            })
            .collect::<Result<_, Status>>()?;
        let consumers: Vec<_> = (0..count)
            .map(|_| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    (0..turns).fold(0_u64, |sum, _| sum.wrapping_add(mix(queue.take(), seed)))
                })
            })
            .collect::<Result<_, Status>>()?;
        producers.into_iter().try_for_each(thread::JoinHandle::join)?;
        let mut sum = 0_u64;
        for consumer in consumers {
            sum = sum.wrapping_add(consumer.join()?);
        }
        Ok(sum)
    }))
}
