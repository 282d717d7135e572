//! Whether a thread that has come to a breakpoint is to be stopped there: its conditions are run on the registers and memory that
//! the thread has now.

use alloc::vec::Vec;

use flob_abi::Registers;
use flob_debugger_nester::{breakpoints::Wanted, translate::Translator};
use flob_image::Place;
use flob_link::{
    StopReason,
    condition::{World, run},
};

use super::lazy;
use super::state::State;
use super::threads::Seen;

/// What a condition sees.
struct Here<'a> {
    state: &'a State,
    translator: &'a Translator,
    space: Place,
    thread: Place,
    registers: &'a Registers,
}

impl World for Here<'_> {
    fn register(&mut self, number: u8) -> u64 {
        let r = self.registers;
        let all = [
            r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13,
            r.r14, r.r15, r.rip, r.rflags,
        ];
        all.get(usize::from(number)).copied().unwrap_or_default()
    }

    fn thread(&mut self) -> u64 {
        self.thread
    }

    fn read(&mut self, address: u64, room: &mut [u8]) -> bool {
        let pieces: Vec<_> = self.translator.pieces(self.space, address, room.len() as u64);
        let mut rest = room;
        for (place, size) in pieces {
            let Some((piece, behind)) =
                usize::try_from(size).ok().and_then(|size| rest.split_at_mut_checked(size))
            else {
                return false;
            };
            let is_missing = !lazy::missing_of(self.state, &[(place, piece.len() as u64)]).is_empty();
            if is_missing || !self.state.environment.memory().read(place, piece) {
                return false;
            }
            self.state.breakpoints.hide(place, piece);
            rest = behind;
        }
        rest.is_empty()
    }
}

/// Why the thread is to be stopped at the breakpoint at `at`, if it is.
pub fn judge(
    state: &State,
    translator: &Translator,
    (thread, at): (Place, Place),
    wanted: Wanted,
    seen: &Seen,
) -> Option<StopReason> {
    let conditions = state.breakpoints.conditions(at, wanted)?;
    if conditions.is_empty() {
        return Some(StopReason::Breakpoint);
    }
    let mut here = Here { state, translator, space: wanted.0, thread, registers: &seen.state.registers };
    let (mut met, mut failed) = (0, 0);
    for (index, condition) in conditions.iter().enumerate() {
        let bit = u32::try_from(index).ok().and_then(|index| 1_u32.checked_shl(index)).unwrap_or(0);
        match run(condition, &mut here) {
            Ok(0) => {}
            Ok(_) => met |= bit,
            // Somebody must look at that.
            Err(_) => failed |= bit,
        }
    }
    (met | failed != 0).then_some(StopReason::Condition { met, failed })
}
