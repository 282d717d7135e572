//! A machine for tests, on the host: frames, a small cache of translations, virtual time, interrupt masks, a log.
//! [`Machine::enter_thread`] panics on every value that real hardware would fault on in ring 0, which an emulator may
//! let pass.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use std::collections::{BTreeSet, VecDeque};

use flob_abi::memory::is_canonical;
use flob_abi::{PAGE_SIZE, Protection};

use crate::machine::{Caching, Context, Frame, Grants, Machine, Page, SpaceKey};

/// Translations that the cache holds before the oldest makes room.
const TRANSLATIONS: usize = 48;
/// RFLAGS bits that a context must not have: IOPL, NT, VM, VIF, VIP.
const FORBIDDEN_RFLAGS: u64 = 0x3000 | 0x4000 | 0x2_0000 | 0x8_0000 | 0x10_0000;
/// RFLAGS bits that a context must have: the one that is always set, and IF.
const NEEDED_RFLAGS: u64 = 0x202;
/// DR6 and DR7 as a processor takes them: upper halves and reserved bits clear, no GD.
const DR6_ALLOWED: u64 = 0xffff_eff0 | 0xf;
const DR7_ALLOWED: u64 = 0xffff_07ff;
/// Where MXCSR is in the FXSAVE image.
const MXCSR: core::ops::Range<usize> = 24..28;

/// One entry of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Translation {
    space: SpaceKey,
    page: Page,
    frame: Frame,
    access: Protection,
}

/// The machine. Copies share frames until one of them is written.
#[derive(Clone, Debug)]
pub struct Simulated {
    memory: Vec<Arc<[u8; PAGE_SIZE as usize]>>,
    translations: VecDeque<Translation>,
    now: u64,
    unmasked: BTreeSet<u8>,
    /// Which run of the machine this is.
    pub run: u32,
    /// What was written to the early console.
    pub log: Vec<u8>,
    /// The status with which the machine was ended.
    pub ended: Option<u8>,
    /// The space that user code runs in, and whether the time-stamp counter traps.
    pub running: Option<(SpaceKey, bool)>,
}

impl Simulated {
    /// A machine with this many frames, all zero.
    pub fn new(frames: u32) -> Self {
        let zeros = Arc::new([0; PAGE_SIZE as usize]);
        Self {
            memory: vec![zeros; frames as usize],
            translations: VecDeque::new(),
            now: 0,
            unmasked: BTreeSet::new(),
            run: 1,
            log: Vec::new(),
            ended: None,
            running: None,
        }
    }

    /// Takes over the memory and the time of another machine, and nothing that is derived.
    pub fn adopt_memory(&mut self, other: &Self) {
        self.memory.clone_from(&other.memory);
        self.now = other.now;
    }

    /// Lets time pass, in nanoseconds.
    pub fn pass(&mut self, nanoseconds: u64) {
        self.now += nanoseconds;
    }

    /// Whether a line may fire. One that fires is masked.
    pub fn fire(&mut self, line: u8) -> bool {
        self.unmasked.remove(&line)
    }

    /// Reads a byte as user code does: `None` is a page fault.
    pub fn user_byte(&self, space: SpaceKey, address: u64) -> Option<u8> {
        let (frame, access) = self.translation(space, Page(address / PAGE_SIZE))?;
        let memory = self.frame(frame).filter(|_| access.allows(Protection::READ))?;
        memory.get((address % PAGE_SIZE) as usize).copied()
    }

    /// Writes a byte as user code does: `None` is a page fault.
    pub fn set_user_byte(&mut self, space: SpaceKey, address: u64, value: u8) -> Option<()> {
        let (frame, access) = self.translation(space, Page(address / PAGE_SIZE))?;
        let memory = self.frame_mut(frame).filter(|_| access.allows(Protection::WRITE))?;
        *memory.get_mut((address % PAGE_SIZE) as usize)? = value;
        Some(())
    }
}

impl Machine for Simulated {
    fn frame(&self, frame: Frame) -> Option<&[u8; 4096]> {
        self.memory.get(frame.0 as usize).map(Arc::as_ref)
    }

    fn frame_mut(&mut self, frame: Frame) -> Option<&mut [u8; 4096]> {
        self.memory.get_mut(frame.0 as usize).map(Arc::make_mut)
    }

    fn copy(&mut self, from: (Frame, usize), to: (Frame, usize), len: usize) {
        let bytes = self.memory[from.0.0 as usize][from.1..from.1 + len].to_vec();
        Arc::make_mut(&mut self.memory[to.0.0 as usize])[to.1..to.1 + len].copy_from_slice(&bytes);
    }

    fn translation(&self, space: SpaceKey, page: Page) -> Option<(Frame, Protection)> {
        let fits = |entry: &&Translation| entry.space == space && entry.page == page;
        self.translations.iter().find(fits).map(|entry| (entry.frame, entry.access))
    }

    fn install(&mut self, space: SpaceKey, page: Page, frame: Frame, access: Protection, _: Caching) {
        self.remove(space, page, 1);
        if self.translations.len() == TRANSLATIONS {
            self.translations.pop_front();
        }
        self.translations.push_back(Translation { space, page, frame, access });
    }

    fn remove(&mut self, space: SpaceKey, first: Page, count: u64) {
        let inside = |page: Page| page.0.checked_sub(first.0).is_some_and(|distance| distance < count);
        self.translations.retain(|entry| entry.space != space || !inside(entry.page));
    }

    fn forget_space(&mut self, space: SpaceKey) {
        self.translations.retain(|entry| entry.space != space);
    }

    fn forget_all(&mut self) {
        self.translations.clear();
    }

    fn run_number(&self) -> u32 {
        self.run
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn unmask_interrupt(&mut self, line: u8) {
        self.unmasked.insert(line);
    }

    fn mask_interrupt(&mut self, line: u8) {
        self.unmasked.remove(&line);
    }

    fn log(&mut self, text: &[u8]) {
        self.log.extend_from_slice(text);
    }

    fn exit(&mut self, status: u8) {
        self.ended = Some(status);
    }

    fn enter_space(&mut self, space: SpaceKey, grants: Grants<'_>) {
        self.running = Some((space, grants.trap_time));
    }

    fn enter_thread(&mut self, context: &mut Context) {
        self.check_context(context);
    }
}

impl Simulated {
    /// Panics on what real hardware would not accept.
    pub fn check_context(&self, context: &Context) {
        let registers = &context.registers;
        for (name, value) in [("RIP", registers.rip), ("FS", registers.fs_base), ("GS", registers.gs_base)] {
            assert!(is_canonical(value), "{name} is not canonical: {value:#x}");
        }
        let rflags = registers.rflags;
        assert_eq!(rflags & NEEDED_RFLAGS, NEEDED_RFLAGS, "RFLAGS {rflags:#x} lacks IF or bit 1");
        assert_eq!(rflags & FORBIDDEN_RFLAGS, 0, "RFLAGS {rflags:#x} has a forbidden bit");
        assert_eq!(rflags >> 22, 0, "RFLAGS {rflags:#x} has reserved bits");
        let mxcsr =
            context.vectors[MXCSR].iter().rev().fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
        assert_eq!(mxcsr >> 16, 0, "MXCSR {mxcsr:#x} has reserved bits");
        assert_eq!(context.extras, context.extras_now(), "bases or breakpoints would not be loaded");
        let debug = &context.debug;
        assert_eq!(debug.dr6 & !DR6_ALLOWED, 0, "DR6 {:#x} has reserved bits", debug.dr6);
        assert_eq!(debug.dr7 & !DR7_ALLOWED, 0, "DR7 {:#x} has reserved bits or GD", debug.dr7);
        for address in debug.address {
            assert!(address < flob_abi::memory::USER_END, "a breakpoint outside user memory: {address:#x}");
        }
    }
}
