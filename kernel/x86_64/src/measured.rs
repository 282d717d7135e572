//! The kernel that counts what it does, for `./flob bench kernel`: the same but for [`MEASURED`]. See `main.rs`.
#![no_std]
#![no_main]

extern crate alloc;

mod boot;
mod clock;
mod console;
mod cpu;
mod defect;
mod descriptors;
mod disturb;
mod elf;
mod entry;
mod hardware;
mod heap;
mod interrupts;
mod intrinsics;
mod kernel_space;
mod layout;
mod load;
mod lookaside;
mod measure;
mod options;
mod panic;
mod panic_record;
mod physical;
mod start_info;
mod table;
mod tables;

/// Whether this kernel counts what it does: see [`measure`].
const MEASURED: bool = true;
