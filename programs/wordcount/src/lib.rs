//! What `wordcount` counts, free of threads and kernel: cutting input into chunks ([`cut`]), counting a chunk
//! ([`count`]), the table of words ([`table`]), the sum ([`tally`]) and its messages ([`message`]).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod count;
pub mod cut;
pub mod message;
pub mod table;
pub mod tally;
#[cfg(test)]
mod tests;

pub use count::{Counts, count};
pub use cut::{Chunk, Cutter};
pub use table::Table;
pub use tally::Tally;
