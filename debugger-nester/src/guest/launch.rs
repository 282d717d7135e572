//! Start-up: memory is divided, the program loaded, the threads started.

use alloc::{collections::BTreeSet, collections::VecDeque, format, string::String, sync::Arc, vec::Vec};

use crate::{breakpoints::Breakpoints, events::Events, held::Held, streams};
use flob_abi::{PAGE_SIZE, SpaceState, Status};
use flob_checkpointer::{Sights, border::Answered};
use flob_link::{Capacity, answers::Answers};
use flob_runtime::{
    call,
    flob::{FlobAt, OwnedReference, Thread},
    heap,
    nester::{ChildMemory, Desk, Environment, Setup, environment::FIRST_THREAD, serve::Clerk},
    service::clock,
    thread,
};

use super::state::{Clock, Looks, Nester, Own, Program, Shared, State};
use super::torture::{self, Size, Torture};
use super::{
    caller::{self, Caller},
    carriers::{self, Carriers},
    denial, exceptions, link, record, saver, services,
    step::Stepping,
    surroundings::Surroundings,
    timers, watcher,
};

/// Most memory that stays for the nester itself: records, queues, buffers.
const OWN_MEMORY: usize = 20 << 20;
/// Environments have a multiple of this …
const SIZE_STEP: u64 = 4 << 20;
/// … and leave so much of their memory unused, so that an image fits into guests whose other parts differ a little in size.
const SPARE_ROOM: u64 = 256 << 10;
/// Bytes of a thread's stack.
const STACK: usize = 128 * 1024;
/// Threads that sleep on behalf of the child.
const TIMERS: usize = 6;
/// Priority of the watcher.
const LOWEST: u32 = 0;

struct Options {
    paused: bool,
    restore: bool,
    torture: Option<Torture>,
    program: Vec<String>,
}

fn options(arguments: Vec<String>) -> Result<Options, String> {
    let mut options = Options { paused: false, restore: false, torture: None, program: Vec::new() };
    let mut rest = arguments.into_iter().skip(1).peekable();
    while let Some(flag) = rest.next_if(|argument| argument.starts_with("--")) {
        if let Some(torture) = flag.strip_prefix("--torture=") {
            let torture =
                Torture::parse(torture).ok_or("--torture=SIZE,SEED: 'small' or 'large' and a number")?;
            options.torture = Some(torture);
            continue;
        }
        match flag.as_str() {
            "--paused" => options.paused = true,
            "--restore" => options.restore = true,
            other => return Err(format!("there is no option '{other}'")),
        }
    }
    options.program = rest.collect();
    if options.program.is_empty() && !options.restore {
        return Err("no program was named".into());
    }
    Ok(options)
}

/// Starts everything; the calling thread is not needed any more.
pub fn run(around: &'static dyn Surroundings, arguments: Vec<String>) -> Result<(), String> {
    let mut options = options(arguments)?;
    let kernel = |status: Status| format!("the kernel refused: {}", status.text());
    let clerk = Clerk::new().map_err(kernel)?;
    let desk = Desk::new(services::NAMES).map_err(kernel)?;
    let faults = Desk::new(exceptions::NAMES).map_err(kernel)?;
    let denials = Desk::new(&[denial::REGION]).map_err(kernel)?;
    let highest = around.ceiling().map_err(kernel)?;
    let size = options.torture.as_ref().map(Torture::size);
    // Nobody else of ours runs while a thread is not what it was.
    let ceiling = if size == Some(Size::Small) { highest.saturating_sub(1) } else { highest };
    let mut state = state(around, ceiling).map_err(kernel)?;
    state.torture = options.torture.take();
    let nester = Arc::new(Nester::new(around, [desk, faults, denials], clerk.inbox(), state));
    if !options.restore {
        load(&nester, &options)?;
    }
    start_threads(&nester, clerk, highest).map_err(kernel)?;
    record::find_bearings(&nester, &mut nester.lock()).map_err(kernel)?;
    if let Some(size) = size {
        start_torturer(&nester, size, highest).map_err(kernel)?;
    }
    if !options.restore && !options.paused {
        // Under the lock: a torturer that had taken the thread out before would put it back as one that has not begun.
        let mut state = nester.lock();
        state.environment.start().map_err(kernel)?;
        watcher::stirred(&mut state);
    }
    Ok(())
}

/// Memory for two environments, and the bytes of it that programs begin in.
fn environments(reserved: usize) -> Result<([Arc<Environment>; 2], u64), Status> {
    let untouched = heap::untouched().saturating_sub(reserved);
    let room = (untouched - OWN_MEMORY.min(untouched / 4)) as u64 / 2 / PAGE_SIZE * PAGE_SIZE;
    let step = if room >= 2 * SIZE_STEP { SIZE_STEP } else { PAGE_SIZE };
    let size = room.saturating_sub(SPARE_ROOM) / step * step;
    let environment = || {
        let environment = Environment::over(ChildMemory::take(room).ok_or(Status::NoMemory)?)?;
        environment.resize(size)?;
        Ok::<_, Status>(Arc::new(environment))
    };
    Ok(([environment()?, environment()?], size))
}

fn state(around: &dyn Surroundings, ceiling: u32) -> Result<State, Status> {
    let ([environment, spare], usual_size) = environments(around.reserved())?;
    let nobody = FlobAt::new(0);
    Ok(State {
        environment,
        usual_size,
        spare,
        spare_is_clear: true,
        is_clear: true,
        program: Arc::default(),
        boot: clock::now().unwrap_or(0),
        born: call::epoch_begin()?,
        replaced: 0,
        input: streams::Input::default(),
        stdout: streams::Output::default(),
        stderr: streams::Output::default(),
        clock: Clock::default(),
        exit: None,
        input_announced: None,
        parked: Vec::new(),
        ready: VecDeque::new(),
        halves: Vec::new(),
        carriers: Carriers::default(),
        last: Answered::default(),
        sleeping: BTreeSet::new(),
        own: Own {
            services: nobody,
            watcher: Caller::nobody(),
            courier: Caller::nobody(),
            carrier: OwnedReference::new()?,
            all: Vec::new(),
            ceiling,
        },
        sight: OwnedReference::new()?,
        sights: Sights::with_room(),
        bearings: None,
        held: Held::default(),
        until_stop: BTreeSet::new(),
        stepping: Stepping::default(),
        watch: watcher::Watch::default(),
        breakpoints: Breakpoints::default(),
        watching: Default::default(),
        catching: Default::default(),
        trace: Default::default(),
        ordered: None,
        save: None,
        copying: None,
        began: (clock::now().unwrap_or(0), clock::ticks()),
        stop_time: 0,
        looks: Looks::default(),
        search: None,
        has_stepped: false,
        restore: None,
        restore_ticks: 0,
        lazy: None,
        torture: None,
        events: Events::default(),
        replies: Answers::default(),
        page_watching: Default::default(),
        greeted: None,
        capacity: capacity(around),
        long_answers: Default::default(),
        outbox: VecDeque::new(),
        is_receiver_here: false,
        is_host_near: false,
        garbled: 0,
        ending: false,
    })
}

/// In pages.
fn capacity(around: &dyn Surroundings) -> Capacity {
    let line = around.capacity();
    let pages = |bytes: u32| bytes / PAGE_SIZE as u32;
    Capacity { is_lossless: line.is_lossless, to_host: pages(line.to_host), to_guest: pages(line.to_guest) }
}

fn load(nester: &Nester, options: &Options) -> Result<(), String> {
    let mut state = nester.lock();
    let state = &mut *state;
    state.is_clear = false;
    let build_id = load_into(nester, &state.environment, state.own.ceiling, &options.program)?;
    let name = options.program.first().cloned().unwrap_or_default();
    state.program = Arc::new(Program { name, arguments: options.program.clone(), build_id });
    if options.paused {
        state.held.add(FIRST_THREAD, 0);
    }
    Ok(())
}

/// Loads a program of the parent's into an empty environment, where its first thread stands stopped: its build id.
pub fn load_into(
    nester: &Nester,
    environment: &Environment,
    ceiling: u32,
    command: &[String],
) -> Result<String, String> {
    let name = command.first().cloned().unwrap_or_default();
    let file = nester.around.program(&name).map_err(|error| format!("'{name}' cannot be read: {error}"))?;
    let mut file = file.ok_or_else(|| format!("there is no program '{name}'"))?;
    let file = &mut *file;
    let setup = Setup {
        parent: nester.desk.reference(services::PARENT).ok_or("the parent port is missing")?,
        keeper: nester.faults.reference(exceptions::KEEPER),
        debug_port: nester.faults.reference(exceptions::DEBUG),
        space: SpaceState { ceiling: ceiling.saturating_sub(2), ..SpaceState::default() },
        arguments: command,
    };
    let loaded = environment.load(file, &setup);
    let loaded = loaded.map_err(|error| format!("'{name}' cannot be started: {error}"))?;
    loaded.elf.build_id(file).map_err(|error| format!("'{name}' cannot be read: {error}"))
}

fn start_threads(nester: &Shared, clerk: Clerk, highest: u32) -> Result<(), Status> {
    let shared = || Arc::clone(nester);
    let ceiling = nester.lock().own.ceiling;
    let link = ceiling.saturating_sub(1);
    {
        let mut state = nester.lock();
        carriers::ensure_one_is_idle(nester, &mut state)?;
        if let Some(first) = state.carriers.all.first() {
            first.thread.reference(state.own.carrier.at())?;
        }
    }
    for index in 0..TIMERS {
        let one = shared();
        spawn(nester, None, move || timers::sleep(&one, index))?;
    }
    let one = shared();
    spawn(nester, Some(highest), move || exceptions::serve(&one))?;
    for _ in 0..denial::KEEPERS {
        let one = shared();
        spawn(nester, Some(highest), move || denial::serve(&one))?;
    }
    let one = shared();
    let watcher = spawn(nester, Some(LOWEST), move || caller::call(&one.idle))?;
    nester.lock().own.watcher = Caller::new(watcher)?;
    let one = shared();
    let courier = spawn(nester, Some(link.saturating_sub(1)), move || caller::call(&one.came))?;
    nester.lock().own.courier = Caller::new(courier)?;
    let one = shared();
    spawn(nester, None, move || watcher::guard(&one))?;
    let one = shared();
    let services = spawn(nester, None, move || services::serve(&one, clerk))?;
    nester.lock().own.services = services;
    let one = shared();
    spawn(nester, Some(link), move || link::receive(&one))?;
    let one = shared();
    spawn(nester, Some(link), move || link::send(&one))?;
    let one = shared();
    spawn(nester, Some(link), move || saver::save(&one))?;
    let one = shared();
    spawn(nester, Some(link.saturating_sub(1)), move || saver::write(&one))?;
    Ok(())
}

/// The small form goes before all others; the large form sees every server blocked.
fn start_torturer(nester: &Shared, size: Size, highest: u32) -> Result<(), Status> {
    let priority = match size {
        Size::Small => highest,
        Size::Large => nester.lock().own.ceiling.saturating_sub(1),
    };
    let one = Arc::clone(nester);
    spawn(nester, Some(priority), move || torture::run(&one)).map(drop)
}

/// Starts a thread for good, at this priority or at the ceiling, and notes it as one of ours.
fn spawn(
    nester: &Shared,
    priority: Option<u32>,
    run: impl FnOnce() + Send + 'static,
) -> Result<FlobAt<Thread>, Status> {
    let mut state = nester.lock();
    let priority = priority.unwrap_or(state.own.ceiling);
    start(&mut state.own, priority, STACK, run)
}

/// The same, for who has the lock, with so much stack.
pub fn start(
    own: &mut Own,
    priority: u32,
    stack: usize,
    run: impl FnOnce() + Send + 'static,
) -> Result<FlobAt<Thread>, Status> {
    let handle = thread::Builder::new().stack(stack).priority(priority).spawn(run)?;
    let flob = handle.flob();
    handle.detach();
    let reference = OwnedReference::new()?;
    flob.reference(reference.at())?;
    own.all.push(reference);
    Ok(flob)
}
