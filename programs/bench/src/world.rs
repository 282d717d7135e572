//! What the rows are measured in: threads with priorities of their own, and a second space that sees the same memory at the
//! same addresses.

use alloc::boxed::Box;
use alloc::vec;

use flob_runtime::abi::memory::PHYSICAL_WINDOW;
use flob_runtime::abi::state::{SpaceState, group};
use flob_runtime::abi::{Protection, Status, ThreadState};
use flob_runtime::flob::{
    Flob, FlobAt, Links, Mapping, OwnedReference, Referable, Reference, Region, Space, Thread,
};
use flob_runtime::start;

/// Priority of the thread that measures; that of [`HIGH`] goes before it.
pub const NORMAL: u32 = 20;
/// Priority of threads that interrupt it.
pub const HIGH: u32 = 25;
const STACK: usize = 64 * 1024;

/// Memory for a flob that lives as long as the bench.
pub fn leak<F>(storage: F) -> &'static F {
    Box::leak(Box::new(storage))
}

/// A reference to a flob.
pub fn refer<F: Flob + Referable>(flob: FlobAt<F>) -> Result<FlobAt<Reference>, Status> {
    let reference = OwnedReference::new()?;
    flob.reference(reference.at())?;
    let at = reference.at();
    core::mem::forget(reference);
    Ok(at)
}

/// A space whose memory is this one's, through so many levels of region and mapping.
pub fn space(levels: usize) -> Result<FlobAt<Reference>, Status> {
    let mut outer = start::space();
    let size = start::info().memory_end - PHYSICAL_WINDOW;
    for _ in 0..levels.max(1) {
        let region = leak(Region::new());
        region.at().export(outer, PHYSICAL_WINDOW, size, Protection::ALL)?;
        let space = leak(Space::new());
        space.at().create()?;
        let state = SpaceState { ceiling: flob_runtime::abi::MAX_PRIORITY, ..SpaceState::default() };
        space.at().set_state(&state, &Links::NONE)?;
        let inner = refer(space.at())?;
        let mapping = leak(Mapping::new());
        mapping.at().map((refer(region.at())?, 0), (inner, PHYSICAL_WINDOW), size, Protection::ALL)?;
        outer = inner;
    }
    Ok(outer)
}

/// A thread in a space, stopped, at this function.
pub fn stopped_thread(
    space: FlobAt<Reference>,
    priority: u32,
    entry: extern "C" fn(u64) -> !,
    argument: u64,
) -> Result<FlobAt<Thread>, Status> {
    let thread = leak(Thread::new()).at();
    let stack = Box::leak(vec![0_u128; STACK / 16].into_boxed_slice());
    let end = stack.as_ptr_range().end.expose_provenance() as u64;
    // As if it had been called: the stack's end less a return address.
    let state = ThreadState {
        priority,
        ..thread.fresh_state((entry as *const ()).expose_provenance() as u64, end - 8, argument)
    };
    thread.prepare(space, &state)?;
    Ok(thread)
}

/// The same, and lets it go.
pub fn thread(
    space: FlobAt<Reference>,
    priority: u32,
    entry: extern "C" fn(u64) -> !,
    argument: u64,
) -> Result<FlobAt<Thread>, Status> {
    let thread = stopped_thread(space, priority, entry, argument)?;
    resume(thread)?;
    Ok(thread)
}

/// Lets a thread go.
pub fn resume(thread: FlobAt<Thread>) -> Result<(), Status> {
    thread.set_groups(&ThreadState::default(), &Links::NONE, group::CONTROL)
}

/// The address of something, for a register.
pub fn address<T: ?Sized>(of: &T) -> u64 {
    core::ptr::from_ref(of).cast::<()>().expose_provenance() as u64
}
