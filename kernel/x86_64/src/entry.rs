//! Where the stubs of `entry.s` arrive: says what happened to the kernel library, and whom to run next.

use crate::descriptors::{USER_CODE, USER_DATA, VECTORS};
use crate::hardware::Hardware;
use crate::interrupts::{FIRST_VECTOR, TICK};
use crate::panic_record::{CALLS, LastCall};
use crate::{cpu, disturb, measure, panic};
use core::arch::global_asm;
use core::cell::Cell;
use core::mem::offset_of;
use core::ptr::null_mut;
use flob_abi::{ExceptionCode, Protection, Registers};
use flob_kernel::{Context, Event, Kernel};

const fn register(offset: usize) -> usize {
    offset_of!(Context, registers) + offset
}

global_asm!(
    include_str!("entry.s"),
    rax = const register(offset_of!(Registers, rax)),
    rbx = const register(offset_of!(Registers, rbx)),
    rcx = const register(offset_of!(Registers, rcx)),
    rdx = const register(offset_of!(Registers, rdx)),
    rsi = const register(offset_of!(Registers, rsi)),
    rdi = const register(offset_of!(Registers, rdi)),
    rbp = const register(offset_of!(Registers, rbp)),
    rsp = const register(offset_of!(Registers, rsp)),
    r8 = const register(offset_of!(Registers, r8)),
    r9 = const register(offset_of!(Registers, r9)),
    r10 = const register(offset_of!(Registers, r10)),
    r11 = const register(offset_of!(Registers, r11)),
    r12 = const register(offset_of!(Registers, r12)),
    r13 = const register(offset_of!(Registers, r13)),
    r14 = const register(offset_of!(Registers, r14)),
    r15 = const register(offset_of!(Registers, r15)),
    rip = const register(offset_of!(Registers, rip)),
    rflags = const register(offset_of!(Registers, rflags)),
    user_data = const USER_DATA,
    user_code = const USER_CODE,
    vectors = const VECTORS,
);

// The stubs keep the last calls by a byte's offset that wraps.
const _: () = assert!(CALLS * size_of::<LastCall>() == 256);
// The stubs save vector state at the very start of the Context.
const _: () = assert!(offset_of!(Context, vectors) == 0);

unsafe extern "C" {
    fn enter_user(context: *mut Context) -> !;
    fn wait_for_interrupt() -> u64;
    fn take_interrupt() -> u64;
    static last_calls: [LastCall; CALLS];
    static next_call: u8;
}

/// The context of the thread that runs, for the stubs.
#[unsafe(no_mangle)]
static mut current_context: *mut Context = null_mut();

struct Global(Cell<*mut Kernel<Hardware>>);
// SAFETY: one processor, and interrupts are off wherever Rust code of the kernel runs.
unsafe impl Sync for Global {}
static KERNEL: Global = Global(Cell::new(null_mut()));

/// Runs the kernel from now on.
pub fn run(own: &'static mut Kernel<Hardware>) -> ! {
    KERNEL.0.set(own);
    // SAFETY: `next` has made everything ready for this context.
    unsafe { enter_user(next(kernel())) }
}

/// The context that is or was loaded last; null before the first.
#[inline(always)]
pub fn current() -> *mut Context {
    // SAFETY: one processor; the stubs only read it.
    unsafe { current_context }
}

/// The stubs load this context from now on.
#[inline(always)]
pub fn set_current(context: &mut Context) {
    // SAFETY: as above.
    unsafe { current_context = context };
}

/// The last calls, newest first.
pub fn last_calls_made() -> [LastCall; CALLS] {
    // SAFETY: one processor; the stubs write them only on the way in.
    let (calls, next) = unsafe { (last_calls, usize::from(next_call) / size_of::<LastCall>()) };
    core::array::from_fn(|age| {
        let index = (next + CALLS - 1 - age) % CALLS;
        calls.get(index).copied().unwrap_or(LastCall::NONE)
    })
}

/// The kernel, for the one entry that is going on.
fn kernel<'a>() -> &'a mut Kernel<Hardware> {
    // SAFETY: set by `run` before user code can enter, from a `&'static mut` that nobody else has; entries do not nest.
    unsafe { &mut *KERNEL.0.get() }
}

/// True: the call is over, and in the caller's context only what a function may change has changed.
#[unsafe(no_mangle)]
extern "C" fn on_call() -> bool {
    measure::begin(None, current());
    if measure::read(current()) {
        return false;
    }
    let is_over = if kernel().machine().disturber().strikes() { disturbed_call() } else { kernel().call() };
    if is_over {
        measure::end();
    }
    is_over
}

/// The context to leave with after any other call.
#[unsafe(no_mangle)]
extern "C" fn leave_call() -> *mut Context {
    leave()
}

#[unsafe(no_mangle)]
extern "C" fn on_trap(vector: u64, error: u64) -> *mut Context {
    measure::begin(Some(vector), current());
    if vector == PAGE_FAULT {
        // By far the most frequent.
        handle(Event::Fault { address: cpu::fault_address(), access: tried(error as u32) });
    } else if let Some(event) = other_trap(vector, error) {
        handle(event);
    }
    leave()
}

/// Tells the library what happened, and disturbs it if that is due.
#[inline(always)]
fn handle(event: Event) {
    if kernel().machine().disturber().strikes() {
        disturbed(event);
    } else {
        kernel().event(event);
    }
}

/// The same when the library is to be disturbed.
#[cold]
#[inline(never)]
fn disturbed(event: Event) {
    disturb::handle(kernel(), event);
}

/// The same of a call. False: what the current thread has may be anything now.
#[cold]
#[inline(never)]
fn disturbed_call() -> bool {
    disturb::handle(kernel(), Event::Call);
    false
}

/// The context to leave the kernel with.
#[inline(always)]
fn leave() -> *mut Context {
    let context = if kernel().goes_on() { current() } else { next(kernel()) };
    measure::end();
    context
}

/// Whom to run; waits until there is somebody.
#[inline(always)]
fn next(kernel: &mut Kernel<Hardware>) -> *mut Context {
    match kernel.current() {
        Some(context) => context.as_ptr(),
        None => next_after_idling(kernel),
    }
}

#[cold]
#[inline(never)]
fn next_after_idling(kernel: &mut Kernel<Hardware>) -> *mut Context {
    loop {
        idle(kernel);
        if let Some(context) = kernel.current() {
            return context.as_ptr();
        }
    }
}

/// Waits for one interrupt; while the kernel has something left to do it takes one only if it is there.
fn idle(kernel: &mut Kernel<Hardware>) {
    measure::end();
    // SAFETY: interrupts are taken only inside, and only noted.
    let vector = unsafe { if kernel.in_arrears() { take_interrupt() } else { wait_for_interrupt() } };
    measure::begin(Some(vector), core::ptr::null());
    if vector == 0 {
        return;
    }
    if let Some(event) = interrupt(kernel, vector.saturating_sub(FIRST_VECTOR) as u8) {
        handle(event);
    }
}

/// What happened, if it was no page fault and is anything to the library.
#[inline(never)]
fn other_trap(vector: u64, error: u64) -> Option<Event> {
    // SAFETY: a trap from user mode: the context is that of the thread that runs, and nobody else uses it now.
    let context = unsafe { &mut *current() };
    match vector.checked_sub(FIRST_VECTOR) {
        Some(line) => interrupt(kernel(), line as u8),
        None => Some(trap(vector, error as u32, context)),
    }
}

fn interrupt(kernel: &mut Kernel<Hardware>, line: u8) -> Option<Event> {
    let event = if line == TICK { Event::Tick } else { Event::Interrupt { line } };
    kernel.machine().lines().take(line).then_some(event)
}

/// Vector of a page fault.
const PAGE_FAULT: u64 = 14;

/// What the processor's exception means to the kernel library; any but a page fault.
fn trap(vector: u64, error: u32, context: &mut Context) -> Event {
    let trap = |code, detail| Event::Trap { code, detail };
    match vector {
        0 => trap(ExceptionCode::Divide, 0),
        1 => {
            let status = cpu::take_debug_status();
            // What was hit is told by this: in the thread's DR6 it would be told again.
            context.debug.dr6 = status & !flob_kernel::WATCHED;
            trap(ExceptionCode::Debug, status as u32)
        }
        3 => {
            context.registers.rip = context.registers.rip.wrapping_sub(1);
            trap(ExceptionCode::Breakpoint, 0)
        }
        6 => trap(ExceptionCode::InvalidOpcode, 0),
        13 => trap(ExceptionCode::GeneralProtection, error),
        16 => trap(ExceptionCode::Floating, 0),
        17 => trap(ExceptionCode::Alignment, 0),
        19 => trap(ExceptionCode::Vector, vector_status(context)),
        2 | 8 | 18 => panic!("{} in user code", panic::exception_name(vector)),
        _ => trap(ExceptionCode::Other, vector as u32),
    }
}

/// What an access wanted, from the error code of its page fault.
fn tried(error: u32) -> Protection {
    const WRITE: u32 = 1 << 1;
    const FETCH: u32 = 1 << 4;
    match () {
        () if error & FETCH != 0 => Protection::EXECUTE,
        () if error & WRITE != 0 => Protection::WRITE,
        () => Protection::READ,
    }
}

/// MXCSR of a FXSAVE image.
fn vector_status(context: &Context) -> u32 {
    const MXCSR: usize = 24;
    context.vectors.get(MXCSR..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// An exception in the kernel itself.
#[unsafe(no_mangle)]
extern "C" fn on_kernel_trap(frame: &panic::KernelFrame) -> ! {
    panic::in_kernel(frame)
}
