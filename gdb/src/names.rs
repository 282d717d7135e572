//! What threads and other flobs are called here, and what a thread waits for.

use flob_abi::{FlobKind, flob::thread_link, ipc};
use flob_image::{Environment, Flob, Link, Place, State};

/// The name of the flob at this place: `mutex:0x5200`.
pub fn flob(environment: &Environment, place: Place) -> String {
    match environment.flob(place) {
        Some(flob) => format!("{}:{place:#x}", flob.state.kind().name()),
        None => format!("nothing:{place:#x}"),
    }
}

/// Where a link leads.
pub fn link(environment: &Environment, link: &Link) -> String {
    match link {
        Link::Null => "null".into(),
        Link::Flob(place) => flob(environment, *place),
        Link::External(tag) => tag.clone(),
        Link::Unknown => "something outside".into(),
    }
}

/// What this thread does or waits for, in a few words.
pub fn activity(environment: &Environment, thread: Place) -> String {
    let Some(Flob { state: State::Thread(state), links, .. }) = environment.flob(thread) else {
        return "gone".into();
    };
    if let Some(code) = flob_abi::ExceptionCode::from_number(state.exception.code) {
        return format!("{} at {:#x}", code.text(), state.registers.rip);
    }
    match links.get(thread_link::WAITING_FOR) {
        None | Some(Link::Null) => conversation(environment, state.registers.rax, links),
        Some(target) => format!("waits for {}{}", link(environment, target), holder(environment, target)),
    }
}

/// A thread that waits for nothing of its own may be in the middle of a call to another: then its registers name what is
/// left of the call, and its link the other.
fn conversation(environment: &Environment, call: u64, links: &[Link]) -> String {
    let peer = if call & ipc::SERVER == 0 { thread_link::CLIENT_PEER } else { thread_link::SERVER_PEER };
    match links.get(peer) {
        Some(peer) if ipc::is_valid(call) && *peer != Link::Null => {
            format!("talks with {}", link(environment, peer))
        }
        _ => "runs".into(),
    }
}

/// Who holds the mutex that a link leads to.
fn holder(environment: &Environment, target: &Link) -> String {
    let Link::Flob(place) = target else { return String::new() };
    let owner = environment.flob(*place).filter(|flob| flob.state.kind() == FlobKind::Mutex);
    match owner.and_then(|mutex| mutex.links.first()) {
        Some(owner @ Link::Flob(_)) => format!(", held by {}", link(environment, owner)),
        _ => String::new(),
    }
}

/// The threads of a space, ascending by place.
pub fn threads_of(environment: &Environment, space: Place) -> impl Iterator<Item = &Flob> {
    let of_space = move |flob: &&Flob| {
        flob.state.kind() == FlobKind::Thread
            && flob.links.get(thread_link::SPACE) == Some(&Link::Flob(space))
    };
    environment.flobs.iter().filter(of_space)
}
