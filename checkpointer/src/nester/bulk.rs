//! Pages for the host from a nester below: too long for the servers' buffers, so they have a port and a thread of their own,
//! where the parent has that service. No checkpoint knows of them: who sends pages to the host is asked again for what is lost.

use alloc::vec;

use flob_abi::Status;
use flob_runtime::{
    nester::Desk,
    service::{Service, host, messages::MAX_DATAGRAM, pass_on},
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
    let Some(desk) = &nester.bulk else { return };
    let most = host::capacity().map_or(0, |capacity| capacity.to_host as usize);
    // A little more, so that a full request is told from one too long.
    let buffer = vec![0; most + MAX_DATAGRAM + 512];
    desk.serve_long(buffer, |request| pass_on(BULK.port().ok()?, request))
}
