//! All that the kernel knows of hardware. The real machine is in `kernel/x86_64`; the simulated one, which panics on
//! every value that real hardware would fault on in ring 0, is in [`crate::simulated`].

use flob_abi::{DebugRegisters, PortRange, Protection, Registers, VECTORS_SIZE};

/// Number of a physical page frame: physical address divided by the page size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frame(pub u32);

/// Number of a virtual page: user address divided by the page size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Page(pub u64);

/// Names the translations of one space, and never those of another. The lower half is a small number, which is used again after
/// [`Machine::forget_space`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpaceKey(pub u64);

impl SpaceKey {
    /// The small number.
    pub const fn index(self) -> usize {
        self.0 as u32 as usize
    }
}

/// How a page is cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// Ordinary memory.
    WriteBack,
    /// A device window.
    Uncached,
}

/// What user code runs with: saved by the entry stub, loaded by the exit stub. Lives in the thread's record.
#[derive(Clone, Debug)]
#[repr(C, align(16))]
pub struct Context {
    /// FXSAVE image; first, because it must be aligned.
    pub vectors: [u8; VECTORS_SIZE],
    /// General registers, RIP, RFLAGS and bases.
    pub registers: Registers,
    /// Debug registers.
    pub debug: DebugRegisters,
    /// What of the bases and of armed breakpoints is not 0, as most are: see [`Self::extras_now`].
    pub extras: u64,
}

/// FCW and MXCSR as a processor has them after reset: all exceptions masked.
const INITIAL_FCW: [u8; 2] = 0x037f_u16.to_le_bytes();
const INITIAL_MXCSR: [u8; 4] = 0x1f80_u32.to_le_bytes();
/// RFLAGS with only what is always set: bit 1 and IF.
pub(crate) const INITIAL_RFLAGS: u64 = 0x202;
/// The bits of DR7 that arm breakpoints.
const ARMED: u64 = 0xff;

impl Context {
    /// What a thread has that was never set.
    pub fn initial() -> Self {
        let mut vectors = [0; VECTORS_SIZE];
        vectors[..2].copy_from_slice(&INITIAL_FCW);
        vectors[24..28].copy_from_slice(&INITIAL_MXCSR);
        let registers = Registers { rflags: INITIAL_RFLAGS, ..Registers::default() };
        let debug = DebugRegisters { dr6: 0xffff_0ff0, dr7: 0x400, ..DebugRegisters::default() };
        Self { vectors, registers, debug, extras: 0 }
    }

    /// 0 if there is nothing to load for it but what the exit stub loads.
    pub fn extras_now(&self) -> u64 {
        self.registers.fs_base | self.registers.gs_base | self.debug.dr7 & ARMED
    }

    /// Whether any of its breakpoints is armed.
    #[inline(always)]
    pub(crate) fn is_armed(&self) -> bool {
        self.debug.dr7 & ARMED != 0
    }
}

/// What the current space may do with devices, for the exit stub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grants<'a> {
    /// I/O ports that user code may use directly.
    pub ports: &'a [PortRange; flob_abi::PORT_RANGES],
    /// `rdtsc` faults.
    pub trap_time: bool,
}

/// Memory, translations, time and interrupt lines.
///
/// Translations are a cache: the machine may drop any of them at any time (its pool of page tables is bounded), but
/// never between `install` and the next return to user mode those of the pages that the current instruction needs.
pub trait Machine {
    /// One frame of ordinary memory to read, or `None` where there is none.
    fn frame(&self, frame: Frame) -> Option<&[u8; 4096]>;

    /// One frame of ordinary memory to write.
    fn frame_mut(&mut self, frame: Frame) -> Option<&mut [u8; 4096]>;

    /// Copies `len` bytes; the ranges lie within their frames, and may overlap if that is one.
    fn copy(&mut self, from: (Frame, usize), to: (Frame, usize), len: usize);

    /// The translation at hand for this page, if any, and the access it allows.
    fn translation(&self, space: SpaceKey, page: Page) -> Option<(Frame, Protection)>;

    /// The same if it can be told at once: for the usual way, which asks the other one when it hears nothing.
    #[inline(always)]
    fn recent_translation(&self, space: SpaceKey, page: Page) -> Option<(Frame, Protection)> {
        self.translation(space, page)
    }

    /// Enters a translation, replacing one for the same page.
    fn install(&mut self, space: SpaceKey, page: Page, frame: Frame, access: Protection, caching: Caching);

    /// Drops the translations of `count` pages from `first` on.
    fn remove(&mut self, space: SpaceKey, first: Page, count: u64);

    /// Drops all translations of one space.
    fn forget_space(&mut self, space: SpaceKey);

    /// Drops all translations of all spaces.
    fn forget_all(&mut self);

    /// Differs from one boot to the next, as far as can be had.
    fn run_number(&self) -> u32;

    /// Nanoseconds since boot; never goes back.
    fn now(&self) -> u64;

    /// Lets an interrupt line fire once.
    fn unmask_interrupt(&mut self, line: u8);

    /// Keeps an interrupt line from firing.
    fn mask_interrupt(&mut self, line: u8);

    /// Writes to the early console.
    fn log(&mut self, text: &[u8]);

    /// Ends the machine; returns only where that cannot be done.
    fn exit(&mut self, status: u8);

    /// Puts a space's translations and grants into use.
    fn enter_space(&mut self, space: SpaceKey, grants: Grants<'_>);

    /// Loads what a thread of that space runs with, but for what the exit stub loads. The simulated machine panics on a context
    /// that real hardware would not accept.
    fn enter_thread(&mut self, context: &mut Context);
}
