//! For what a thread waits, told from its state and its waiting-for link.

use flob_abi::{Call, FlobKind, ThreadState, ipc};
use flob_link::WaitKind;

/// For what a thread waits that is blocked on a flob of kind `on`. Waiting for input is the nester's to know.
pub fn wait_kind(state: &ThreadState, on: FlobKind) -> Option<WaitKind> {
    let call = state.registers.rax;
    if state.exception.code != 0 {
        return None;
    }
    match on {
        FlobKind::Mutex if call == Call::MutexLock as u64 => Some(WaitKind::Mutex),
        FlobKind::Condition if call == Call::ConditionSleep as u64 => Some(WaitKind::Condition),
        FlobKind::Port | FlobKind::Thread if call & ipc::IPC != 0 => {
            match call & (ipc::SEND | ipc::RECEIVE) {
                steps if steps & ipc::SEND != 0 => Some(WaitKind::Send),
                ipc::RECEIVE if on == FlobKind::Thread => Some(WaitKind::Receive),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked_in(call: u64) -> ThreadState {
        let mut state = ThreadState::default();
        state.registers.rax = call;
        state
    }

    #[test]
    fn the_stage_and_the_flob_tell_what_is_waited_for() {
        let cases = [
            (Call::MutexLock as u64, FlobKind::Mutex, Some(WaitKind::Mutex)),
            (Call::ConditionSleep as u64, FlobKind::Condition, Some(WaitKind::Condition)),
            (Call::ConditionSleep as u64, FlobKind::Mutex, None),
            (ipc::CLIENT_CALL, FlobKind::Port, Some(WaitKind::Send)),
            (ipc::IPC | ipc::OVER | ipc::RECEIVE, FlobKind::Thread, Some(WaitKind::Receive)),
            (ipc::IPC | ipc::SERVER | ipc::WAIT | ipc::RECEIVE, FlobKind::PortSet, None),
        ];
        for (call, on, kind) in cases {
            assert_eq!(wait_kind(&blocked_in(call), on), kind, "{call:#x} on {on:?}");
        }
    }

    #[test]
    fn a_thread_with_an_exception_waits_for_its_keeper_and_nothing_else() {
        let mut state = blocked_in(ipc::CLIENT_CALL);
        state.exception.code = 1;
        assert_eq!(wait_kind(&state, FlobKind::Port), None);
    }
}
