//! What a thread does or waits for, and which threads and mappings a space has.

use flob_abi::{FlobKind, MappingState, flob::thread_link, ipc};
use flob_image::{Environment, Flob, Link, Place, State};
use flob_session::{place::Map, why::Waiting};

/// What this thread does or waits for, in a few words.
pub fn activity(why: &Map<'_>, thread: Place) -> String {
    let Some(state) = why.state(thread) else { return "gone".into() };
    if let Waiting::Exception(code) = why.waiting(thread) {
        return format!("{} at {:#x}", code.text(), state.registers.rip);
    }
    why.reason(thread).unwrap_or_else(|| conversation(why, thread, state.registers.rax))
}

/// A thread that waits for nothing of its own may be in the middle of a call to another: then its registers name what is
/// left of the call, and its link the other.
fn conversation(why: &Map<'_>, thread: Place, call: u64) -> String {
    let peer = if call & ipc::SERVER == 0 { thread_link::CLIENT_PEER } else { thread_link::SERVER_PEER };
    match why.environment.flob(thread).and_then(|flob| flob.links.get(peer)) {
        Some(Link::Flob(peer)) if ipc::is_valid(call) => format!("talks with {}", why.names.short(*peer)),
        Some(peer) if ipc::is_valid(call) && *peer != Link::Null => {
            format!("talks with {}", why.names.link(peer))
        }
        _ => "runs".into(),
    }
}

/// What is mapped into a space: each mapping's state, and the mapping.
pub fn mappings(environment: &Environment, space: Place) -> impl Iterator<Item = (MappingState, &Flob)> {
    environment.flobs.iter().filter_map(move |flob| match flob.state {
        State::Mapping(state) if flob.links.get(1) == Some(&Link::Flob(space)) => Some((state, flob)),
        _ => None,
    })
}

/// The threads of a space, ascending by place.
pub fn threads_of(environment: &Environment, space: Place) -> impl Iterator<Item = &Flob> {
    let of_space = move |flob: &&Flob| {
        flob.state.kind() == FlobKind::Thread
            && flob.links.get(thread_link::SPACE) == Some(&Link::Flob(space))
    };
    environment.flobs.iter().filter(of_space)
}
