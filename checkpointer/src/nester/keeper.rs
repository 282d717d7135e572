//! The child's keeper: an exception that nobody below handles is the child's death.

use flob_abi::{ExceptionMessage, Status, ThreadState, ipc::Flavour, state::group, state::thread_flag};
use flob_checkpointer::resume;
use flob_runtime::{
    flob::{FlobAt, Links, Reference, Thread},
    ipc::{Answer, Server},
};
use zerocopy::FromBytes;

use super::state::{Death, Nester};

/// Its port.
pub const KEEPER: &str = flob_image::tags::KEEPER;

pub fn serve(nester: &Nester) {
    let Ok(mut server) = Server::new(nester.faults.set()) else { return };
    loop {
        let (request, _) = server.next(Answer::None);
        let message = ExceptionMessage::read_from_prefix(request.bytes);
        if let (Ok((message, _)), Some(thread)) = (message, request.references.first())
            && request.incoming.flavour == Flavour::Idempotent
        {
            // What cannot be found out asks again.
            let _ = came(nester, message, thread.at());
        }
    }
}

/// The thread stays stopped, its exception pending, until the child is rolled back.
fn came(nester: &Nester, message: ExceptionMessage, thread: FlobAt<Reference>) -> Result<(), Status> {
    let mut state = nester.lock();
    let place = thread.locate(nester.environment.region())?;
    let thread: FlobAt<Thread> = nester.environment.flob(place);
    let seen: ThreadState = thread.get_groups(&Links::NONE, group::CONTROL | group::EXCEPTION)?;
    let is_present = seen.exception.code == message.code && seen.exception.number == message.number;
    if seen.flags & thread_flag::STOPPED != 0 {
        return Ok(());
    }
    if !is_present {
        return resume(&nester.environment, place);
    }
    state.death.get_or_insert(Death { place, message });
    nester.saver.signal();
    Ok(())
}
