//! What a defect of the kernel leaves behind: a record in memory ([`crate::panic_record`]), the same record on the early
//! console, then the emulator ends with status 255. Format and layout: `docs/kernel/panic-record.md`.

use core::cell::UnsafeCell;
use core::panic::PanicInfo;

use flob_abi::{Call, Registers};

use crate::console::{self, line};
use crate::layout::KERNEL_BASE;
use crate::panic_record::{LastCall, NO_VECTOR, Record, STACK, VERSION};
use crate::{cpu, entry};

/// What `entry.s` pushes when the kernel itself traps.
#[repr(C)]
pub struct KernelFrame {
    /// rax, rbx, rcx, rdx, rsi, rdi, rbp, r8 to r15.
    general: [u64; 15],
    vector: u64,
    error: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

struct Global(UnsafeCell<Record>);
// SAFETY: one processor, and only `take` gives it out, once.
unsafe impl Sync for Global {}
#[unsafe(export_name = "panic_record")]
static RECORD: Global = Global(UnsafeCell::new(Record::EMPTY));

struct Once(core::cell::Cell<bool>);
// SAFETY: one processor.
unsafe impl Sync for Once {}
static PANICKED: Once = Once(core::cell::Cell::new(false));

unsafe extern "C" {
    static text_start: u8;
    static text_end: u8;
    static stack_guard: u8;
    static kernel_stack_top: u8;
}

#[panic_handler]
fn on_panic(info: &PanicInfo) -> ! {
    let record = take();
    record.begin(NO_VECTOR);
    record.message.set(format_args!("{}", info.message()));
    if let Some(location) = info.location() {
        record.location.set(format_args!("{location}"));
    }
    let here = 0_u64;
    record.kernel.rsp = (&raw const here) as u64;
    finish(record)
}

/// An exception in the kernel.
pub fn in_kernel(frame: &KernelFrame) -> ! {
    let record = take();
    record.begin(frame.vector);
    record.error = frame.error;
    record.address = cpu::fault_address();
    record.message.set(format_args!("{} in the kernel", exception_name(frame.vector)));
    record.location.set(format_args!("{:#x}", frame.rip));
    record.kernel = frame.registers();
    finish(record)
}

impl KernelFrame {
    fn registers(&self) -> Registers {
        let [rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15] = self.general;
        let Self { rip, rflags, rsp, .. } = *self;
        // In the order of the struct.
        zerocopy::transmute!([
            rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags, 0, 0
        ])
    }
}

/// What a vector below 32 stands for.
pub fn exception_name(vector: u64) -> &'static str {
    match vector {
        0 => "divide error",
        1 => "debug exception",
        2 => "non-maskable interrupt",
        3 => "breakpoint",
        6 => "invalid instruction",
        8 => "double fault",
        13 => "general protection fault",
        14 => "page fault",
        18 => "machine check",
        _ => "exception",
    }
}

/// The record, for the first who asks. A panic while it is written or printed ends the machine at once.
fn take() -> &'static mut Record {
    if PANICKED.0.replace(true) {
        line!("message: a panic while the record was being written");
        stop();
    }
    // SAFETY: given out once, and nothing else refers to it.
    unsafe { &mut *RECORD.0.get() }
}

/// Adds what is the same for all panics, prints all of it, and stops.
fn finish(record: &mut Record) -> ! {
    let context = entry::current();
    record.thread_at = context as u64;
    // SAFETY: the library's pool is never given back; nothing else runs any more.
    if let Some(context) = unsafe { context.as_ref() } {
        record.thread = context.registers;
    }
    record.calls = entry::last_calls_made();
    let stack = stack(record.kernel.rsp, &mut record.stack);
    print(record, stack);
    stop()
}

fn stop() -> ! {
    console::exit(console::PANIC_STATUS);
    cpu::halt()
}

fn print(record: &Record, stack: &str) {
    line!("=== kernel panic ===");
    let at = core::ptr::from_ref(record) as u64 - KERNEL_BASE;
    line!("record: version {VERSION}, {} bytes at physical {at:#x}", Record::SIZE);
    text("message: ", record.message.as_bytes());
    text("at: ", record.location.as_bytes());
    if record.vector == NO_VECTOR {
        line!("kernel: rsp={:#x}", record.kernel.rsp);
    } else {
        line!("exception: vector={} error={:#x} address={:#x}", record.vector, record.error, record.address);
        registers("kernel", &record.kernel);
    }
    match record.thread_at {
        0 => line!("thread: none yet"),
        at => {
            line!("context: {at:#x}");
            registers("thread", &record.thread);
        }
    }
    line!("calls:");
    record.calls.iter().filter(|call| **call != LastCall::NONE).for_each(print_call);
    line!("stack: {stack}");
    record.stack.iter().filter(|address| **address != 0).for_each(|address| line!("  {address:#x}"));
    line!("=== end of record ===");
}

fn text(name: &str, text: &[u8]) {
    console::write(name.as_bytes());
    console::write(text);
    console::write(b"\n");
}

fn registers(whose: &str, r: &Registers) {
    line!("{whose}: rip={:#x} rsp={:#x} rflags={:#x} rbp={:#x}", r.rip, r.rsp, r.rflags, r.rbp);
    line!("  rax={:#x} rbx={:#x} rcx={:#x} rdx={:#x}", r.rax, r.rbx, r.rcx, r.rdx);
    line!("  rsi={:#x} rdi={:#x} r8={:#x} r9={:#x}", r.rsi, r.rdi, r.r8, r.r9);
    line!("  r10={:#x} r11={:#x} r12={:#x} r13={:#x}", r.r10, r.r11, r.r12, r.r13);
    line!("  r14={:#x} r15={:#x} fs_base={:#x} gs_base={:#x}", r.r14, r.r15, r.fs_base, r.gs_base);
}

fn print_call(call: &LastCall) {
    let LastCall { number, rip, argument, thread } = *call;
    let name = Call::from_number(number).map_or("", Call::name);
    line!("  number={number:#x} rip={rip:#x} rdi={argument:#x} context={thread:#x} {name}");
}

/// Collects the words on the kernel's stack, from here upwards, that point into the kernel's code, and says what state it is in.
fn stack(from: u64, addresses: &mut [u64; STACK]) -> &'static str {
    let bottom = (&raw const stack_guard) as u64 + flob_abi::PAGE_SIZE;
    let top = (&raw const kernel_stack_top) as u64;
    let code = (&raw const text_start) as u64..(&raw const text_end) as u64;
    if (bottom - flob_abi::PAGE_SIZE..bottom + 256).contains(&from) {
        return "overflowed";
    }
    if !(bottom..top).contains(&from) {
        return "not in the kernel's stack";
    }
    let words = (from.next_multiple_of(8)..top).step_by(8);
    // SAFETY: aligned words inside the kernel's stack, which is mapped.
    let words = words.map(|address| unsafe {
        core::ptr::with_exposed_provenance::<u64>(address as usize).read_volatile()
    });
    for (slot, word) in addresses.iter_mut().zip(words.filter(|word| code.contains(word))) {
        *slot = word;
    }
    "return addresses"
}
