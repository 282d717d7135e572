//! The real machine behind the library's [`Machine`], and what the exit to user mode needs prepared.

use crate::clock::Clock;
use crate::cpu::{self, msr};
use crate::defect::Defect;
use crate::descriptors::Descriptors;
use crate::disturb::Disturber;
use crate::interrupts::Lines;
use crate::layout::{DIRECT_MAP, MEMORY_LIMIT};
use crate::measure::{self, Count};
use crate::options::Options;
use crate::tables::Tables;
use crate::{console, entry};
use core::ops::Range;
use flob_abi::{DebugRegisters, PAGE_SIZE, Protection, Registers};
use flob_kernel::{Caching, Context, Frame, Grants, Machine, Page, SpaceKey, TRAP_FLAG};

const ARMED: u64 = 0xff;
const NOTHING_ARMED: u64 = 0x400;

/// All of it.
pub struct Hardware {
    /// Frames that programs can have: neither the kernel's image nor its heap.
    frames: Range<u32>,
    tables: Tables,
    clock: Clock,
    lines: Lines,
    descriptors: Descriptors,
    loaded: Loaded,
    disturber: Disturber,
    defect: Defect,
    run: u32,
}

/// What is in the processor now, so as not to load it again.
struct Loaded {
    fs_base: u64,
    gs_base: u64,
    debug: DebugRegisters,
    /// What is not 0 of these.
    extras: u64,
    trap_time: bool,
}

impl Hardware {
    /// The devices must be set up; `frames` are those that programs can have.
    pub fn new(frames: Range<u32>, tables: Tables, descriptors: Descriptors, options: Options) -> Self {
        let Options { disturber, defect, run } = options;
        let end = u64::from(frames.end) * PAGE_SIZE;
        assert!(end <= MEMORY_LIMIT, "programs have memory that the direct map does not reach");
        let debug = DebugRegisters::default();
        let loaded = Loaded { fs_base: 0, gs_base: 0, debug, extras: 0, trap_time: false };
        Self {
            frames,
            tables,
            clock: Clock::start(),
            lines: Lines::start(),
            descriptors,
            loaded,
            disturber,
            defect,
            run: run.unwrap_or(cpu::time_stamp() as u32),
        }
    }

    /// The interrupt lines.
    pub fn lines(&mut self) -> &mut Lines {
        &mut self.lines
    }

    /// When the kernel is disturbed.
    pub fn disturber(&mut self) -> &mut Disturber {
        &mut self.disturber
    }

    /// Loads bases and breakpoints of another thread than ran before. (No thread can change its own: that takes another one,
    /// and so a switch.)
    #[inline(always)]
    fn switch(&mut self, context: &Context) {
        let selectors = cpu::selectors();
        if selectors | context.extras | self.loaded.extras != 0 {
            self.switch_more(context, selectors);
        }
    }

    /// Most threads have none of this.
    #[cold]
    #[inline(never)]
    fn switch_more(&mut self, context: &Context, selectors: u64) {
        let Registers { fs_base, gs_base, .. } = context.registers;
        if selectors != 0 {
            cpu::clear_selectors();
        }
        if selectors != 0 || fs_base != self.loaded.fs_base || gs_base != self.loaded.gs_base {
            self.load_bases(fs_base, gs_base);
        }
        // One that steps has none: an emulator tells a step that hits by two exceptions, the second in the entry from the first.
        let dr7 = if context.registers.rflags & TRAP_FLAG == 0 { context.debug.dr7 } else { 0 };
        self.load_breakpoints(&DebugRegisters { dr7, ..context.debug });
        self.loaded.extras = context.extras;
    }

    fn load_bases(&mut self, fs_base: u64, gs_base: u64) {
        measure::count(Count::Registers, 2);
        // SAFETY: the library lets only canonical bases into a context; the kernel uses neither.
        unsafe {
            cpu::write_msr(msr::FS_BASE, fs_base);
            cpu::write_msr(msr::GS_BASE, gs_base);
        }
        (self.loaded.fs_base, self.loaded.gs_base) = (fs_base, gs_base);
    }

    fn load_breakpoints(&mut self, debug: &DebugRegisters) {
        let same = debug.address == self.loaded.debug.address && debug.dr7 == self.loaded.debug.dr7;
        if !same {
            let control = if debug.dr7 & ARMED == 0 { NOTHING_ARMED } else { debug.dr7 | NOTHING_ARMED };
            // SAFETY: the library lets only user addresses, and no GD, into a context.
            unsafe { cpu::load_breakpoints(&debug.address, control) };
            self.loaded.debug = *debug;
        }
    }

    #[cold]
    fn trap_time(&mut self, trap: bool) {
        let bit = cpu::CR4_TIME_STAMP_DISABLE;
        let control = if trap { cpu::control_4() | bit } else { cpu::control_4() & !bit };
        // SAFETY: the bit does not concern ring 0.
        unsafe { cpu::set_control_4(control) };
        self.loaded.trap_time = trap;
    }

    /// A frame's bytes, if programs can have it.
    #[inline]
    fn bytes(&self, frame: Frame) -> Option<core::ptr::NonNull<[u8; PAGE_SIZE as usize]>> {
        if !self.frames.contains(&frame.0) {
            return None;
        }
        // All of them lie in the direct map: `new` has seen to that.
        let address = DIRECT_MAP + u64::from(frame.0) * PAGE_SIZE;
        core::ptr::NonNull::new(core::ptr::with_exposed_provenance_mut(address as usize))
    }
}

impl Machine for Hardware {
    #[inline]
    fn frame(&self, frame: Frame) -> Option<&[u8; 4096]> {
        // SAFETY: a program's frame in the direct map; all of the kernel's access to it goes through this borrow of the machine.
        self.bytes(frame).map(|bytes| unsafe { bytes.as_ref() })
    }

    #[inline]
    fn frame_mut(&mut self, frame: Frame) -> Option<&mut [u8; 4096]> {
        // SAFETY: as above.
        self.bytes(frame).map(|mut bytes| unsafe { bytes.as_mut() })
    }

    #[inline]
    fn copy(&mut self, from: (Frame, usize), to: (Frame, usize), len: usize) {
        let inside = |start: usize| start.checked_add(len).is_some_and(|end| end <= PAGE_SIZE as usize);
        let (Some(source), Some(target)) = (self.bytes(from.0), self.bytes(to.0)) else { return };
        assert!(inside(from.1) && inside(to.1), "a copy reaches out of its frame");
        measure::count(Count::Bytes, len as u64);
        // SAFETY: both ranges lie in their frames, which are two.
        unsafe {
            target.cast::<u8>().add(to.1).copy_from_nonoverlapping(source.cast::<u8>().add(from.1), len)
        };
    }

    #[inline]
    fn translation(&self, space: SpaceKey, page: Page) -> Option<(Frame, Protection)> {
        self.tables.translation(space, page)
    }

    #[inline(always)]
    fn recent_translation(&self, space: SpaceKey, page: Page) -> Option<(Frame, Protection)> {
        self.tables.recent_translation(space, page)
    }

    fn install(&mut self, space: SpaceKey, page: Page, frame: Frame, access: Protection, caching: Caching) {
        self.tables.install(space, page, frame, access, caching);
    }

    fn remove(&mut self, space: SpaceKey, first: Page, count: u64) {
        self.tables.remove(space, first, count);
    }

    fn forget_space(&mut self, space: SpaceKey) {
        self.tables.forget_space(space);
    }

    fn forget_all(&mut self) {
        self.tables.forget_all();
    }

    fn run_number(&self) -> u32 {
        self.run
    }

    fn now(&self) -> u64 {
        self.clock.now()
    }

    fn unmask_interrupt(&mut self, line: u8) {
        self.defect.strike();
        self.lines.unmask(line);
    }

    fn mask_interrupt(&mut self, line: u8) {
        self.lines.mask(line);
    }

    fn log(&mut self, text: &[u8]) {
        console::write(text);
    }

    fn exit(&mut self, status: u8) {
        self.disturber.report();
        console::exit(status);
    }

    #[inline(always)]
    fn enter_space(&mut self, space: SpaceKey, grants: Grants<'_>) {
        self.tables.activate(space);
        self.descriptors.allow_ports(grants.ports);
        if grants.trap_time != self.loaded.trap_time {
            self.trap_time(grants.trap_time);
        }
    }

    #[inline(always)]
    fn enter_thread(&mut self, context: &mut Context) {
        if core::ptr::from_mut(context) != entry::current() {
            entry::set_current(context);
            self.switch(context);
        }
    }
}
