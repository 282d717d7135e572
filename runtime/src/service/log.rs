//! The log of those who run the machine: lines of nesters, apart from any program's output.

use super::messages::{StreamReply, StreamRequest};
use super::{Service, ServiceError, request};

static LOG: Service = Service::new("log");

/// Writes to the log. After a restore a line may come twice.
pub fn write(text: &str) -> Result<(), ServiceError> {
    let mut room = [0; 16];
    let wanted = StreamRequest::Write { position: 0, bytes: text.as_bytes() };
    match request(LOG.port()?, &wanted, &mut room, &[])? {
        StreamReply::Written { .. } => Ok(()),
        _ => Err(ServiceError::Refused),
    }
}
