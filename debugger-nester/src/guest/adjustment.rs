//! What becomes of a thread that was looked at and stands: put together, then done by one call of the kernel.

use flob_abi::{
    Status, ThreadHead,
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

/// Changes of a thread's state.
#[must_use]
pub struct Adjustment {
    place: Place,
    head: ThreadHead,
    groups: u64,
}

impl Adjustment {
    /// None yet, of the thread at this place, whose state this is.
    pub const fn of(place: Place, head: &ThreadHead) -> Self {
        Self { place, head: *head, groups: 0 }
    }

    /// Which thread it is.
    pub const fn place(&self) -> Place {
        self.place
    }

    /// The state as it will be.
    pub const fn head(&self) -> &ThreadHead {
        &self.head
    }

    /// Its next instruction is its last for now (or is not).
    pub const fn trap(self, on: bool) -> Self {
        let rflags = self.head.registers.rflags;
        self.flags(if on { rflags | TRAP_FLAG } else { rflags & !TRAP_FLAG })
    }

    /// Its next instruction meets no hardware breakpoint.
    pub const fn pass(self) -> Self {
        let rflags = self.head.registers.rflags;
        self.flags(rflags | RESUME_FLAG)
    }

    /// Its debug registers find nothing.
    pub const fn disarm(mut self) -> Self {
        self.head.debug.address = [0; 4];
        self.head.debug.dr7 = NOTHING_ARMED;
        self.groups |= group::DEBUG;
        self
    }

    /// It goes on there.
    pub const fn move_to(mut self, rip: u64) -> Self {
        self.head.registers.rip = rip;
        self.groups |= group::REGISTERS;
        self
    }

    const fn flags(mut self, rflags: u64) -> Self {
        if self.head.registers.rflags != rflags {
            self.head.registers.rflags = rflags;
            self.groups |= group::REGISTERS;
        }
        self
    }

    /// Its exception is taken over: it has none any more, and waits for nobody.
    pub const fn without_exception(mut self) -> Self {
        self.head.exception.code = 0;
        self.groups |= group::EXCEPTION;
        self
    }

    /// It runs.
    pub const fn run(mut self) -> Self {
        self.head.flags &= !thread_flag::STOPPED;
        self.groups |= group::CONTROL;
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
        environment.flob::<Thread>(self.place).set_head(&self.head, &links, self.groups)
    }
}
