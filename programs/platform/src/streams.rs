//! The standard streams of the outermost nester: output goes to the kernel's console (each program's own streams are its
//! nester's business), input is the archive's file `stdin`, if there is one.

use flob_runtime::call;
use flob_runtime::service::messages::{StreamReply, StreamRequest};
use flob_runtime::sync::Lock;

use crate::files;
use crate::service::{MAX_PIECE, Outcome};

/// How many bytes each output stream has produced.
pub static STDOUT: Lock<u64> = Lock::new(0);
/// As [`STDOUT`].
pub static STDERR: Lock<u64> = Lock::new(0);

/// Answers for standard input.
pub fn input(request: &[u8]) -> Option<Outcome> {
    Some(Outcome::of(&match postcard::from_bytes(request).ok()? {
        StreamRequest::Read { position, max } => {
            let file = files::find("stdin").unwrap_or_default();
            StreamReply::Data { bytes: files::piece(file, position, (max as usize).min(MAX_PIECE)) }
        }
        StreamRequest::Write { .. } => StreamReply::Refused,
    }))
}

/// Answers for an output stream: what was produced before is not produced again.
pub fn output(produced: &Lock<u64>, request: &[u8]) -> Option<Outcome> {
    Some(Outcome::of(&match postcard::from_bytes(request).ok()? {
        StreamRequest::Write { position, bytes } => {
            let mut produced = produced.lock();
            let known = usize::try_from(produced.saturating_sub(position)).unwrap_or(usize::MAX);
            call::kernel_log(bytes.get(known..).unwrap_or_default());
            *produced = (*produced).max(position.saturating_add(bytes.len() as u64));
            StreamReply::Written { count: u32::try_from(bytes.len()).unwrap_or(u32::MAX) }
        }
        StreamRequest::Read { .. } => StreamReply::Refused,
    }))
}
