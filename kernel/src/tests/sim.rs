//! The simulated system: a kernel on a simulated machine, threads with programs, and a *driver*: a thread of the first
//! space at the highest priority, whose calls the test makes. What a test does to the system it does as a nester would.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::vec::Vec;

use flob_abi::memory::PHYSICAL_WINDOW;
use flob_abi::start::start_reference;
use flob_abi::{Call, ExceptionCode, FlobKind, Misuse, PAGE_SIZE, Registers, Status, ThreadState, group};
use flob_abi::{Handlers, thread_flag};

use super::program::{ARGS, Op, Program, Reg, address_of};
use crate::arena::take_looks;
use crate::record::ThreadId;
use crate::simulated::Simulated;
use crate::{Boot, Event, Frame, Kernel};

pub const FRAMES: u32 = 512;
/// Where the driver stands when it calls, and where its exceptions lead.
const DRIVER: u64 = 0x6000_0000;
const HANDLER: u64 = 0x6000_1000;
/// The line by which the driver is woken.
const BELL: u8 = 15;

/// The first space's own reference, in its memory.
pub const ROOT_SPACE: u64 = PHYSICAL_WINDOW + 3 * PAGE_SIZE + start_reference::SPACE;

/// A misuse with its argument.
pub type Wrong = (Misuse, u64);

/// Words that were said. Compares with words only, so that `[]` is clear.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a>(&'a [u64]);

impl core::ops::Deref for Said<'_> {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        self.0
    }
}

impl<const N: usize> PartialEq<[u64; N]> for Said<'_> {
    fn eq(&self, other: &[u64; N]) -> bool {
        self.0 == other
    }
}

impl PartialEq<&[u64]> for Said<'_> {
    fn eq(&self, other: &&[u64]) -> bool {
        self.0 == *other
    }
}

impl PartialEq<Vec<u64>> for Said<'_> {
    fn eq(&self, other: &Vec<u64>) -> bool {
        self.0 == other
    }
}

#[derive(Clone)]
pub struct Sim {
    pub kernel: Kernel<Simulated>,
    pub code: Arc<Vec<Op>>,
    pub output: BTreeMap<usize, Vec<u64>>,
    driver: ThreadId,
    next_frame: u32,
    next_granule: u64,
    /// Kernel entries that the driver's last call took.
    pub entries: u32,
    pub instructions: u64,
    frames: u32,
    /// Who executed the last instruction, and where.
    pub last: (Option<ThreadId>, u64),
    /// Time passes as instructions are executed.
    pub ticks: bool,
    /// Lists and records are compared after every entry.
    pub checks: bool,
    /// Most records that an entry has looked at.
    pub longest: u64,
}

impl Sim {
    pub fn new() -> Self {
        Self::sized(FRAMES)
    }

    /// With this many frames of memory.
    pub fn sized(frames: u32) -> Self {
        let mut kernel = Kernel::new(Simulated::new(frames), Frame(1)..Frame(frames));
        let stack = PHYSICAL_WINDOW + 5 * PAGE_SIZE;
        let boot =
            Boot { flobs: Frame(1), start_info: PHYSICAL_WINDOW + 3 * PAGE_SIZE, entry: DRIVER, stack };
        kernel.start(boot);
        kernel.current().expect("the first thread runs");
        let first = kernel.current.expect("the first thread runs");
        let mut sim = Self {
            kernel,
            code: Arc::default(),
            output: BTreeMap::new(),
            driver: first,
            next_frame: 5,
            next_granule: 0,
            entries: 0,
            instructions: 0,
            frames,
            last: (None, 0),
            ticks: true,
            checks: true,
            longest: 0,
        };
        sim.make_driver();
        sim
    }

    /// The driver is the second thread, because a thread cannot set its own handlers.
    fn make_driver(&mut self) {
        let state = ThreadState {
            flags: thread_flag::EXCEPTIONS_ENABLED,
            priority: 31,
            handlers: Handlers { trap: HANDLER, ..Handlers::default() },
            registers: Registers { rip: DRIVER, ..Registers::default() },
            ..ThreadState::default()
        };
        let thread = self.make_thread(&state, ROOT_SPACE);
        let driver = self.kernel.thread_at(thread);
        let first = self.driver;
        self.registers(first).rax = Call::TimerWait as u64;
        self.registers(first).rdi = u64::MAX;
        self.kernel.event(Event::Call);
        self.kernel.current();
        self.driver = driver;
        assert_eq!(self.kernel.current, Some(driver));
    }

    /// Where the driver's own flob is.
    pub fn driver_address(&mut self) -> u64 {
        self.kernel.thread(self.driver).own_address
    }

    pub fn registers(&mut self, thread: ThreadId) -> &mut Registers {
        &mut self.kernel.thread_mut(thread).context.registers
    }

    /// A fresh page of the first space's memory.
    pub fn page(&mut self) -> u64 {
        self.pages(1)
    }

    /// Fresh pages in a row.
    pub fn pages(&mut self, count: u32) -> u64 {
        let frame = self.next_frame;
        self.next_frame += count;
        assert!(self.next_frame <= self.frames, "the simulated machine is too small for this test");
        PHYSICAL_WINDOW + u64::from(frame) * PAGE_SIZE
    }

    /// A fresh place for a small flob.
    pub fn granule(&mut self) -> u64 {
        if self.next_granule.is_multiple_of(PAGE_SIZE) {
            self.next_granule = self.page();
        }
        let granule = self.next_granule;
        self.next_granule += flob_abi::flob::GRANULE;
        granule
    }

    /// The driver makes a call and gets its registers back; children run while it waits.
    pub fn raw_call(&mut self, number: u64, registers: &[(Reg, u64)]) -> Result<Registers, Wrong> {
        assert_eq!(self.current(), Some(self.driver), "the driver has the processor between its calls");
        let driver = self.driver;
        self.entries = 0;
        let now = self.registers(driver);
        now.rax = number;
        now.rip = DRIVER;
        for (reg, value) in registers {
            *reg.of(now) = *value;
        }
        for _ in 0..10_000_000 {
            match self.current() {
                Some(thread) if thread == driver => match self.registers(driver).rip {
                    DRIVER => {
                        self.entries += 1;
                        self.kernel.event(Event::Call);
                    }
                    HANDLER => return Err(self.leave_handler()),
                    _ => return Ok(*self.registers(driver)),
                },
                Some(_) => drop(self.step()),
                None => panic!("the driver waits and nobody runs"),
            }
        }
        panic!("the driver waits for ever");
    }

    pub fn try_call(&mut self, call: Call, args: &[u64]) -> Result<Registers, Wrong> {
        self.raw_call(call as u64, &ARGS.iter().copied().zip(args.iter().copied()).collect::<Vec<_>>())
    }

    /// A call that is no misuse; its status.
    pub fn call(&mut self, call: Call, args: &[u64]) -> Status {
        let registers =
            self.try_call(call, args).unwrap_or_else(|wrong| panic!("{}: {wrong:?}", call.name()));
        Status::from_number(registers.rax).expect("a call returns a status")
    }

    /// A call that must succeed.
    pub fn ok(&mut self, call: Call, args: &[u64]) {
        assert_eq!(self.call(call, args), Status::Success, "{}{args:x?}", call.name());
    }

    /// A call that must be misuse.
    pub fn wrong(&mut self, call: Call, args: &[u64]) -> Misuse {
        match self.try_call(call, args) {
            Err((misuse, _)) => misuse,
            Ok(registers) => panic!("{}: no misuse but status {}", call.name(), registers.rax),
        }
    }

    fn leave_handler(&mut self) -> Wrong {
        let driver = self.driver;
        let registers = *self.registers(driver);
        assert_eq!(registers.rsi as u32, ExceptionCode::Misuse as u32, "the driver got {registers:x?}");
        self.registers(driver).rax = Call::ReturnFromException as u64;
        self.kernel.event(Event::Call);
        self.current();
        let misuse = Misuse::from_number((registers.rsi >> 32) as u32).expect("a misuse");
        (misuse, registers.rdx)
    }

    /// Who has the processor.
    pub fn current(&mut self) -> Option<ThreadId> {
        while self.kernel.current().is_none() {
            self.count_looks();
            if !self.kernel.in_arrears() {
                return None;
            }
        }
        self.count_looks();
        if self.checks {
            self.kernel.check_queues();
        }
        take_looks();
        self.kernel.current
    }

    /// What has been looked at so far was one entry.
    pub fn count_looks(&mut self) {
        self.longest = self.longest.max(take_looks());
    }

    /// Puts a program into the code and returns its entry.
    pub fn load(&mut self, program: Program) -> u64 {
        let first = self.code.len();
        Arc::make_mut(&mut self.code).extend(program.place(first as u64));
        address_of(first)
    }

    /// Lets the others run for some instructions, or until none can; then the driver has the processor again. Returns how
    /// many were executed.
    pub fn run(&mut self, instructions: u64) -> u64 {
        self.run_until(instructions, |_, _| false)
    }

    /// As `run`, and ends early once `done` says so after an instruction that entered the kernel (its second argument).
    pub fn run_until(&mut self, instructions: u64, mut done: impl FnMut(&mut Self, bool) -> bool) -> u64 {
        self.let_others_run();
        let mut executed = 0;
        while executed < instructions && self.current().is_some() {
            executed += 1;
            let entered = self.step();
            if done(self, entered) {
                break;
            }
        }
        self.ring();
        executed
    }

    /// The driver waits for its bell.
    pub fn let_others_run(&mut self) {
        let driver = self.driver;
        assert_eq!(self.current(), Some(driver));
        *self.registers(driver) = Registers {
            rax: Call::InterruptWait as u64,
            rdi: u64::from(BELL),
            rip: DRIVER,
            ..*self.registers(driver)
        };
        self.kernel.event(Event::Call);
    }

    /// The driver's bell: it has the processor again.
    pub fn ring(&mut self) {
        self.kernel.event(Event::Interrupt { line: BELL });
        let driver = self.driver;
        assert_eq!(self.current(), Some(driver), "the bell wakes the driver");
    }

    /// Lets all others run until none can.
    pub fn run_out(&mut self) {
        assert!(self.run(2_000_000) < 2_000_000, "the programs do not come to an end");
    }

    /// What a channel said.
    pub fn said(&self, channel: usize) -> Said<'_> {
        Said(self.output.get(&channel).map_or(&[], Vec::as_slice))
    }

    /// Makes a flob in fresh memory.
    pub fn make(&mut self, kind: FlobKind) -> u64 {
        let place = if kind == FlobKind::Thread { self.page() } else { self.granule() };
        self.create_at(kind, place);
        place
    }

    pub fn create_at(&mut self, kind: FlobKind, place: u64) {
        let create = Call::from_number((kind as u64) << 4).expect("every kind can be created");
        self.ok(create, &[place]);
    }

    /// Makes a thread in this state, in the space that a reference names.
    pub fn make_thread(&mut self, state: &ThreadState, space: u64) -> u64 {
        let thread = self.make(FlobKind::Thread);
        let state = ThreadState { own_address: thread, ..*state };
        assert_eq!(self.set_state(thread, &state, group::ALL & !group::VECTORS, &[space]), Status::Success);
        thread
    }
}
