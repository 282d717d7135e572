//! From the boot stub to the first program.

use crate::console::line;
use crate::descriptors::Descriptors;
use crate::hardware::Hardware;
use crate::load::{self, Loaded};
use crate::options::{self, Options};
use crate::tables::Tables;
use crate::{cpu, entry, heap, kernel_space, layout, physical, start_info};
use alloc::boxed::Box;
use core::arch::global_asm;
use core::ops::Range;
use flob_kernel::Kernel;

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
