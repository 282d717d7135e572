//! What an interruption costs: a call that waits and is made to run again; a transfer of 64 KB whose sender is stopped in
//! the middle and let go again.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use flob_runtime::abi::flob::thread_link;
use flob_runtime::abi::state::group;
use flob_runtime::abi::{Call, FlobKind, Status, ThreadState};
use flob_runtime::call;
use flob_runtime::flob::{FlobAt, Mutex, OwnedReference, Thread};
use flob_runtime::start;

use crate::report::{figures, is_wanted, line, row};
use crate::rows::rpc;
use crate::timed::Block;
use crate::world::{HIGH, address, refer, thread};

static HELD: Mutex = Mutex::new();

/// Waits for a mutex that nobody lets go.
extern "C" fn waiter(_: u64) -> ! {
    loop {
        let _ = HELD.at().lock();
    }
}

/// The rows.
pub fn measure() -> Result<(), Status> {
    waiting()?;
    if is_wanted("transfer-calm") { transfer() } else { Ok(()) }
}

/// Taking away what a thread waits for makes it run its call again. Setting the same link again is all of that but the
/// restart: the difference is what the restart costs, two switches included.
fn waiting() -> Result<(), Status> {
    HELD.at().create()?;
    HELD.at().lock()?;
    let thread = thread(start::space(), HIGH, waiter, 0)?;
    let nothing = OwnedReference::new()?;
    let time = |link: u64| {
        let mut links = [0; 6];
        if let Some(place) = links.get_mut(thread_link::WAITING_FOR) {
            *place = link;
        }
        let number = FlobKind::Thread as u64 * 16 + 5;
        Ok(Block::numbered(number, [thread.address(), 0, address(links.as_slice()), 0]).time())
    };
    let same = refer(HELD.at())?.address();
    row("set-same-link", || time(same))?;
    row("restart", || time(nothing.at().address()))
}

/// The thread that is stopped, how often it was, and how long the one who stopped it was busy with that.
static VICTIM: AtomicU64 = AtomicU64::new(0);
static STOPS: AtomicU32 = AtomicU32::new(0);
static BUSY: AtomicU64 = AtomicU64::new(0);
/// Between two stops, in nanoseconds: no multiple of the tick.
const PAUSE: u64 = 1_300_000;

extern "C" fn stopper(_: u64) -> ! {
    let mut next = 0;
    loop {
        next = call::timer_wait(next).unwrap_or(next) + PAUSE;
        let state = ThreadState::default();
        let arguments =
            |state: &ThreadState| [VICTIM.load(Ordering::Relaxed), address(state), 0, group::CONTROL];
        let get = Block::call(Call::ThreadGetState, arguments(&state)).time();
        let set = Block::call(Call::ThreadSetState, arguments(&state)).time();
        let wait = Block::call(Call::TimerWait, [0; 4]).time();
        BUSY.store(get + set + wait, Ordering::Relaxed);
        STOPS.fetch_add(1, Ordering::Relaxed);
    }
}

/// Round trips of 64 KB while a higher thread stops the client now and then.
fn transfer() -> Result<(), Status> {
    const SIZE: usize = 65536;
    const ENOUGH: usize = 33;
    let client = rpc::client(SIZE)?;
    let own = flob_runtime::flob::current();
    VICTIM.store(own.address(), Ordering::Relaxed);
    let stopper: FlobAt<Thread> = thread(start::space(), HIGH, stopper, 0)?;
    let (mut calm, mut stopped) = (Vec::with_capacity(4096), Vec::with_capacity(ENOUGH));
    while stopped.len() < ENOUGH && calm.len() < 4096 {
        let before = STOPS.load(Ordering::Relaxed);
        let time = rpc::round_trip(client, SIZE)?;
        match STOPS.load(Ordering::Relaxed).wrapping_sub(before) {
            0 => calm.push(time),
            1 => stopped.push(time.saturating_sub(BUSY.load(Ordering::Relaxed))),
            _ => {}
        }
    }
    stopper.stop()?;
    line(&alloc::format!(
        "note {} of {} round trips of 64 KB were interrupted",
        stopped.len(),
        stopped.len() + calm.len()
    ));
    figures("transfer-calm", calm);
    figures("transfer-stopped", stopped);
    Ok(())
}
