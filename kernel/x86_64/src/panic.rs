//! What a defect of the kernel leaves behind: a record on the early console, then the emulator ends with status 255.
//!
//! ```text
//! === kernel panic ===
//! message: what went wrong
//! at: file:line:column
//! thread: its registers, one `name=value` each, four on a line
//! stack: return addresses found on the kernel's stack, newest first (some may be stale)
//! === end of record ===
//! ```

use crate::console::{self, line};
use crate::{cpu, entry};
use core::cell::Cell;
use core::panic::PanicInfo;
use flob_abi::Registers;

/// Most addresses printed.
const STACK_LIMIT: usize = 24;

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

struct Once(Cell<bool>);
// SAFETY: one processor.
unsafe impl Sync for Once {}
static PANICKED: Once = Once(Cell::new(false));

unsafe extern "C" {
    static text_start: u8;
    static text_end: u8;
    static stack_guard: u8;
    static kernel_stack_top: u8;
}

#[panic_handler]
fn on_panic(info: &PanicInfo) -> ! {
    begin();
    line!("message: {}", info.message());
    if let Some(location) = info.location() {
        line!("at: {location}");
    }
    let here = 0_u64;
    end((&raw const here) as u64)
}

/// An exception in the kernel.
pub fn in_kernel(frame: &KernelFrame) -> ! {
    begin();
    line!(
        "message: {} in the kernel, error {:#x}, address {:#x}",
        exception_name(frame.vector),
        frame.error,
        cpu::fault_address()
    );
    line!(
        "at: rip={:#x} cs={:#x} rflags={:#x} rsp={:#x} ss={:#x}",
        frame.rip,
        frame.cs,
        frame.rflags,
        frame.rsp,
        frame.ss
    );
    let names = [
        "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    ];
    for (name, value) in names.iter().zip(frame.general) {
        line!("  {name}={value:#x}");
    }
    end(frame.rsp)
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

fn begin() {
    if PANICKED.0.replace(true) {
        line!("message: a panic while the record was being written");
        finish();
    }
    line!("=== kernel panic ===");
}

fn end(stack: u64) -> ! {
    let context = entry::current();
    // SAFETY: the library's pool is never given back; nothing else runs any more.
    match unsafe { context.as_ref() } {
        Some(context) => registers(&context.registers),
        None => line!("thread: none yet"),
    }
    return_addresses(stack);
    line!("=== end of record ===");
    finish()
}

fn finish() -> ! {
    console::exit(console::PANIC_STATUS);
    cpu::halt()
}

fn registers(r: &Registers) {
    line!("thread: rip={:#x} rsp={:#x} rflags={:#x} rbp={:#x}", r.rip, r.rsp, r.rflags, r.rbp);
    line!("  rax={:#x} rbx={:#x} rcx={:#x} rdx={:#x}", r.rax, r.rbx, r.rcx, r.rdx);
    line!("  rsi={:#x} rdi={:#x} r8={:#x} r9={:#x}", r.rsi, r.rdi, r.r8, r.r9);
    line!("  r10={:#x} r11={:#x} r12={:#x} r13={:#x}", r.r10, r.r11, r.r12, r.r13);
    line!("  r14={:#x} r15={:#x} fs_base={:#x} gs_base={:#x}", r.r14, r.r15, r.fs_base, r.gs_base);
}

/// Words on the kernel's stack, from here upwards, that point into the kernel's code.
fn return_addresses(from: u64) {
    let bottom = (&raw const stack_guard) as u64 + flob_abi::PAGE_SIZE;
    let top = (&raw const kernel_stack_top) as u64;
    let code = (&raw const text_start) as u64..(&raw const text_end) as u64;
    if (bottom - flob_abi::PAGE_SIZE..bottom + 256).contains(&from) {
        return line!("stack: overflowed at {from:#x}");
    }
    if !(bottom..top).contains(&from) {
        return line!("stack: {from:#x} is not in the kernel's stack");
    }
    line!("stack:");
    let words = (from.next_multiple_of(8)..top).step_by(8);
    // SAFETY: aligned words inside the kernel's stack, which is mapped.
    let words = words.map(|address| unsafe {
        core::ptr::with_exposed_provenance::<u64>(address as usize).read_volatile()
    });
    for word in words.filter(|word| code.contains(word)).take(STACK_LIMIT) {
        line!("  {word:#x}");
    }
}
