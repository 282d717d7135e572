//! Privileged instructions, one thin function each.

use core::arch::asm;

use x86_64::VirtAddr;
use x86_64::instructions::{hlt, interrupts, port::Port, tlb};
use x86_64::registers::control::{Cr2, Cr4, Cr4Flags};
use x86_64::registers::model_specific::Msr;

/// Model-specific registers in use.
pub mod msr {
    /// Selectors for `syscall` and `sysret`.
    pub const STAR: u32 = 0xc000_0081;
    /// Where `syscall` goes.
    pub const LSTAR: u32 = 0xc000_0082;
    /// Flags that `syscall` clears.
    pub const SFMASK: u32 = 0xc000_0084;
    /// Base of FS.
    pub const FS_BASE: u32 = 0xc000_0100;
    /// Base of GS.
    pub const GS_BASE: u32 = 0xc000_0101;
}

/// CR4: `rdtsc` is privileged.
pub const CR4_TIME_STAMP_DISABLE: u64 = Cr4Flags::TIMESTAMP_DISABLE.bits();
/// CR4: user code cannot read the addresses of the descriptor tables.
const CR4_USER_INSTRUCTION_PREVENTION: u64 = Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION.bits();
/// CR4: the kernel cannot execute user pages.
const CR4_SUPERVISOR_EXECUTION_PREVENTION: u64 = Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION.bits();

/// Turns on what this processor has to protect the kernel from its own mistakes.
pub fn harden() {
    if core::arch::x86_64::__cpuid(0).eax < 7 {
        return;
    }
    let features = core::arch::x86_64::__cpuid_count(7, 0);
    let mut control = control_4();
    if features.ebx & 1 << 7 != 0 {
        control |= CR4_SUPERVISOR_EXECUTION_PREVENTION;
    }
    if features.ecx & 1 << 2 != 0 {
        control |= CR4_USER_INSTRUCTION_PREVENTION;
    }
    // SAFETY: the processor has these bits, and the kernel does neither.
    unsafe { set_control_4(control) };
}

/// Reads a byte from a port.
pub fn in8(port: u16) -> u8 {
    // SAFETY: port reads touch no memory; the callers name ports of devices they drive.
    unsafe { Port::new(port).read() }
}

/// Writes a byte to a port.
pub fn out8(port: u16, value: u8) {
    // SAFETY: none of the devices the kernel drives (interrupt controller, timer, debug ports) writes to memory.
    unsafe { Port::new(port).write(value) }
}

/// Writes bytes to a port, one after the other.
pub fn out8_all(port: u16, bytes: &[u8]) {
    // SAFETY: reads exactly the slice; see `out8`.
    unsafe {
        asm!("rep outsb", in("dx") port, inout("rsi") bytes.as_ptr() => _, inout("rcx") bytes.len() => _,
            options(readonly, nostack, preserves_flags));
    }
}

/// Writes a model-specific register.
///
/// # Safety
/// The value must be one the processor takes and keep the kernel's own assumptions (entry points, selectors) true.
pub unsafe fn write_msr(register: u32, value: u64) {
    // SAFETY: the caller's promise.
    unsafe { Msr::new(register).write(value) };
}

/// The time-stamp counter.
pub fn time_stamp() -> u64 {
    // SAFETY: ring 0 may read it always.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// The address of the last page fault.
pub fn fault_address() -> u64 {
    Cr2::read_raw()
}

/// Uses another root table; drops all cached translations.
///
/// # Safety
/// The table must map the kernel's half as this one does.
pub unsafe fn load_root_table(physical: u64) {
    // SAFETY: the caller's promise. Without `nomem`: changes to tables come before.
    unsafe { asm!("mov cr3, {}", in(reg) physical, options(nostack, preserves_flags)) };
}

/// Drops the cached translation of one page.
pub fn forget_page(address: u64) {
    tlb::flush(VirtAddr::new_truncate(address));
}

/// Control register 4.
pub fn control_4() -> u64 {
    Cr4::read_raw()
}

/// Sets control register 4.
///
/// # Safety
/// Only bits that do not change what the kernel's own code means.
pub unsafe fn set_control_4(value: u64) {
    // SAFETY: the caller's promise.
    unsafe { Cr4::write_raw(value) };
}

/// DR6: what debug exception there was. Cleared by this.
pub fn take_debug_status() -> u64 {
    let value;
    // SAFETY: DR6 only reports.
    unsafe {
        asm!("mov {0}, dr6", "mov dr6, {1}", out(reg) value, in(reg) 0xffff_0ff0_u64,
            options(nomem, nostack, preserves_flags));
    }
    value
}

/// Loads the breakpoint registers.
///
/// # Safety
/// Only user addresses, and never GD, so that the kernel's own code never meets one.
pub unsafe fn load_breakpoints(address: &[u64; 4], control: u64) {
    let [first, second, third, fourth] = *address;
    // SAFETY: the caller's promise. Disarmed while the addresses change.
    unsafe {
        asm!("mov dr7, {zero}", "mov dr0, {0}", "mov dr1, {1}", "mov dr2, {2}", "mov dr3, {3}", "mov dr7, {4}",
            in(reg) first, in(reg) second, in(reg) third, in(reg) fourth, in(reg) control, zero = in(reg) 0x400_u64,
            options(nomem, nostack, preserves_flags));
    }
}

/// All data segment registers in one: 0 if none holds anything. User code may load one, with no effect but that FS and GS lose
/// their bases.
#[inline(always)]
pub fn selectors() -> u64 {
    let (first, second): (u64, u64);
    // SAFETY: reading selectors has no effect.
    unsafe {
        asm!("mov {0:e}, ds", "mov {1:e}, es", "or {0}, {1}", "mov {1:e}, fs", "or {0}, {1}", "mov {1:e}, gs",
            out(reg) first, out(reg) second, options(nomem, nostack));
    }
    first | second
}

/// Empties the data segment registers; FS and GS lose their bases.
pub fn clear_selectors() {
    // SAFETY: the kernel uses none of them.
    unsafe {
        asm!("mov ds, {0:e}", "mov es, {0:e}", "mov fs, {0:e}", "mov gs, {0:e}", in(reg) 0,
            options(nomem, nostack, preserves_flags));
    }
}

/// Stops for good.
pub fn halt() -> ! {
    interrupts::disable();
    loop {
        hlt();
    }
}
