//! What the compiler expects from a libc and an unwinder, which the kernel has not.

use core::arch::asm;

/// Copies; the ranges do not overlap.
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, size: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { forwards(to, from, size) };
    to
}

/// Copies from the first byte to the last: words first, then the rest.
///
/// # Safety
/// As `memcpy`, but that the target may begin before the source and reach into it.
#[inline(always)]
unsafe fn forwards(to: *mut u8, from: *const u8, size: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!("rep movsq", "mov ecx, {rest:e}", "rep movsb", rest = in(reg) size & 7,
            inout("rcx") size / 8 => _, inout("rdi") to => _, inout("rsi") from => _,
            options(nostack, preserves_flags));
    }
}

/// Copies; the ranges may overlap.
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, size: usize) -> *mut u8 {
    if (to as usize).wrapping_sub(from as usize) >= size {
        // SAFETY: forwards is right when the target does not begin inside the source.
        unsafe { forwards(to, from, size) };
        return to;
    }
    // SAFETY: backwards, from the last byte; the direction flag is put back.
    unsafe {
        asm!("std", "rep movsb", "cld", inout("rcx") size => _, inout("rdi") to.wrapping_add(size).wrapping_sub(1) => _,
            inout("rsi") from.wrapping_add(size).wrapping_sub(1) => _, options(nostack));
    }
    to
}

/// Fills.
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, size: usize) -> *mut u8 {
    let word = u64::from(byte as u8) * 0x0101_0101_0101_0101;
    // SAFETY: the caller's promise; words first, then the rest.
    unsafe {
        asm!("rep stosq", "mov ecx, {rest:e}", "rep stosb", rest = in(reg) size & 7,
            inout("rcx") size / 8 => _, inout("rdi") to => _, in("rax") word, options(nostack, preserves_flags));
    }
    to
}

/// Compares.
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, size: usize) -> i32 {
    let mut index = 0;
    while index < size {
        // SAFETY: both ranges hold `size` bytes.
        let (a, b) = unsafe { (left.add(index).read(), right.add(index).read()) };
        if a != b {
            return i32::from(a) - i32::from(b);
        }
        index += 1;
    }
    0
}

/// Compares for equality.
///
/// # Safety
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, size: usize) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { memcmp(left, right, size) }
}

/// Named by `core`'s tables; never called, nothing unwinds.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// Named by `core`'s landing pads; never called, nothing unwinds.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    crate::cpu::halt()
}
