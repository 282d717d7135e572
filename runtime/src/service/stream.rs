//! Standard streams. Positions live in program memory, so they are saved and restored with the program.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use super::messages::{StreamReply, StreamRequest};
use super::{Service, ServiceError, reply_room, request};
use crate::start;
use crate::sync::Lock;

/// Most bytes in one write or read.
const CHUNK: usize = 32 * 1024;

/// Standard input.
pub static STDIN: Input = Input::new("stdin");
/// Standard output.
pub static STDOUT: Output = Output::new("stdout");
/// Standard error.
pub static STDERR: Output = Output::new("stderr");

/// A stream to read from.
pub struct Input {
    service: Service,
    state: Lock<Reading>,
}

/// Where reading stands.
struct Reading {
    position: u64,
    room: Vec<u8>,
}

impl Input {
    const fn new(name: &'static str) -> Self {
        Self { service: Service::new(name), state: Lock::new(Reading { position: 0, room: Vec::new() }) }
    }

    /// Waits for bytes and copies what is there into `into`; 0 at the end of the stream.
    pub fn read(&self, into: &mut [u8]) -> Result<usize, ServiceError> {
        let port = self.service.port()?;
        let mut state = self.state.lock();
        let Reading { position, room } = &mut *state;
        if room.is_empty() {
            *room = reply_room();
        }
        let wanted = StreamRequest::Read { position: *position, max: into.len().min(CHUNK) as u32 };
        let StreamReply::Data { bytes } = request(port, &wanted, room, &[])? else {
            return Err(ServiceError::Refused);
        };
        let count = bytes.len().min(into.len());
        if let (Some(to), Some(from)) = (into.get_mut(..count), bytes.get(..count)) {
            to.copy_from_slice(from);
        }
        *position += count as u64;
        Ok(count)
    }
}

/// A stream to write to.
pub struct Output {
    service: Service,
    position: Lock<u64>,
}

impl Output {
    const fn new(name: &'static str) -> Self {
        Self { service: Service::new(name), position: Lock::new(0) }
    }

    /// Writes all of `bytes` with nothing of another thread between them.
    pub fn write_all(&self, bytes: &[u8]) -> Result<(), ServiceError> {
        if start::parent().is_null() {
            crate::call::kernel_log(bytes);
            return Ok(());
        }
        let port = self.service.port()?;
        let mut position = self.position.lock();
        let mut left = bytes;
        while !left.is_empty() {
            let chunk = left.get(..left.len().min(CHUNK)).unwrap_or(left);
            let mut room = [0; 16];
            let wanted = StreamRequest::Write { position: *position, bytes: chunk };
            let StreamReply::Written { count } = request(port, &wanted, &mut room, &[])? else {
                return Err(ServiceError::Refused);
            };
            let count = (count as usize).min(chunk.len());
            *position += count as u64;
            left = left.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    /// Whether a panicking thread can write without waiting for itself.
    fn is_free(&self) -> bool {
        self.position.try_lock().is_some()
    }
}

/// Writes formatted text as a whole: what `print!` and `println!` do. A stream that is gone is no reason to die.
pub fn print(output: &Output, text: fmt::Arguments<'_>) {
    let mut line = String::new();
    if line.write_fmt(text).is_ok() {
        let _ = output.write_all(line.as_bytes());
    }
}

/// What a panic says. If the panic came out of writing to standard error itself, nothing can be said.
pub fn stderr_of_panic(line: &[u8]) {
    if STDERR.is_free() {
        let _ = STDERR.write_all(line);
    }
}

/// Writes formatted text to standard output.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => { $crate::service::print(&$crate::service::STDOUT, ::core::format_args!($($text)*)) };
}

/// Writes a line to standard output.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($($text:tt)*) => { $crate::print!("{}\n", ::core::format_args!($($text)*)) };
}

/// Writes a line to standard error.
#[macro_export]
macro_rules! eprintln {
    ($($text:tt)*) => {
        $crate::service::print(&$crate::service::STDERR, ::core::format_args!("{}\n", ::core::format_args!($($text)*)))
    };
}
