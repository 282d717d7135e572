//! The parent itself: looking services up, and the end.

use super::messages::{ParentReply, ParentRequest};
use super::{ServiceError, request};
use crate::flob::Reference;
use crate::{call, ipc, start};

/// Looks a service up: creates a reference flob in `port` that names its port.
pub fn lookup(name: &str, port: &Reference) -> Result<(), ServiceError> {
    let port = port.at();
    port.create().map_err(ServiceError::Ipc)?;
    let mut room = [0; 16];
    let reply = request(start::parent(), &ParentRequest::Lookup { name }, &mut room, &[port]);
    let result = match reply {
        Ok(ParentReply::Found) if !port.is_null() => return Ok(()),
        Ok(ParentReply::Found | ParentReply::Ended) => Err(ServiceError::Garbled),
        Ok(ParentReply::NoService) => Err(ServiceError::NoService),
        Err(error) => Err(error),
    };
    let _ = port.destroy();
    result
}

/// Says that the program has ended. Whoever answers the parent port makes it true; the caller should not go on.
pub fn exit(code: i32) {
    if start::parent().is_null() {
        call::machine_exit(u8::try_from(code).unwrap_or(u8::MAX));
        return;
    }
    // On the stack: a program whose heap is broken can still say so.
    let mut bytes = [0; 16];
    let Ok(bytes) = postcard::to_slice(&ParentRequest::Exit { code }, &mut bytes) else { return };
    let _ = ipc::call(start::parent(), bytes, &[], &mut [0; 16], &[]);
}
