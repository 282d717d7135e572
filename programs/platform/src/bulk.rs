//! Serving `bulk`: datagrams with pages of memory behind them, too long for the other services' buffers. One thread; what it
//! receives goes to the line from where it lies.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;

use flob_link::frame::MAX_BULK;
use flob_runtime::abi::Status;
use flob_runtime::nester::Desk;
use flob_runtime::service::messages::MAX_DATAGRAM;
use flob_runtime::thread::Builder;
use platform_devices::outward;

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
    let send = |request: &[u8]| outward::answer(request, channels::send_bulk);
    Builder::new().spawn(move || desk.serve_long(buffer, send)).map_err(failed)?.detach();
    Ok(desk)
}
