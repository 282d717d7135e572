//! The bystander: a thread beside the child that adds up numbers, one for each round, as soon as it is asked.

use flob_runtime::abi::Status;
use flob_runtime::flob::Links;
use flob_runtime::service::clock;
use flob_runtime::sync::{Condition, Lock};
use flob_runtime::thread::{self, JoinHandle};

/// Rounds asked for and done, and the sum of their squares.
struct Sum {
    asked: u64,
    done: u64,
    sum: u64,
}

static SUM: Lock<Sum> = Lock::new(Sum { asked: 0, done: 0, sum: 0 });
static ASKED: Condition = Condition::new();
static DONE: Condition = Condition::new();

/// Its thread.
pub struct Bystander(JoinHandle<()>);

impl Bystander {
    /// Starts it.
    pub fn start() -> Result<Self, Status> {
        Ok(Self(thread::spawn(work)?))
    }

    /// The address of a `syscall` instruction: where the thread stands while it waits.
    pub fn call_instruction(&self) -> Result<u64, Status> {
        loop {
            let state = self.0.flob().get_state(&Links::NONE)?;
            self.0.flob().resume(false)?;
            if state.registers.rax == u64::from(flob_runtime::abi::Call::ConditionSleep as u32) {
                return Ok(state.registers.rip);
            }
            let _ = clock::sleep(core::time::Duration::from_millis(1));
        }
    }

    /// One more round.
    pub fn ask(&self) {
        SUM.lock().asked += 1;
        ASKED.signal();
    }

    /// Whether the sum is right, once all rounds are done.
    pub fn has_summed(&self, rounds: u64) -> bool {
        let sum = DONE.wait_until(SUM.lock(), |sum| sum.done == rounds);
        sum.sum == (1..=rounds).fold(0, |sum: u64, round| sum.wrapping_add(round.wrapping_mul(round)))
    }
}

fn work() {
    loop {
        let mut sum = ASKED.wait_until(SUM.lock(), |sum| sum.done < sum.asked);
        sum.done += 1;
        sum.sum = sum.sum.wrapping_add(sum.done.wrapping_mul(sum.done));
        drop(sum);
        DONE.signal();
    }
}
