//! Pages for the host from a nester below: too long for the servers' buffers, so they have a port and a thread of their own,
//! where the parent has that service. No checkpoint knows of them: who sends pages to the host is asked again for what is lost.

use alloc::{vec, vec::Vec};

use flob_abi::{Status, ipc::Flavour};
use flob_runtime::{
    ipc::{Answer, answer_and_wait},
    nester::Desk,
    service::{Service, host, messages::MAX_DATAGRAM, pass_on},
    thread,
};

use super::launch::note;
use super::state::{Nester, Shared, State};

/// Its name.
pub const NAME: &str = "bulk";
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
    let mut buffer = vec![0; most + MAX_DATAGRAM + 512];
    let mut reply = Vec::new();
    loop {
        let answer = match reply.as_slice() {
            [] => Answer::None,
            bytes => Answer::Reply { bytes, references: &[] },
        };
        let (incoming, _) = answer_and_wait(answer, desk.set(), &mut buffer, &[]);
        let is_whole = incoming.flavour == Flavour::Reliable && incoming.status == Status::Success;
        let request = buffer.get(..incoming.bytes).filter(|_| is_whole);
        reply = request.and_then(|request| pass_on(BULK.port().ok()?, request)).unwrap_or_default();
    }
}
