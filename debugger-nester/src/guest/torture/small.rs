//! The small form: threads.

use alloc::{format, string::String, vec, vec::Vec};

use crate::translate::Translator;
use flob_abi::{
    ExceptionMessage, FlobKind, Status, ThreadState,
    flob::{MAX_LINKS, thread_link},
    state::{group, thread_flag},
};
use flob_checkpointer::{release, stop_all};
use flob_image::Place;
use flob_runtime::{
    flob::{FlobAt, Links, OwnedReference, Reference, Thread, any},
    nester::Environment,
    random::Random,
};
use zerocopy::{FromBytes, IntoBytes};

use super::super::exceptions::Verdict;
use super::super::state::{Nester, State};
use super::super::{step, threads};
use super::{Torture, stage};

/// Moments for which the list of flobs is good.
const LIST_FOR: u32 = 64;
/// Most steps in a stretch.
const STRETCH: u64 = 400;
/// A call number that none has: garbage registers stand in no call.
const NO_CALL: u64 = 1 << 63;
/// RFLAGS.RF.
const RESUME_FLAG: u64 = 1 << 16;
/// Links to the other ends of connections: setting them ends a connection that lives, and only the other end's own state
/// brings it back.
const PEERS: [usize; 2] = [thread_link::CLIENT_PEER, thread_link::SERVER_PEER];

/// What the small form keeps from one moment to the next.
#[derive(Default)]
pub struct Small {
    /// Steps left in the stretch that is on.
    left: u64,
    /// Moments for which the lists below are good.
    good_for: u32,
    threads: Vec<Place>,
    targets: Vec<(FlobKind, OwnedReference)>,
    translator: Translator,
}

/// A thread that was taken out.
struct Taken {
    place: Place,
    state: ThreadState,
    links: Vec<OwnedReference>,
}

/// A random moment has come.
pub fn moment(nester: &Nester, state: &mut State, torture: &mut Torture) {
    let done = match torture.random.below(4) {
        // Threads that were chosen may be waiting, or none was chosen: the stretch is begun once more then.
        0 if torture.small.left == 0 || torture.random.chance(4) => begin_stretch(state, torture),
        0 | 1 => whole(nester, state, torture),
        _ => single(nester, state, torture),
    };
    note(torture, done);
}

fn note(torture: &mut Torture, done: Result<(), Status>) {
    if let Err(status) = done {
        torture.complain(format!("the kernel said: {}", status.text()));
    }
}

/// A thread has made a step: if it is one of a stretch, the next moment has come.
pub fn step_came(
    nester: &Nester,
    state: &mut State,
    message: &ExceptionMessage,
    thread: FlobAt<Reference>,
) -> Option<Verdict> {
    let is_step = step::is_only_step(message.code, message.detail);
    if !is_step || !super::is_free(state) || state.torture.as_ref()?.small.left == 0 {
        return None;
    }
    thread.locate(state.environment.region()).ok()?;
    let mut torture = state.torture.take()?;
    torture.steps += 1;
    torture.small.left -= 1;
    let done = if torture.random.chance(32) {
        whole(nester, state, &mut torture)
    } else {
        single(nester, state, &mut torture)
    };
    note(&mut torture, done);
    if torture.small.left == 0 {
        let done = end_stretch(state);
        note(&mut torture, done);
    }
    state.torture = Some(torture);
    Some(Verdict::Over)
}

/// From now on some threads stop behind every instruction.
fn begin_stretch(state: &mut State, torture: &mut Torture) -> Result<(), Status> {
    state.has_stepped = true;
    let environment = &state.environment;
    let stopped = stop_all(environment)?;
    let mostly = torture.random.below(4);
    for place in &stopped {
        if torture.random.below(4) >= mostly {
            step::set_trap(environment, *place, true)?;
        }
    }
    torture.small.left = 1 + torture.random.below(STRETCH);
    release(environment, &stopped)
}

fn end_stretch(state: &State) -> Result<(), Status> {
    let environment = &state.environment;
    let stopped = stop_all(environment)?;
    stopped.iter().try_for_each(|place| step::clean(environment, *place))?;
    release(environment, &stopped)
}

/// Lists the flobs anew if it is time, or at once.
fn list(nester: &Nester, state: &State, torture: &mut Torture, at_once: bool) -> Result<(), Status> {
    let small = &mut torture.small;
    small.good_for = small.good_for.saturating_sub(1);
    if small.good_for > 0 && !at_once {
        return Ok(());
    }
    let environment = &state.environment;
    let listed = environment.flobs()?;
    let is_thread = |flob: &&flob_runtime::nester::list::Listed| flob.kind == FlobKind::Thread;
    small.threads = listed.iter().filter(is_thread).map(|flob| flob.place).collect();
    small.targets.clear();
    for flob in listed.iter().filter(|flob| flob.kind.is_referable()) {
        let reference = OwnedReference::new()?;
        any::reference(flob.kind, environment.memory().address(flob.place), reference.at())?;
        small.targets.push((flob.kind, reference));
    }
    small.translator = threads::translator(nester, state)?;
    small.good_for = LIST_FOR;
    Ok(())
}

/// One thread; the others, and its connections, stay as they are.
fn single(nester: &Nester, state: &State, torture: &mut Torture) -> Result<(), Status> {
    list(nester, state, torture, false)?;
    let Some(place) = torture.random.pick(&torture.small.threads).copied() else { return Ok(()) };
    let environment = &state.environment;
    let Some(taken) = take(environment, torture, place)? else { return Ok(()) };
    scramble(environment, torture, &taken, &PEERS)?;
    put_back(environment, torture, &taken);
    let_go(environment, &taken)
}

/// All threads at once, with their connections among each other.
fn whole(nester: &Nester, state: &State, torture: &mut Torture) -> Result<(), Status> {
    list(nester, state, torture, true)?;
    torture.rounds += 1;
    let environment = &state.environment;
    let mut all = Vec::new();
    for place in torture.small.threads.clone() {
        all.extend(take(environment, torture, place)?);
    }
    torture.random.shuffle(&mut all);
    for taken in &all {
        scramble(environment, torture, taken, &outward(environment, taken))?;
    }
    for taken in &all {
        part(environment, taken)?;
    }
    torture.random.shuffle(&mut all);
    for taken in &all {
        put_back(environment, torture, taken);
    }
    all.sort_by_key(|taken| taken.state.rank);
    all.iter().try_for_each(|taken| let_go(environment, taken))
}

/// Ends the connections that garbage has made. Somebody may name a thread that does not name it back, whose end is parked:
/// with garbage for its link the two would be connected, and setting it back would end that.
fn part(environment: &Environment, taken: &Taken) -> Result<(), Status> {
    let (null, kept) = (OwnedReference::new()?, outward(environment, taken));
    let inward = PEERS.into_iter().filter(|index| !kept.contains(index));
    let none = inward.fold(Links::NONE, |links, index| links.with(index, null.at()));
    environment.flob::<Thread>(taken.place).set_groups(&ThreadState::default(), &none, 0)
}

/// The peer links that lead out of the environment.
fn outward(environment: &Environment, taken: &Taken) -> Vec<usize> {
    let leads_out = |index: &usize| {
        let reference = taken.links.get(*index).map(OwnedReference::at);
        reference.is_some_and(|to| !to.is_null() && to.locate(environment.region()).is_err())
    };
    PEERS.into_iter().filter(leads_out).collect()
}

/// Stops a thread and gets everything that it is; counts what it was doing.
fn take(environment: &Environment, torture: &mut Torture, place: Place) -> Result<Option<Taken>, Status> {
    if environment.kind_at(place) != Some(FlobKind::Thread) {
        return Ok(None);
    }
    let links = (0..MAX_LINKS).map(|_| OwnedReference::new()).collect::<Result<Vec<_>, _>>()?;
    let state = environment.flob::<Thread>(place).get_state(&to_set(&links, &[]))?;
    let space = links.get(thread_link::SPACE).map(OwnedReference::at);
    let space = space.and_then(|space| space.locate(environment.region()).ok());
    torture.points.count(stage(environment, &torture.small.translator, space, &state));
    Ok(Some(Taken { place, state, links }))
}

/// All of these links but some.
fn to_set(links: &[OwnedReference], but: &[usize]) -> Links {
    let wanted = links.iter().enumerate().filter(|(index, _)| !but.contains(index));
    wanted.fold(Links::NONE, |all, (index, link)| all.with(index, link.at()))
}

/// Sets some groups of the thread's state and its links, except these, to garbage.
fn scramble(
    environment: &Environment,
    torture: &mut Torture,
    taken: &Taken,
    kept_links: &[usize],
) -> Result<(), Status> {
    let random = &mut torture.random;
    let state = garbage(random);
    let links = (0..MAX_LINKS).map(|_| OwnedReference::new()).collect::<Result<Vec<_>, _>>()?;
    for (index, link) in links.iter().enumerate() {
        let fitting: Vec<_> = torture
            .small
            .targets
            .iter()
            .filter(|(kind, _)| FlobKind::Thread.may_lead(index, *kind))
            .collect();
        match random.pick(&fitting) {
            Some((_, target)) if !random.chance(4) => target.at().copy_to(link.at())?,
            _ => {}
        }
    }
    let mask = random.word() & group::ALL | group::CONTROL | group::REGISTERS;
    let thread = environment.flob::<Thread>(taken.place);
    // Garbage may be refused.
    let _ = thread.set_groups(&state, &to_set(&links, kept_links), mask);
    Ok(())
}

/// Anything, most of it such that the kernel takes it; stopped, and in no call.
fn garbage(random: &mut Random) -> ThreadState {
    let mut bytes = vec![0; size_of::<ThreadState>()];
    random.fill(&mut bytes);
    let mut state = ThreadState::read_from_bytes(&bytes).unwrap_or_default();
    state.flags = state.flags & thread_flag::ALL | thread_flag::STOPPED;
    state.registers.rax |= NO_CALL;
    if !random.chance(8) {
        const LOW: u64 = (1 << 46) - 1;
        let registers = &mut state.registers;
        let handlers = &mut state.handlers;
        let addresses = [
            &mut registers.rip,
            &mut registers.fs_base,
            &mut registers.gs_base,
            &mut handlers.trap,
            &mut handlers.interrupt,
            &mut handlers.client_alert,
            &mut handlers.server_alert,
            &mut state.saved.rip,
        ];
        addresses.into_iter().chain(&mut state.debug.address).for_each(|address| *address &= LOW);
        state.priority &= flob_abi::MAX_PRIORITY;
        state.exception.code %= 16;
    }
    state
}

fn put_back(environment: &Environment, torture: &mut Torture, taken: &Taken) {
    let state = ThreadState { flags: taken.state.flags | thread_flag::STOPPED, ..taken.state };
    let set = environment.flob::<Thread>(taken.place).set_state(&state, &to_set(&taken.links, &[]));
    if let Err(status) = set {
        torture.complain(format!("the thread at {:#x} cannot be put back: {}", taken.place, status.text()));
    } else if let Err(difference) = compare(environment, taken) {
        torture.complain(difference);
    }
}

/// What was put back is what was taken out, except for the rank among waiters, which the kernel gives anew, and RFLAGS.RF,
/// which it sets where a call is executed again.
fn compare(environment: &Environment, taken: &Taken) -> Result<(), String> {
    let refused = |status: Status| format!("it cannot be looked at again: {}", status.text());
    let now = environment.flob::<Thread>(taken.place).get_state(&Links::NONE).map_err(refused)?;
    let comparable = |state: &ThreadState| {
        let mut state = ThreadState { rank: 0, flags: state.flags & !thread_flag::STOPPED, ..*state };
        state.registers.rflags &= !RESUME_FLAG;
        state
    };
    let (now, before) = (comparable(&now), comparable(&taken.state));
    if now == before {
        return Ok(());
    }
    let words = now.as_bytes().chunks(8).zip(before.as_bytes().chunks(8));
    let first = words.enumerate().find(|(_, (now, before))| now != before);
    let offset = first.map_or(0, |(index, _)| index * 8);
    Err(format!("the thread at {:#x} came back different at byte {offset} of its state", taken.place))
}

fn let_go(environment: &Environment, taken: &Taken) -> Result<(), Status> {
    if taken.state.flags & thread_flag::STOPPED != 0 {
        return Ok(());
    }
    let enabled = taken.state.flags & thread_flag::EXCEPTIONS_ENABLED != 0;
    environment.flob::<Thread>(taken.place).resume(enabled)
}
