//! One kernel call, timed from the instruction itself to the next of user code, with every register under control. Under
//! the emulator's `-icount shift=0` the time-stamp counter counts instructions.

use core::arch::naked_asm;
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use flob_runtime::abi::Call;

use crate::counters::Counters;

/// The registers of a call, and the time-stamp counter before and after it (its lower half).
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Block {
    pub rax: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub r10: u64,
    pub r8: u64,
    pub r9: u64,
    pub rbx: u64,
    pub r12: u64,
    pub r13: u64,
    pub rbp: u64,
    pub begin: u32,
    pub end: u32,
}

/// Loads all registers from a [`Block`], runs one instruction between two readings of the counter, stores all registers.
macro_rules! stub {
    ($name:ident, $instruction:literal) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(block: *mut Block) {
            naked_asm!(
                "push rbx",
                "push rbp",
                "push r12",
                "push r13",
                "push r14",
                "push r15",
                "push rdi",
                "rdtsc",
                "mov [rdi + 88], eax",
                "mov rax, [rdi]",
                "mov rsi, [rdi + 16]",
                "mov rdx, [rdi + 24]",
                "mov r10, [rdi + 32]",
                "mov r8, [rdi + 40]",
                "mov r9, [rdi + 48]",
                "mov rbx, [rdi + 56]",
                "mov r12, [rdi + 64]",
                "mov r13, [rdi + 72]",
                "mov rbp, [rdi + 80]",
                "mov rdi, [rdi + 8]",
                "xor r14d, r14d",
                "xor r15d, r15d",
                $instruction,
                "mov rcx, rax",
                "mov r11, rdx",
                "rdtsc",
                "mov r14, [rsp]",
                "mov [r14 + 92], eax",
                "mov [r14], rcx",
                "mov [r14 + 8], rdi",
                "mov [r14 + 16], rsi",
                "mov [r14 + 24], r11",
                "mov [r14 + 32], r10",
                "mov [r14 + 40], r8",
                "mov [r14 + 48], r9",
                "mov [r14 + 56], rbx",
                "mov [r14 + 64], r12",
                "mov [r14 + 72], r13",
                "mov [r14 + 80], rbp",
                "pop rdi",
                "pop r15",
                "pop r14",
                "pop r13",
                "pop r12",
                "pop rbp",
                "pop rbx",
                "ret",
            )
        }
    };
}

stub!(call_stub, "syscall");
stub!(empty_stub, "nop");

/// What the stub itself takes, beside its one instruction.
static STUB: AtomicU32 = AtomicU32::new(0);

/// Measures the stub itself. Once, before anything else.
pub fn calibrate() {
    let mut block = Block::default();
    // SAFETY: the stub touches the block and its own stack only.
    unsafe { empty_stub(&raw mut block) };
    STUB.store(block.end.wrapping_sub(block.begin).wrapping_sub(1), Ordering::Relaxed);
}

/// Instructions from one call's to another's other side (or the same one's): the calls themselves and all the kernel does.
pub fn between(begin: u32, end: u32) -> u64 {
    u64::from(end.wrapping_sub(begin).wrapping_sub(STUB.load(Ordering::Relaxed)))
}

impl Block {
    /// A call with up to four arguments.
    pub fn call(call: Call, arguments: [u64; 4]) -> Self {
        Self::numbered(u64::from(call as u32), arguments)
    }

    /// The same by number.
    pub fn numbered(rax: u64, [rdi, rsi, rdx, r10]: [u64; 4]) -> Self {
        Self { rax, rdi, rsi, rdx, r10, ..Self::default() }
    }

    /// Runs it; the registers are left as the kernel has left them.
    pub fn run(&mut self) -> &Self {
        // SAFETY: the kernel keeps what the C interface wants kept; what it writes to are buffers of the bench that
        // nothing else refers to while the call runs.
        unsafe { call_stub(core::ptr::from_mut(self)) };
        self
    }

    /// Runs it as what the row is about: a measuring kernel's counts are of this.
    pub fn run_counted(&mut self) -> &Self {
        let before = Counters::read();
        self.run();
        Counters::read().since(before).add();
        self
    }

    /// Runs it as what the row is about; how many instructions that took.
    pub fn time(mut self) -> u64 {
        self.run_counted();
        between(self.begin, self.end)
    }
}

/// A byte that is there.
static PRESENT: AtomicU8 = AtomicU8::new(0);

/// How many instructions a write to an address takes, the faults that it causes included.
pub fn touch(address: u64) -> u64 {
    let before = Counters::read();
    let time = touched(address);
    Counters::read().since(before).add();
    time - touched(core::ptr::from_ref(&PRESENT).expose_provenance() as u64) + 1
}

/// By itself, so that a profile finds it.
#[inline(never)]
fn touched(address: u64) -> u64 {
    let time: u32;
    // SAFETY: writes to a byte that is the bench's, and holds nothing.
    unsafe {
        core::arch::asm!("rdtsc", "mov {begin:e}, eax", "mov byte ptr [{address}], 1", "rdtsc", "sub eax, {begin:e}",
            address = in(reg) address, begin = out(reg) _, out("eax") time, out("edx") _, options(nostack));
    }
    u64::from(time)
}
