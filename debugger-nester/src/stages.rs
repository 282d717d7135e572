//! Counting what threads were doing when they were disturbed: by the *stage* of the call they stood in.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
};

use flob_abi::{Call, ipc};

/// The instruction that a thread in a call stands at.
pub const CALL_INSTRUCTION: [u8; 2] = [0x0f, 0x05];

/// What a thread was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Something of its own.
    Running,
    /// It had an exception.
    Exception,
    /// It stood at a call with this in `rax`: what is left of it.
    Call(u64),
}

/// How often threads were met in each stage.
#[derive(Clone, Debug, Default)]
pub struct Points(BTreeMap<Stage, u64>);

impl Points {
    /// Counts one.
    pub fn count(&mut self, stage: Stage) {
        *self.0.entry(stage).or_default() += 1;
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// A line each, with `prefix` before it.
    pub fn table(&self, prefix: &str) -> String {
        let line = |(stage, count): (&Stage, &u64)| format!("{prefix}{count:>9} {}\n", name(*stage));
        self.0.iter().map(line).collect()
    }
}

/// Steps of an IPC call, as they are done.
const STEPS: [(u64, &str); 12] = [
    (ipc::SHORT, "short"),
    (ipc::REPLY, "reply"),
    (ipc::CONNECT, "connect"),
    (ipc::ACKNOWLEDGE, "acknowledge"),
    (ipc::SEND, "send"),
    (ipc::OVER, "over"),
    (ipc::DISCONNECT, "disconnect"),
    (ipc::WAIT, "wait"),
    (ipc::RECEIVE, "receive"),
    (ipc::ONE_WAY, "one-way"),
    (ipc::CALL, "call"),
    (ipc::ALERT, "alert"),
];

fn name(stage: Stage) -> String {
    match stage {
        Stage::Running => "running".to_string(),
        Stage::Exception => "exception".to_string(),
        Stage::Call(number) if number & ipc::IPC != 0 && number < ipc::SHORT << 1 => ipc_name(number),
        Stage::Call(number) => Call::from_number(number)
            .map_or_else(|| format!("call {number:#x}"), |call| call.name().to_string()),
    }
}

fn ipc_name(number: u64) -> String {
    let mut name = String::from(if number & ipc::SERVER != 0 { "ipc server" } else { "ipc client" });
    for (_, step) in STEPS.iter().filter(|(bit, _)| number & bit != 0) {
        name.push(' ');
        name.push_str(step);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_named_by_what_is_left_of_the_call() {
        assert_eq!(name(Stage::Call(Call::MutexLock as u64)), "mutex_lock");
        assert_eq!(name(Stage::Call(ipc::CLIENT_CALL)), "ipc client connect send over receive");
        assert_eq!(name(Stage::Call(ipc::IPC | ipc::SERVER | ipc::WAIT)), "ipc server wait");
        assert_eq!(name(Stage::Call(0xdead_beef)), "call 0xdeadbeef");
        assert_eq!(name(Stage::Running), "running");
    }

    #[test]
    fn points_are_counted_per_stage() {
        let mut points = Points::default();
        for stage in [Stage::Running, Stage::Call(0), Stage::Running] {
            points.count(stage);
        }
        assert_eq!(points.total(), 3);
        assert_eq!(points.table("- "), "-         2 running\n-         1 null\n");
    }
}
