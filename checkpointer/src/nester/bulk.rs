//! Pages for the host from a nester below: they stay in its memory, which is ours, so where they lie is said in our addresses. They
//! have a port and a thread of their own, where the parent has that service: no checkpoint knows of them, for who sends pages to the
//! host is asked again for what is lost.

use alloc::vec::Vec;

use flob_abi::Status;
use flob_runtime::{
    nester::Desk,
    service::{Service, messages::BulkRequest, pass_on, reply_room},
    thread,
};

use super::launch::note;
use super::state::{Nester, Shared, State};

/// Its name.
pub const NAME: &str = flob_image::tags::BULK;
static BULK: Service = Service::new(NAME);

/// The port, if there is such a service above.
pub fn desk() -> Result<Option<Desk>, Status> {
    if BULK.port().is_ok() { Desk::new(&[NAME]).map(Some) } else { Ok(None) }
}

/// Begins to serve it.
pub fn start(nester: &Shared, state: &mut State) -> Result<(), Status> {
    if nester.bulk.is_none() {
        return Ok(());
    }
    let one = alloc::sync::Arc::clone(nester);
    note(state, thread::spawn(move || serve(&one))?)?;
    Ok(())
}

fn serve(nester: &Nester) {
    if let Some(desk) = &nester.bulk {
        desk.serve_long(reply_room(), |request| pass_on(BULK.port().ok()?, &translated(nester, request)?));
    }
}

/// The same request, with the addresses of its pieces here. `None` if it is none, or a piece is elsewhere.
fn translated(nester: &Nester, request: &[u8]) -> Option<Vec<u8>> {
    let mut request = postcard::from_bytes::<BulkRequest<'_>>(request).ok()?;
    let state = nester.lock();
    for (address, bytes) in &mut request.pieces {
        *address = nester.environment.memory().address(state.places.of(*address, *bytes)?);
    }
    postcard::to_allocvec(&request).ok()
}
