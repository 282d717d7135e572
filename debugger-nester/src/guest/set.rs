//! Changing a flob of the child.

use alloc::vec::Vec;

use flob_abi::{
    FlobKind, THREAD_STATE_HEAD, ThreadState,
    state::{group, thread_flag},
};
use flob_image::{Link, Place, State as FlobState};
use flob_link::{Change, FailureKind, Reply};
use flob_runtime::flob::{FlobAt, Links, OwnedReference, any};

use super::failure::{Outcome, failure, refused};
use super::state::{Nester, State};
use super::step;
use super::threads::{seize, was_stopped};
use super::watch;
use super::watcher;

/// Where the low byte of a thread's flags is in its state.
const FLAGS: usize = core::mem::offset_of!(ThreadState, flags);

/// `Set`.
pub fn set(nester: &Nester, state: &mut State, place: Place, hash: u64, change: &Change) -> Outcome<Reply> {
    let kind = state.environment.kind_at(place);
    let kind = kind.ok_or_else(|| failure(FailureKind::NotFound, "there is no flob at this place"))?;
    let mut references = Links::NONE;
    let mut targets = Vec::new();
    for (index, link) in change.links.iter().enumerate() {
        let Some(link) = link else { continue };
        let target = aim(nester, state, kind, index, link)?;
        references = references.with(index, target.at());
        targets.push(target);
    }
    match kind {
        FlobKind::Thread => set_thread(state, place, hash, change, &references)?,
        FlobKind::Reference => {
            if let [target] = targets.as_slice() {
                let flob = FlobAt::new(state.environment.memory().address(place));
                target.at().copy_to(flob).map_err(refused)?;
            }
        }
        _ => set_plain(state, kind, place, hash, change, &references)?,
    }
    watcher::stirred(state);
    Ok(Reply::Done)
}

fn changed() -> flob_link::Failure {
    failure(FailureKind::Changed, "another flob is at this place now")
}

/// A reference to what a link is to lead to.
fn aim(nester: &Nester, state: &State, kind: FlobKind, index: usize, link: &Link) -> Outcome<OwnedReference> {
    let cannot = || failure(FailureKind::Invalid, "this link cannot lead there");
    let reference = OwnedReference::new().map_err(refused)?;
    match link {
        Link::Null if index < kind.links().len() => {}
        Link::Flob(target) => {
            let to = state.environment.kind_at(*target);
            let to = to.ok_or_else(|| failure(FailureKind::NotFound, "the link would lead to nothing"))?;
            if !kind.may_lead(index, to) {
                return Err(cannot());
            }
            let address = state.environment.memory().address(*target);
            any::reference(to, address, reference.at()).map_err(refused)?;
        }
        Link::External(tag) => {
            let tags = nester.tags(&state.environment);
            let known = tags.iter().find(|(known, _)| *known == tag.as_str());
            let (_, target) =
                known.ok_or_else(|| failure(FailureKind::NotFound, "nothing here has this tag"))?;
            let fits = target.target_kind().is_some_and(|to| kind.may_lead(index, to));
            if !fits {
                return Err(cannot());
            }
            target.copy_to(reference.at()).map_err(refused)?;
        }
        Link::Null | Link::Unknown => return Err(cannot()),
    }
    Ok(reference)
}

fn set_plain(
    state: &State,
    kind: FlobKind,
    place: Place,
    hash: u64,
    change: &Change,
    links: &Links,
) -> Outcome<()> {
    let address = state.environment.memory().address(place);
    let mut now = alloc::vec![0; any::state_size(kind)];
    any::get_state(kind, address, &mut now, &Links::NONE, group::ALL).map_err(refused)?;
    if now.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)) != Some(hash) {
        return Err(changed());
    }
    let new = match &change.state {
        Some(bytes) if change.mask != 0 => Some(parse(kind, bytes)?),
        _ => None,
    };
    let bytes = new.as_ref().map(FlobState::as_bytes);
    any::set_state(kind, address, bytes, links, change.mask & group::ALL).map_err(refused)
}

fn parse(kind: FlobKind, bytes: &[u8]) -> Outcome<FlobState> {
    FlobState::from_bytes(kind, bytes).ok_or_else(|| failure(FailureKind::Invalid, "the state is too long"))
}

/// A thread is stopped while it is changed; whether it runs on is for its flags, and for the debugger's holds, to say.
fn set_thread(state: &mut State, place: Place, hash: u64, change: &Change, links: &Links) -> Outcome<()> {
    let seen = seize(state, place).map_err(refused)?.ok_or_else(changed)?;
    let result =
        if seen.state.hash == hash { apply(state, place, seen.space, change, links) } else { Err(changed()) };
    let flags = change
        .state
        .as_ref()
        .and_then(|bytes| bytes.get(FLAGS))
        .filter(|_| change.mask & group::CONTROL != 0);
    let stays = match flags {
        Some(flags) if result.is_ok() => u32::from(*flags) & thread_flag::STOPPED != 0,
        _ => was_stopped(&seen),
    };
    if !stays && !is_kept(state, place) {
        flob_checkpointer::resume(&state.environment, place).map_err(refused)?;
    }
    result
}

/// Whether the debugger keeps a thread stopped.
fn is_kept(state: &State, place: Place) -> bool {
    state.held.contains(place) || state.save.is_some() || step::is_paused(state, place)
}

fn apply(
    state: &mut State,
    place: Place,
    space: Option<Place>,
    change: &Change,
    links: &Links,
) -> Outcome<()> {
    let address = state.environment.memory().address(place);
    let Some(bytes) = change.state.as_ref().filter(|_| change.mask != 0) else {
        return any::set_state(FlobKind::Thread, address, None, links, 0).map_err(refused);
    };
    if change.mask & group::VECTORS != 0 && bytes.len() <= THREAD_STATE_HEAD {
        return Err(failure(FailureKind::Invalid, "the state lacks the vectors that are to be set"));
    }
    let FlobState::Thread(mut new) = parse(FlobKind::Thread, bytes)? else { return Ok(()) };
    new.flags |= thread_flag::STOPPED;
    let mask = watch::put_aside(state, place, space, &new, change.mask & group::ALL);
    let new = FlobState::Thread(new);
    any::set_state(FlobKind::Thread, address, Some(new.as_bytes()), links, mask).map_err(refused)
}
