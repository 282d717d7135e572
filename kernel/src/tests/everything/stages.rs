//! The stages of calls: what a thread that is stopped in one has reached. Which of them were met, as a table.

use std::collections::BTreeMap;
use std::string::String;
use std::vec::Vec;

use flob_abi::{Call, ExceptionCode, ipc};

use crate::record::{Queue, ThreadId};
use crate::tests::program::{Op, fetch};
use crate::tests::sim::Sim;

/// How a thread was found at its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// About to make it, or to make the rest of it.
    Stands,
    /// Waiting in it.
    Waits,
    /// Memory that it needs is not there.
    Faults,
}

/// How often each stage was met.
#[derive(Default)]
pub struct Stages {
    met: BTreeMap<(u64, How), u64>,
    points: u64,
}

/// Calls that can wait.
const WAITING: [Call; 4] = [Call::MutexLock, Call::ConditionSleep, Call::TimerWait, Call::InterruptWait];
/// Steps that can wait.
const WAITING_STEPS: u64 = ipc::STEPS & !(ipc::SERVER | ipc::REPLY | ipc::DISCONNECT | ipc::ALERT);

/// All sets of steps that mean something.
pub fn sets_of_steps() -> Vec<u64> {
    let forms = [0, ipc::SHORT].map(|form| ipc::IPC | form);
    forms
        .into_iter()
        .flat_map(|form| (0..=ipc::STEPS).map(move |steps| form | steps))
        .filter(|call| ipc::is_valid(*call))
        .collect()
}

/// What must have been met: every call, and every call that can wait while it waits.
fn expected() -> Vec<(u64, How)> {
    let calls = Call::ALL.iter().map(|call| *call as u64).chain(sets_of_steps());
    let waits = |call: &u64| {
        let step_waits = ipc::next_step(*call).is_some_and(|step| step & WAITING_STEPS != 0);
        step_waits || WAITING.iter().any(|waiting| *waiting as u64 == *call)
    };
    calls
        .flat_map(|call| [Some((call, How::Stands)), waits(&call).then_some((call, How::Waits))])
        .flatten()
        .collect()
}

impl Stages {
    /// Counts a point: this thread was stopped where it is.
    pub fn count(&mut self, sim: &mut Sim, thread: ThreadId) {
        self.points += 1;
        let record = sim.kernel.thread(thread);
        let registers = record.context.registers;
        if !matches!(fetch(&sim.code, registers.rip), Some(Op::Syscall)) {
            return;
        }
        let how = if record.exception.code == ExceptionCode::PageFault as u32 {
            How::Faults
        } else if record.exception.code != 0 {
            return;
        } else if matches!(record.queue, Queue::Waiters(_) | Queue::Peer | Queue::Timer | Queue::Line(_)) {
            How::Waits
        } else {
            How::Stands
        };
        *self.met.entry((registers.rax, how)).or_default() += 1;
    }

    pub fn points(&self) -> u64 {
        self.points
    }

    fn times(&self, number: u64, how: How) -> u64 {
        self.met.get(&(number, how)).copied().unwrap_or(0)
    }

    /// Prints the table; panics if a stage was not met that must be.
    pub fn report(&self, test: &str) {
        std::println!("{test}: {} points", self.points);
        let mut numbers: Vec<u64> = self.met.keys().map(|(number, _)| *number).collect();
        numbers.dedup();
        for number in numbers {
            let [stands, waits, faults] =
                [How::Stands, How::Waits, How::Faults].map(|how| self.times(number, how));
            std::println!("{test}: {:<60} {stands:>8} {waits:>8} {faults:>8}", name(number));
        }
        let expected = expected();
        let missed: Vec<_> = expected
            .iter()
            .filter(|(number, how)| self.times(*number, *how) == 0)
            .map(|(number, how)| std::format!("{} {how:?}", name(*number)))
            .collect();
        std::println!("{test}: {} of {} stages met", expected.len() - missed.len(), expected.len());
        assert!(missed.is_empty(), "not met: {missed:?}");
    }
}

/// The name of a call or set of steps.
fn name(number: u64) -> String {
    if let Some(call) = Call::from_number(number) {
        return call.name().into();
    }
    let side = if number & ipc::SERVER != 0 { "server" } else { "client" };
    let steps = [(ipc::SHORT, "short")].iter().chain(ipc::STEP_NAMES);
    let steps = steps.filter(|(bit, _)| number & bit != 0).map(|(_, name)| *name);
    [side].into_iter().chain(steps).collect::<Vec<_>>().join(" ")
}
