//! The result, as it is printed.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use flob_runtime::service::{STDOUT, reply_room};
use wordcount_core::message::{Reply, Request};

use crate::server;

/// How many words are listed.
const LISTED: u32 = 10;

/// Asks the tally server for the sum and prints it.
pub fn print() -> Result<(), String> {
    let mut room = reply_room();
    let reply = server::ask(&Request::Report { words: LISTED }, &mut room);
    let Ok(Reply::Report { counts, words }) = reply else {
        return Err(format!("the tally server did not report: {reply:?}"));
    };
    let mut text =
        format!("lines: {}\nwords: {}\nbytes: {}\n", counts.lines, counts.words, counts.bytes).into_bytes();
    for (word, count) in words {
        text.extend_from_slice(format!("{count:>8} ").as_bytes());
        append_printable(&mut text, word);
        text.push(b'\n');
    }
    STDOUT.write_all(&text).map_err(|error| format!("standard output failed: {error}"))
}

/// Appends a word; control characters, which could change the terminal, as `\xNN`.
fn append_printable(text: &mut Vec<u8>, word: &[u8]) {
    for byte in word {
        if byte.is_ascii_control() {
            text.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
        } else {
            text.push(*byte);
        }
    }
}
