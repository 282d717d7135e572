//! The queue between the reader and the workers.

use alloc::collections::VecDeque;

use flob_runtime::sync::{Condition, Lock};
use wordcount_core::Chunk;

/// Most chunks that wait for a worker.
const CAPACITY: usize = 8;

/// Chunks that were read and not yet counted.
struct Queue {
    chunks: VecDeque<Chunk>,
    is_closed: bool,
}

static QUEUE: Lock<Queue> = Lock::new(Queue { chunks: VecDeque::new(), is_closed: false });
/// Signalled when a chunk comes.
static NOT_EMPTY: Condition = Condition::new();
/// Signalled when a chunk goes.
static NOT_FULL: Condition = Condition::new();

/// Waits for room and puts a chunk in.
pub fn put(chunk: Chunk) {
    let mut queue = NOT_FULL.wait_until(QUEUE.lock(), |queue| queue.chunks.len() < CAPACITY);
    queue.chunks.push_back(chunk);
    NOT_EMPTY.signal();
}

/// Waits for a chunk and takes it; `None` at the end of the input.
pub fn take() -> Option<Chunk> {
    let mut queue = NOT_EMPTY.wait_until(QUEUE.lock(), |queue| !queue.chunks.is_empty() || queue.is_closed);
    let chunk = queue.chunks.pop_front();
    NOT_FULL.signal();
    chunk
}

/// Says that no more chunks come.
pub fn close() {
    QUEUE.lock().is_closed = true;
    NOT_EMPTY.broadcast();
}
