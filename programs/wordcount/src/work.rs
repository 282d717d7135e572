//! The reader and the workers.

use alloc::vec;
use core::hint::black_box;
use core::time::Duration;

use flob_runtime::service::{STDIN, ServiceError, clock};
use wordcount_core::cut::CHUNK;
use wordcount_core::message::{Reply, Request};
use wordcount_core::{Chunk, Cutter, Table, count};

use crate::{queue, server};

/// Reads standard input to its end and queues it in chunks, with `pace` milliseconds of pause after each.
#[inline(never)]
pub fn reader(pace: u64) -> Result<(), ServiceError> {
    let result = read_all(pace);
    // Whatever happened: the workers must not wait for more.
    queue::close();
    result
}

fn read_all(pace: u64) -> Result<(), ServiceError> {
    let mut cutter = Cutter::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        let room = cutter.room();
        let bytes_read = STDIN.read(buffer.get_mut(..room).unwrap_or_default())?;
        // For whoever looks at this frame with a debugger.
        black_box(&bytes_read);
        if bytes_read == 0 {
            cutter.finish().into_iter().for_each(queue::put);
            return Ok(());
        }
        if let Some(chunk) = cutter.push(buffer.get(..bytes_read).unwrap_or_default()) {
            queue::put(chunk);
            if pace > 0 {
                clock::sleep(Duration::from_millis(pace))?;
            }
        }
    }
}

/// Counts chunks and sends the counts to the tally server, until there are no more.
#[inline(never)]
pub fn worker(number: usize) -> Result<(), ServiceError> {
    let mut chunks_done = 0u64;
    let mut table = Table::new();
    let mut failed = None;
    black_box(&number);
    while let Some(chunk) = queue::take() {
        let words_here = match failed {
            // Goes on taking, so that the reader comes to its end.
            Some(_) => 0,
            None => add_up(&chunk, &mut table).unwrap_or_else(|error| {
                failed = Some(error);
                0
            }),
        };
        chunks_done += 1;
        // For whoever looks at this frame with a debugger.
        black_box((&words_here, &chunks_done));
    }
    failed.map_or(Ok(()), Err)
}

/// Counts one chunk and sends what it has; returns its number of words.
#[inline(never)]
fn add_up(chunk: &Chunk, table: &mut Table) -> Result<u64, ServiceError> {
    table.clear();
    let counts = count(chunk, table);
    black_box(&counts);
    let mut room = [0; 16];
    match server::ask(&Request::add(chunk.number, counts, table), &mut room)? {
        Reply::Added => Ok(counts.words),
        _ => Err(ServiceError::Garbled),
    }
}
