//! What a program does that leaves the kernel something to do for many entries, and what it does meanwhile: see [`crate::hostile`].

use alloc::vec::Vec;
use core::arch::naked_asm;

use flob_runtime::abi::{Call, PAGE_SIZE, Protection, SpaceState, Status, call::Found};
use flob_runtime::flob::*;
use flob_runtime::{call, start};

use crate::hostile::{WAITERS, WINDOW, crowd_ground, destroy, ground, nth, waiters};
use crate::timed::touch;
use crate::world::{NORMAL, leak, refer, resume};

/// Mappings of one region: as many as are followed before all translations are dropped instead.
const MAPPINGS: u64 = 155;
/// Flobs side by side.
const FLOBS: u64 = 2_000;

/// Threads of a space of their own that could run, were they not so low.
fn ready_crowd() -> Result<(FlobAt<Space>, Vec<FlobAt<Thread>>), Status> {
    let space = leak(Space::new()).at();
    space.create()?;
    set_ceiling(space, 2)?;
    let reference = refer(space)?;
    let memory = crowd_ground()?;
    let mut threads = Vec::with_capacity(WAITERS as usize);
    for number in 0..WAITERS {
        let thread: FlobAt<Thread> = FlobAt::new(memory + number * PAGE_SIZE);
        thread.prepare(reference, &thread.fresh_state(0x1000, 0, 0))?;
        resume(thread)?;
        threads.push(thread);
    }
    Ok((space, threads))
}

fn set_ceiling(space: FlobAt<Space>, ceiling: u32) -> Result<(), Status> {
    space.set_state(&SpaceState { ceiling, ..SpaceState::default() }, &Links::NONE)
}

/// A ceiling rises and falls over a crowd; then its space is gone.
pub fn ceilings() -> Result<(), Status> {
    let (space, threads) = ready_crowd()?;
    for ceiling in [NORMAL - 1, 1, 9, 3] {
        set_ceiling(space, ceiling)?;
    }
    space.destroy()?;
    destroy(threads)
}

/// Makes the call that is in the registers, and waits for ever.
#[unsafe(naked)]
extern "C" fn wait_twice() {
    naked_asm!("syscall", "mov eax, {wait}", "mov rdi, -1", "syscall", "ud2", wait = const Call::TimerWait as u32)
}

/// Many wait for the same time, and for times in no good order.
pub fn timers() -> Result<(), Status> {
    let now = call::timer_wait(0)?;
    let soon = now + 500_000_000;
    let memory = crowd_ground()?;
    let mut threads = Vec::with_capacity(WAITERS as usize);
    for number in 0..WAITERS {
        let thread: FlobAt<Thread> = FlobAt::new(memory + number * PAGE_SIZE);
        let mut state = thread.fresh_state((wait_twice as *const ()).expose_provenance() as u64, 0, 0);
        state.registers.rax = Call::TimerWait as u64;
        state.registers.rdi = soon - if number % 2 == 0 { 0 } else { number * 7919 % WAITERS * 1000 };
        state.priority = NORMAL + 1;
        thread.prepare(start::space(), &state)?;
        resume(thread)?;
        threads.push(thread);
    }
    call::timer_wait(soon + 5_000_000)?;
    destroy(threads)
}

/// A mutex with stopped waiters is gone.
fn fall_behind() -> Result<Vec<FlobAt<Thread>>, Status> {
    let mutex = leak(Mutex::new()).at();
    mutex.create()?;
    mutex.lock()?;
    let threads = waiters(refer(mutex)?, |state| {
        state.registers.rax = Call::MutexLock as u64;
        state.registers.rdi = mutex.address();
    })?;
    mutex.destroy()?;
    Ok(threads)
}

/// Nobody runs while waiters hear that what they waited for is gone.
pub fn idle() -> Result<(), Status> {
    let threads = fall_behind()?;
    call::timer_wait(call::timer_wait(0)? + 20_000_000)?;
    destroy(threads)
}

/// The longest calls there are, while waiters hear that what they waited for is gone.
pub fn meanwhile() -> Result<(), Status> {
    let (ground_at, flobs_at, page) = (ground(MAPPINGS / 8 + 2)?, ground(FLOBS / 8 + 1)?, ground(1)?);
    let region = leak(Region::new()).at();
    region.export(start::space(), page, PAGE_SIZE, Protection::READ_WRITE)?;
    let reference = refer(region)?;
    for number in 0..MAPPINGS {
        let at = (start::space(), WINDOW + number * 7919 % MAPPINGS * PAGE_SIZE);
        nth::<Mapping>(ground_at, number).map((reference, 0), at, PAGE_SIZE, Protection::READ_WRITE)?;
    }
    let all = leak(Region::new()).at();
    all.export(start::space(), flobs_at, (FLOBS / 8 + 1) * PAGE_SIZE, Protection::ALL)?;
    for number in 0..FLOBS {
        nth::<Condition>(flobs_at, number).create()?;
    }
    let mut found = [Found::default(); 256];
    let threads = fall_behind()?;
    for _ in 0..4 {
        for number in 0..MAPPINGS {
            touch(WINDOW + number * PAGE_SIZE);
        }
        region.protect(Protection::READ)?;
        region.protect(Protection::READ_WRITE)?;
        let state = region.get_state(&Links::NONE)?;
        region.set_state(&state, &Links::NONE)?;
        all.search(0, FLOBS * 512, &mut found, None)?;
    }
    destroy(threads)?;
    let threads = fall_behind()?;
    region.destroy()?;
    for number in 0..MAPPINGS {
        nth::<Mapping>(ground_at, number).destroy()?;
    }
    for number in 0..FLOBS {
        nth::<Condition>(flobs_at, number).destroy()?;
    }
    destroy(threads)
}
