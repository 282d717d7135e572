//! What a program does that wants the kernel to be long: each scenario makes one of the numbers that the kernel works with as
//! large as it can be. On a measuring kernel the longest entry of each is reported.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use flob_runtime::abi::flob::thread_link;
use flob_runtime::abi::state::thread_flag;
use flob_runtime::abi::{Call, PAGE_SIZE, Protection, Status, ThreadState, ipc};
use flob_runtime::flob::*;
use flob_runtime::{heap, start};

use crate::arrears;
use crate::counters::Counters;
use crate::timed::{Block, touch};
use crate::world::{NORMAL, leak, refer, stopped_thread};

/// Mappings in one space.
const MAPPINGS: u64 = 10_000;
/// Threads that wait for one thing.
pub const WAITERS: u64 = 1_500;
/// Flobs side by side.
const FLOBS: u64 = 20_000;
/// Ports of one set.
const PORTS: u64 = 2_000;
/// Levels of region and mapping.
const DEPTH: u64 = 200;
/// Where things are mapped.
pub const WINDOW: u64 = 0x3000_0000_0000;

/// All of them.
pub fn attack() -> Result<(), Status> {
    scenario("mappings", mappings)?;
    scenario("levels", levels)?;
    scenario("mutex-waiters", mutex_waiters)?;
    scenario("condition-waiters", condition_waiters)?;
    scenario("clients", clients)?;
    scenario("servers", servers)?;
    scenario("ports", ports)?;
    scenario("flobs", flobs)?;
    scenario("ceilings", arrears::ceilings)?;
    scenario("timers", arrears::timers)?;
    scenario("idle", arrears::idle)?;
    scenario("meanwhile", arrears::meanwhile)
}

fn scenario(name: &str, run: impl FnOnce() -> Result<(), Status>) -> Result<(), Status> {
    Counters::read();
    run()?;
    Counters::read().report_longest(name);
    Ok(())
}

/// Flobs side by side in memory that nobody else has, from this address on.
pub fn ground(pages: u64) -> Result<u64, Status> {
    heap::take_untouched((pages * PAGE_SIZE) as usize).map(|range| range.start as u64).ok_or(Status::NoMemory)
}

/// Pages for a crowd of threads: the same for each, one after the other.
pub fn crowd_ground() -> Result<u64, Status> {
    static GROUND: AtomicU64 = AtomicU64::new(0);
    if GROUND.load(Ordering::Relaxed) == 0 {
        GROUND.store(ground(WAITERS)?, Ordering::Relaxed);
    }
    Ok(GROUND.load(Ordering::Relaxed))
}

pub fn nth<F>(start: u64, number: u64) -> FlobAt<F> {
    FlobAt::new(start + number * 512)
}

/// A region of one page, mapped everywhere; then it changes, and all of it is destroyed, the space first.
fn mappings() -> Result<(), Status> {
    let ground_at = ground(MAPPINGS / 8 + 2)?;
    let page = ground(1)?;
    let region = leak(Region::new());
    region.at().export(start::space(), page, PAGE_SIZE, Protection::READ_WRITE)?;
    let region_reference = refer(region.at())?;
    let space = leak(Space::new());
    space.at().create()?;
    let other = refer(space.at())?;
    for number in 0..MAPPINGS {
        // Half of them here, half in another space; in no good order.
        let place = number * 7919 % MAPPINGS;
        let at = (if number % 2 == 0 { start::space() } else { other }, WINDOW + place * PAGE_SIZE);
        nth::<Mapping>(ground_at, number).map(
            (region_reference, 0),
            at,
            PAGE_SIZE,
            Protection::READ_WRITE,
        )?;
    }
    for number in (0..MAPPINGS).step_by(2) {
        touch(WINDOW + number * 7919 % MAPPINGS * PAGE_SIZE);
    }
    let state = region.at().get_state(&Links::NONE)?;
    region.at().set_state(&state, &Links::NONE)?;
    space.at().destroy()?;
    region.at().destroy()?;
    for number in 0..MAPPINGS {
        nth::<Mapping>(ground_at, number).destroy()?;
    }
    Ok(())
}

/// Spaces in spaces, deeper than the kernel follows, then in a circle.
fn levels() -> Result<(), Status> {
    let ground_at = ground(DEPTH * 3 / 8 + 2)?;
    let mut outer = start::space();
    let mut at = ground(1)?;
    let mut regions = Vec::new();
    for number in 0..DEPTH {
        let [region, space, mapping] = [0, 1, 2].map(|which| ground_at + (number * 3 + which) * 512);
        let region: FlobAt<Region> = FlobAt::new(region);
        region.export(outer, at, PAGE_SIZE, Protection::READ_WRITE)?;
        let space: FlobAt<Space> = FlobAt::new(space);
        space.create()?;
        let inner = refer(space)?;
        FlobAt::<Mapping>::new(mapping).map(
            (refer(region)?, 0),
            (inner, WINDOW),
            PAGE_SIZE,
            Protection::READ_WRITE,
        )?;
        (outer, at) = (inner, WINDOW);
        regions.push((region, inner));
    }
    // The first region shows the last space: a circle.
    let Some((first, _)) = regions.first().copied() else { return Ok(()) };
    first.set_links(&Links::of(&[outer]))?;
    for (region, _) in &regions {
        let state = region.get_state(&Links::NONE)?;
        region.set_state(&state, &Links::NONE)?;
    }
    let mut found = [flob_runtime::abi::call::Found::default(); 4];
    first.search(0, PAGE_SIZE, &mut found, None)?;
    for (region, _) in regions {
        region.destroy()?;
    }
    Ok(())
}

/// Stopped threads that wait for something in a call, the last one first.
pub fn waiters(
    on: FlobAt<Reference>,
    registers: impl Fn(&mut ThreadState),
) -> Result<Vec<FlobAt<Thread>>, Status> {
    let memory = crowd_ground()?;
    let mut threads = Vec::with_capacity(WAITERS as usize);
    for number in 0..WAITERS {
        let thread: FlobAt<Thread> = FlobAt::new(memory + number * PAGE_SIZE);
        let mut state = ThreadState { rank: WAITERS - number, ..thread.fresh_state(0x1000, 0, 0) };
        state.flags = thread_flag::STOPPED;
        registers(&mut state);
        thread.create()?;
        let links = Links::NONE.with(thread_link::SPACE, start::space()).with(thread_link::WAITING_FOR, on);
        thread.set_state(&state, &links)?;
        threads.push(thread);
    }
    Ok(threads)
}

pub fn destroy(threads: Vec<FlobAt<Thread>>) -> Result<(), Status> {
    threads.into_iter().try_for_each(FlobAt::destroy)
}

fn mutex_waiters() -> Result<(), Status> {
    let mutex = leak(Mutex::new());
    mutex.at().create()?;
    mutex.at().lock()?;
    let address = mutex.at().address();
    let threads = waiters(refer(mutex.at())?, |state| {
        state.registers.rax = Call::MutexLock as u64;
        state.registers.rdi = address;
    })?;
    let state = mutex.at().get_state(&Links::NONE)?;
    mutex.at().set_state(&state, &Links::NONE)?;
    mutex.at().set_state(&flob_runtime::abi::MutexState { locked: 0, ..state }, &Links::NONE)?;
    mutex.at().lock()?;
    mutex.at().unlock()?;
    mutex.at().destroy()?;
    destroy(threads)
}

fn condition_waiters() -> Result<(), Status> {
    let (mutex, condition) = (leak(Mutex::new()), leak(Condition::new()));
    mutex.at().create()?;
    condition.at().create()?;
    let registers = (condition.at().address(), mutex.at().address());
    let sleep = |state: &mut ThreadState| {
        state.registers.rax = Call::ConditionSleep as u64;
        (state.registers.rdi, state.registers.rsi) = registers;
    };
    let threads = waiters(refer(condition.at())?, sleep)?;
    condition.at().signal()?;
    condition.at().broadcast()?;
    destroy(threads)?;
    let threads = waiters(refer(condition.at())?, sleep)?;
    condition.at().destroy()?;
    destroy(threads)
}

fn port_of(set: FlobAt<PortSet>) -> Result<&'static Port, Status> {
    let port = leak(Port::new());
    port.at().open_in(set, 1)?;
    Ok(port)
}

fn clients() -> Result<(), Status> {
    let set = leak(PortSet::new());
    set.at().create()?;
    let port = port_of(set.at())?;
    let reference = refer(port.at())?;
    let threads = waiters(reference, |state| {
        state.registers.rax = ipc::CLIENT_CALL;
        state.registers.rdi = reference.address();
    })?;
    let state = port.at().get_state(&Links::NONE)?;
    port.at().set_state(&state, &Links::NONE)?;
    // A server that looks through them all: they are stopped.
    aside(Block::numbered(ipc::SERVER_WAIT, [set.at().address(), 0, 0, 0]), |_| Ok(()))?;
    port.at().destroy()?;
    destroy(threads)
}

fn servers() -> Result<(), Status> {
    let set = leak(PortSet::new());
    set.at().create()?;
    let port = port_of(set.at())?;
    let address = set.at().address();
    let threads = waiters(refer(set.at())?, |state| {
        state.registers.rax = ipc::SERVER_WAIT;
        state.registers.rdi = address;
    })?;
    let state = port.at().get_state(&Links::NONE)?;
    port.at().set_state(&state, &Links::NONE)?;
    let reference = refer(port.at())?;
    // All servers are stopped: this waits.
    aside(Block::numbered(ipc::IPC | ipc::ONE_WAY, [reference.address(), 0, 0, 0]), |_| Ok(()))?;
    set.at().destroy()?;
    destroy(threads)
}

/// A call that may wait for ever, by a higher thread: it has come as far as it can when this thread goes on.
fn aside(call: Block, meanwhile: impl FnOnce(FlobAt<Thread>) -> Result<(), Status>) -> Result<(), Status> {
    let call = leak(call);
    let thread = stopped_thread(start::space(), NORMAL + 1, make_call, crate::world::address(call))?;
    crate::world::resume(thread)?;
    meanwhile(thread)?;
    thread.stop()?;
    thread.destroy()
}

extern "C" fn make_call(call: u64) -> ! {
    // SAFETY: a block that lives for ever and is not changed.
    let mut call: Block = unsafe { *core::ptr::with_exposed_provenance::<Block>(call as usize) };
    call.run();
    start::forever()
}

/// A set of many ports; a server that looks through them.
fn ports() -> Result<(), Status> {
    let set = leak(PortSet::new());
    set.at().create()?;
    let ground_at = ground(PORTS / 8 + 1)?;
    for number in 0..PORTS {
        nth::<Port>(ground_at, number).open_in(set.at(), number)?;
    }
    let last = refer(nth::<Port>(ground_at, PORTS - 1))?;
    aside(Block::numbered(ipc::IPC | ipc::ONE_WAY, [last.address(), 0, 0, 0]), |_| {
        Block::numbered(ipc::SERVER_WAIT, [set.at().address(), 0, 0, 0]).run();
        Ok(())
    })?;
    set.at().destroy()
}

/// Memory full of flobs: searched, and all destroyed.
fn flobs() -> Result<(), Status> {
    let ground_at = ground(FLOBS / 8 + 1)?;
    let region = leak(Region::new());
    region.at().export(start::space(), ground_at, (FLOBS / 8 + 1) * PAGE_SIZE, Protection::ALL)?;
    for number in 0..FLOBS {
        nth::<Condition>(ground_at, number).create()?;
    }
    let mut found = [flob_runtime::abi::call::Found::default(); 256];
    let (mut offset, mut size) = (0, FLOBS * 512);
    while size > 0 {
        let search = region.at().search(offset, size, &mut found, None)?;
        (offset, size) = (search.offset, search.size);
    }
    let last = refer(nth::<Condition>(ground_at, FLOBS - 1))?;
    last.locate(region.at())?;
    for number in 0..FLOBS {
        nth::<Condition>(ground_at, number).destroy()?;
    }
    Ok(())
}
