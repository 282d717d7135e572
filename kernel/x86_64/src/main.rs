//! The bootable kernel for x86-64: boot, descriptor tables, traps, page tables, vector state, timer, early console.
//! What a kernel *does* is in the library `flob-kernel`; this crate gives it a machine, and is the only one of the
//! two with unsafe code.
#![no_std]
#![no_main]

extern crate alloc;

mod amnesia;
mod clock;
mod console;
mod cpu;
mod defect;
mod descriptors;
mod elf;
mod entry;
mod hardware;
mod heap;
mod interrupts;
mod intrinsics;
mod kernel_space;
mod layout;
mod load;
mod options;
mod panic;
mod panic_record;
mod physical;
mod start_info;
mod table;
mod tables;

use alloc::boxed::Box;
use console::line;
use core::arch::global_asm;
use core::ops::Range;
use descriptors::Descriptors;
use flob_kernel::Kernel;
use hardware::Hardware;
use load::Loaded;
use options::Options;
use tables::Tables;

global_asm!(include_str!("start.s"), base = const layout::KERNEL_BASE, options(att_syntax));

/// Called by `start.s`, once, on the boot tables and with interrupts off.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(start_info: u64) -> ! {
    match boot(start_info) {
        Ok((loaded, memory_end, options)) => run(loaded, memory_end, options),
        Err(message) => panic!("cannot boot: {message}"),
    }
}

/// Everything that needs no heap; then there is one. Also says where memory ends.
fn boot(start_info: u64) -> Result<(Loaded, u64, Options), &'static str> {
    let info = start_info::read(start_info)?;
    let options = options::read(info.command_line)?;
    let loaded = load::load(&info)?;
    let Range { start, end } = loaded.heap;
    let heap = physical::range(start, end - start).ok_or("the kernel's heap lies too high")?;
    // SAFETY: once; `load` has cleared this range and left it to nobody else.
    unsafe { heap::start(heap) };
    Ok((loaded, info.memory_end, options))
}

fn run(loaded: Loaded, memory_end: u64, options: Options) -> ! {
    cpu::harden();
    let programs = loaded.window.start.0..loaded.window.end.0;
    let frames = programs.len();
    let root = kernel_space::root_table(memory_end);
    // SAFETY: the new root table maps the image and the direct map where they are.
    let tables = unsafe { Tables::new(frames, &root) };
    let hardware = Hardware::new(programs, tables, Descriptors::start(), options);
    let kernel = Box::leak(Box::new(Kernel::new(hardware, loaded.window)));
    kernel.start(loaded.boot);
    line!("flob: {} MiB for programs, {} KiB of the kernel's heap free", frames / 256, heap::left() / 1024);
    entry::run(kernel)
}
