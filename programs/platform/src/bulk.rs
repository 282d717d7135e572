//! Serving `bulk`: datagrams with pages of memory behind them, too long for the other services' buffers. One thread; what it
//! receives goes to the line from where it lies.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use flob_link::frame::MAX_BULK;
use flob_runtime::abi::Status;
use flob_runtime::nester::Desk;
use flob_runtime::service::messages::{BulkRequest, HostReply, MAX_DATAGRAM};
use flob_runtime::thread::Builder;

use crate::channels;

/// Its name.
pub const NAME: &str = "bulk";
/// Room for a request: the bulk, its datagram, and a little more, so that a full one is told from one too long.
const ROOM: usize = MAX_BULK + MAX_DATAGRAM + 256;

/// A port for it, and its thread.
pub fn start() -> Result<&'static Desk, String> {
    let failed = |status: Status| format!("bulk cannot be served: {}", status.text());
    let desk: &'static Desk = Box::leak(Box::new(Desk::new(&[NAME]).map_err(failed)?));
    let buffer = vec![0; ROOM];
    Builder::new().spawn(move || desk.serve_long(buffer, send)).map_err(failed)?.detach();
    Ok(desk)
}

fn send(request: &[u8]) -> Option<Vec<u8>> {
    let (head, bulk) = postcard::take_from_bytes::<BulkRequest<'_>>(request).ok()?;
    let sent = channels::send_bulk(&head, bulk);
    postcard::to_allocvec(&sent.map_or_else(|refusal| refusal, |()| HostReply::Sent)).ok()
}
