//! What becomes of a thread that was looked at and stands: put together, then done by one call of the kernel.

use flob_abi::{
    Registers, Status, ThreadHead,
    flob::thread_link,
    state::{group, thread_flag},
};
use flob_image::Place;
use flob_runtime::{
    flob::{Links, Thread},
    nester::Environment,
};

/// RFLAGS.TF.
pub const TRAP_FLAG: u64 = 1 << 8;
/// DR7 with its one bit that is always set.
const NOTHING_ARMED: u64 = 0x400;
/// RFLAGS.RF: the next instruction meets no hardware breakpoint.
pub const RESUME_FLAG: u64 = 1 << 16;

/// Changes of a thread's state: what it was like is only copied when they are made.
#[must_use]
pub struct Adjustment<'a> {
    place: Place,
    before: &'a ThreadHead,
    rip: u64,
    rflags: u64,
    /// What is set; but for the registers, how follows from that.
    groups: u64,
}

impl<'a> Adjustment<'a> {
    /// None yet, of the thread at this place, whose state this is.
    pub const fn of(place: Place, before: &'a ThreadHead) -> Self {
        let Registers { rip, rflags, .. } = before.registers;
        Self { place, before, rip, rflags, groups: 0 }
    }

    /// Which thread it is.
    pub const fn place(&self) -> Place {
        self.place
    }

    /// The state as it was.
    pub const fn before(&self) -> &'a ThreadHead {
        self.before
    }

    /// The state as it will be.
    pub const fn head(&self) -> ThreadHead {
        let mut head = *self.before;
        (head.registers.rip, head.registers.rflags) = (self.rip, self.rflags);
        if self.groups & group::EXCEPTION != 0 {
            head.exception.code = 0;
        }
        if self.groups & group::DEBUG != 0 {
            head.debug.address = [0; 4];
            head.debug.dr7 = NOTHING_ARMED;
        }
        if self.groups & group::CONTROL != 0 {
            head.flags &= !thread_flag::STOPPED;
        }
        head
    }

    /// Its next instruction is its last for now (or is not).
    pub const fn trap(self, on: bool) -> Self {
        let rflags = if on { self.rflags | TRAP_FLAG } else { self.rflags & !TRAP_FLAG };
        self.flags(rflags)
    }

    /// Its next instruction meets no hardware breakpoint.
    pub const fn pass(self) -> Self {
        let rflags = self.rflags | RESUME_FLAG;
        self.flags(rflags)
    }

    /// Its debug registers find nothing.
    pub const fn disarm(self) -> Self {
        self.with(group::DEBUG)
    }

    /// It goes on there.
    pub const fn move_to(mut self, rip: u64) -> Self {
        self.rip = rip;
        self.with(group::REGISTERS)
    }

    const fn flags(mut self, rflags: u64) -> Self {
        if self.rflags == rflags {
            return self;
        }
        self.rflags = rflags;
        self.with(group::REGISTERS)
    }

    /// Its exception is taken over: it has none any more, and waits for nobody.
    pub const fn without_exception(self) -> Self {
        self.with(group::EXCEPTION)
    }

    /// It runs.
    pub const fn run(self) -> Self {
        self.with(group::CONTROL)
    }

    const fn with(mut self, groups: u64) -> Self {
        self.groups |= groups;
        self
    }

    /// Does it.
    pub fn apply(&self, environment: &Environment) -> Result<(), Status> {
        if self.groups == 0 {
            return Ok(());
        }
        let links = match self.groups & group::EXCEPTION {
            0 => Links::NONE,
            _ => Links::NONE.with(thread_link::WAITING_FOR, environment.nothing()),
        };
        environment.flob::<Thread>(self.place).set_head(&self.head(), &links, self.groups)
    }
}
