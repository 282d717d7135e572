//! Threads with a stack and a result.
//!
//! [`spawn`] takes thread flob and stack from the heap. A [`Builder`] can put the flob into a static instead, so that a
//! debugger names the thread by the symbol, and can let the thread run in another space.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::arch::naked_asm;
use core::mem::{ManuallyDrop, MaybeUninit};

use flob_abi::{MAX_PRIORITY, Status, ThreadState};

use crate::flob::{FlobAt, Reference, Thread};
use crate::start;
use crate::sync::{Condition, Lock};

/// Bytes of stack if nothing else is asked for.
pub const DEFAULT_STACK: usize = 64 * 1024;

/// A page of stack.
#[repr(C, align(4096))]
struct StackPage(MaybeUninit<[u8; 4096]>);

/// Where a thread leaves its result.
struct Packet<T> {
    result: Lock<Option<T>>,
    done: Condition,
    /// Nobody signals it: where a finished thread stands until it is destroyed.
    finished: Condition,
}

/// What the new thread's first function gets.
struct First {
    run: Box<dyn FnOnce()>,
}

/// How a thread is to be started.
#[derive(Clone, Copy)]
pub struct Builder {
    storage: Option<&'static Thread>,
    stack: usize,
    space: FlobAt<Reference>,
    priority: u32,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// A thread from the heap, in the program's own space.
    pub fn new() -> Self {
        Self { storage: None, stack: DEFAULT_STACK, space: start::space(), priority: MAX_PRIORITY }
    }

    /// Uses this memory for the thread flob. No thread may be there.
    #[must_use]
    pub const fn flob(mut self, storage: &'static Thread) -> Self {
        self.storage = Some(storage);
        self
    }

    /// Bytes of stack.
    #[must_use]
    pub const fn stack(mut self, bytes: usize) -> Self {
        self.stack = bytes;
        self
    }

    /// Runs in the space that this reference names, which must see the program's code, statics and heap at the same
    /// addresses.
    #[must_use]
    pub const fn space(mut self, space: FlobAt<Reference>) -> Self {
        self.space = space;
        self
    }

    /// Its priority; else it runs as high as its space's ceiling lets it.
    #[must_use]
    pub const fn priority(mut self, priority: u32) -> Self {
        self.priority = priority;
        self
    }

    /// Starts it.
    pub fn spawn<T: Send + 'static>(
        self,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> Result<JoinHandle<T>, Status> {
        let packet =
            Arc::new(Packet { result: Lock::new(None), done: Condition::new(), finished: Condition::new() });
        // The thread never gives its share of the packet back: `join` does that for it.
        let share = Arc::clone(&packet);
        let first = Box::new(First { run: Box::new(move || finish(&share, run())) });
        let stack = Box::<[StackPage]>::new_uninit_slice(self.stack.div_ceil(size_of::<StackPage>()).max(1));
        let own = self.storage.is_none().then(|| Box::new(Thread::new()));
        let thread = match (&own, self.storage) {
            (Some(own), _) => own.at(),
            (None, Some(storage)) => storage.at(),
            (None, None) => return Err(Status::InvalidState),
        };
        let stack_end = stack.as_ptr_range().end.expose_provenance() as u64;
        let argument = Box::into_raw(first).expose_provenance() as u64;
        let entry = (thread_stub as *const ()).expose_provenance() as u64;
        let state = ThreadState { priority: self.priority, ..thread.fresh_state(entry, stack_end, argument) };
        thread.prepare(self.space, &state)?;
        thread.resume(false)?;
        Ok(JoinHandle { packet, thread, memory: ManuallyDrop::new(Memory { _own: own, _stack: stack }) })
    }
}

/// Starts a thread with its flob and stack on the heap.
pub fn spawn<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>, Status> {
    Builder::new().spawn(run)
}

/// The first frame of a thread: says that nothing called it.
#[unsafe(naked)]
unsafe extern "C" fn thread_stub() -> ! {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined rip",
        "xor ebp, ebp",
        "call {first}",
        "ud2",
        ".cfi_endproc",
        first = sym first_function,
    )
}

/// Runs what the thread was made for. The run ends in [`finish`] and so never returns.
extern "C" fn first_function(argument: u64) -> ! {
    let first = core::ptr::with_exposed_provenance_mut::<First>(argument as usize);
    // SAFETY: `spawn` made the pointer from a box and hands it to exactly one thread.
    let first = unsafe { Box::from_raw(first) };
    (first.run)();
    start::forever()
}

/// Leaves the result and stands still, without any lock, until `join` destroys the thread.
fn finish<T>(packet: &Packet<T>, value: T) {
    let mut result = packet.result.lock();
    *result = Some(value);
    packet.done.signal();
    loop {
        result = packet.finished.wait(result);
    }
}

/// What a thread is made of, if it is of the heap.
struct Memory {
    _own: Option<Box<Thread>>,
    _stack: Box<[MaybeUninit<StackPage>]>,
}

/// A running thread. Dropping the handle leaves the thread running and its memory in use for good.
#[must_use = "join it, or say that nobody will with `detach`"]
pub struct JoinHandle<T> {
    packet: Arc<Packet<T>>,
    thread: FlobAt<Thread>,
    /// Not freed before the thread is destroyed.
    memory: ManuallyDrop<Memory>,
}

impl<T> JoinHandle<T> {
    /// The thread's flob.
    pub fn flob(&self) -> FlobAt<Thread> {
        self.thread
    }

    /// Waits for the end of the thread, destroys it and returns its result.
    pub fn join(mut self) -> Result<T, Status> {
        let mut result = self.packet.result.lock();
        let value = loop {
            match result.take() {
                Some(value) => break value,
                None => result = self.packet.done.wait(result),
            }
        };
        drop(result);
        self.thread.destroy()?;
        // SAFETY: the thread held one share and is gone, so nobody else will ever return it.
        unsafe { Arc::decrement_strong_count(Arc::as_ptr(&self.packet)) };
        // SAFETY: nobody stands on the stack any more, and the handle ends here.
        unsafe { ManuallyDrop::drop(&mut self.memory) };
        Ok(value)
    }

    /// Lets the thread run without anybody to join it: its memory stays in use for good.
    pub fn detach(self) {}
}
