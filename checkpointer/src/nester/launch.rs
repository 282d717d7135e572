//! Start-up: memory is divided, the child loaded, the threads started.

use alloc::{format, string::String, sync::Arc, vec::Vec};

use flob_abi::{PAGE_SIZE, SpaceState, Status, ThreadState, flob::space_link, state::group};
use flob_checkpointer::Sights;
use flob_runtime::{
    call,
    flob::{FlobAt, Links, OwnedReference, Thread},
    heap,
    nester::{ChildMemory, Desk, Environment, Loaded, Setup, inherited},
    service::programs,
    thread::{self, Builder, JoinHandle},
};

use super::denial::{self, REGION};
use super::keeper::{self, KEEPER};
use super::mirror::Mirror;
use super::options::Options;
use super::requests::{NAMES, PARENT};
use super::state::{Nester, Shared, State};
use super::{bulk, saver, scribe, servers};

/// Most memory that stays for the nester itself: records, stacks and buffers of its servers.
const OWN_MEMORY: usize = 16 << 20;
/// Bytes of stack for those who save.
const BIG_STACK: usize = 128 * 1024;

/// Starts everything; the calling thread is not needed any more.
pub fn run(arguments: Vec<String>) -> Result<(), String> {
    let options = Options::parse(arguments)?;
    let kernel = |status: Status| format!("the kernel refused: {}", status.text());
    let nester = Arc::new(make(&options).map_err(kernel)?);
    load(&nester, &options.program)?;
    start_threads(&nester, options.every).map_err(kernel)?;
    nester.environment.start().map_err(kernel)
}

fn make(options: &Options) -> Result<Nester, Status> {
    let desks = (Desk::new(NAMES)?, bulk::desk()?, [Desk::new(&[KEEPER])?, Desk::new(&[REGION])?]);
    let debug_port = OwnedReference::new()?;
    let ceiling = ceiling_and_debug_port(&debug_port)?;
    // The child's, and two of its size.
    let untouched = heap::untouched();
    let size = (untouched - OWN_MEMORY.min(untouched / 4)) / 3 / PAGE_SIZE as usize * PAGE_SIZE as usize;
    let memory = || ChildMemory::take(size as u64).ok_or(Status::NoMemory);
    let environment = Environment::over(memory()?)?;
    let mirror = Mirror::new([memory()?, memory()?], call::epoch_begin()?);
    let state = State { sights: Sights::with_room(), ..State::default() };
    Ok(Nester::new(desks, (environment, mirror), debug_port, (ceiling, options.limit), state))
}

/// This program's own ceiling, and, into this reference, its debug port.
pub fn ceiling_and_debug_port(debug_port: &OwnedReference) -> Result<u32, Status> {
    let links = Links::NONE.with(space_link::DEBUG_PORT, debug_port.at());
    inherited(&links).map(|space| space.ceiling)
}

fn load(nester: &Nester, program: &[String]) -> Result<(), String> {
    let name = program.first().map_or("", String::as_str);
    let file = programs::File::open(name).map_err(|error| format!("'{name}' cannot be read: {error}"))?;
    let mut file = file.ok_or_else(|| format!("there is no program '{name}'"))?;
    let setup = Setup {
        parent: nester.desk.reference(PARENT).ok_or("the parent port is missing")?,
        keeper: nester.faults.reference(KEEPER),
        debug_port: None,
        space: SpaceState { ceiling: nester.ceiling.saturating_sub(2), ..SpaceState::default() },
        arguments: program,
    };
    let loaded = nester.environment.load(&mut file, &setup);
    let Loaded { elf, places } = loaded.map_err(|error| format!("'{name}' cannot be started: {error}"))?;
    let build_id = elf.build_id(&mut file).map_err(|error| format!("'{name}' cannot be read: {error}"))?;
    let mut state = nester.lock();
    state.program = String::from(name);
    state.arguments = program.to_vec();
    state.build_id = build_id;
    state.places = places;
    Ok(())
}

fn start_threads(nester: &Shared, every: u64) -> Result<(), Status> {
    let mut state = nester.lock();
    let shared = || Arc::clone(nester);
    let one = shared();
    note(&mut state, thread::spawn(move || keeper::serve(&one))?)?;
    let one = shared();
    thread::spawn(move || denial::serve(&one)).and_then(|one| note(&mut state, one))?;
    let one = shared();
    let saver = note(&mut state, Builder::new().stack(BIG_STACK).spawn(move || saver::run(&one))?)?;
    let one = shared();
    let scribe = note(&mut state, Builder::new().stack(BIG_STACK).spawn(move || scribe::run(&one))?)?;
    for (thread, lower) in [(saver, 1), (scribe, 2)] {
        let priority = nester.ceiling.saturating_sub(lower);
        let scheduling = ThreadState { priority, ..ThreadState::default() };
        thread.set_groups(&scheduling, &Links::NONE, group::SCHEDULING)?;
    }
    let one = shared();
    note(&mut state, thread::spawn(move || saver::tick(&one, every))?)?;
    bulk::start(nester, &mut state)?;
    servers::ensure_one_is_idle(nester, &mut state)
}

/// Notes a thread as one of ours, for good.
pub fn note(state: &mut State, handle: JoinHandle<()>) -> Result<FlobAt<Thread>, Status> {
    let thread = handle.flob();
    handle.detach();
    let reference = OwnedReference::new()?;
    thread.reference(reference.at())?;
    state.own.push(reference);
    Ok(thread)
}
