//! Threads of ours that run below others, and only while they are wanted: each calls a condition again and again. They hold no
//! lock, ever, so nobody can be made to wait for one.

use flob_abi::Status;
use flob_runtime::flob::{FlobAt, Thread};
use flob_runtime::sync::Condition;

/// Such a thread, seen by those who want it.
pub struct Caller {
    thread: FlobAt<Thread>,
    is_on: bool,
}

impl Caller {
    /// None yet.
    pub const fn nobody() -> Self {
        Self { thread: FlobAt::new(0), is_on: false }
    }

    /// This thread, which rests.
    pub fn new(thread: FlobAt<Thread>) -> Result<Self, Status> {
        thread.halt()?;
        Ok(Self { thread, is_on: false })
    }

    /// Whether it is wanted.
    pub const fn is_on(&self) -> bool {
        self.is_on
    }

    /// It calls as soon as those above it let it run.
    pub fn start(&mut self) {
        if !self.is_on {
            // Cannot fail: the thread is ours.
            self.is_on = self.thread.resume(false).is_ok();
        }
    }

    /// It calls no more.
    pub fn rest(&mut self) {
        if core::mem::take(&mut self.is_on) {
            let _ = self.thread.halt();
        }
    }
}

/// What it does.
pub fn call(condition: &Condition) -> ! {
    loop {
        condition.signal();
    }
}
