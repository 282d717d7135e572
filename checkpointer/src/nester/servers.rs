//! Server threads. A request that takes long is waited for by its thread; there is always another one for the next.

use alloc::{sync::Arc, vec::Vec};

use flob_abi::Status;
use flob_checkpointer::border::{Answered, Hand};
use flob_runtime::{
    nester::{Reply, memory::Peek, serve::Clerk},
    thread::Builder,
};

use super::launch::note;
use super::requests::{NAMES, serve};
use super::state::{Nester, Servant, Shared, State};

const STACK: usize = 32 * 1024;
/// Most threads that wait for the parent.
const MOST: usize = 128;

/// Makes sure that a server waits for the next request.
pub fn ensure_one_is_idle(nester: &Shared, state: &mut State) -> Result<(), Status> {
    if state.idle_servers > 0 || state.servants.len() >= MOST {
        return Ok(());
    }
    let (clerk, hand, shared) = (Clerk::new()?, Hand::default(), Arc::clone(nester));
    let (inbox, index, to_set) = (clerk.inbox(), state.servants.len(), hand.clone());
    let handle = Builder::new().stack(STACK).spawn(move || run(&shared, index, clerk, &to_set))?;
    let thread = note(state, handle)?;
    add(state, thread, inbox, hand);
    state.idle_servers += 1;
    Ok(())
}

/// Adds a server or a joiner to those that are looked at.
pub fn add(
    state: &mut State,
    thread: flob_runtime::flob::FlobAt<flob_runtime::flob::Thread>,
    inbox: Peek,
    hand: Hand,
) {
    state.servants.push(Servant { thread, inbox, hand, answered: Answered::default(), joined: None });
}

fn run(nester: &Shared, index: usize, clerk: Clerk, hand: &Hand) {
    clerk.serve(&nester.desk, |request| {
        let alias = NAMES.iter().position(|name| *name == request.service).unwrap_or(0);
        hand.set(alias, request.bytes.len());
        {
            let mut state = nester.lock();
            state.idle_servers = state.idle_servers.saturating_sub(1);
            // Without another one the next request waits until this one is answered.
            let _ = ensure_one_is_idle(nester, &mut state);
        }
        let reply = serve(nester, request.service, request.bytes);
        answered(nester, index, request.service, request.bytes, &reply);
        nester.lock().idle_servers += 1;
        hand.clear();
        reply
    })
}

/// Notes what is about to be answered.
pub fn answered(nester: &Nester, index: usize, service: &'static str, request: &[u8], reply: &Reply) {
    let bytes = match reply {
        Reply::Bytes { bytes, .. } => bytes.clone(),
        Reply::None => Vec::new(),
    };
    if let Some(servant) = nester.lock().servants.get_mut(index) {
        servant.answered = Answered { service, request: request.to_vec(), reply: bytes };
    }
}
