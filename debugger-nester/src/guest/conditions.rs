//! Whether a thread that has come to a breakpoint is to be stopped there: its conditions are run on the registers and memory that
//! the thread has now, and on flobs as they are now.

use crate::{breakpoints::Wanted, translate::Translator};
use flob_abi::{FlobKind, Registers};
use flob_checkpointer::{Bearings, look_at_each};
use flob_image::{Flob, Link, Place};
use flob_link::{
    StopReason,
    condition::{NOWHERE, World, run},
};
use flob_runtime::nester::list::Listed;

use super::memory::SpaceMemory;
use super::state::State;
use super::threads::{HEAD, Seen};

/// What a condition sees.
struct Here<'a> {
    state: &'a State,
    memory: SpaceMemory<'a>,
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
        self.memory.read(address, room) == room.len()
    }

    fn field(&mut self, place: u64, kind: u8, offset: u16, room: &mut [u8]) -> bool {
        let Some(flob) = self.flob(place, kind) else { return false };
        let from = flob.state.as_bytes().get(usize::from(offset)..);
        let Some(bytes) = from.and_then(|bytes| bytes.get(..room.len())) else { return false };
        room.copy_from_slice(bytes);
        true
    }

    fn link(&mut self, place: u64, kind: u8, link: u8) -> Option<u64> {
        match self.flob(place, kind)?.links.get(usize::from(link))? {
            Link::Flob(place) => Some(*place),
            Link::Null | Link::External(_) | Link::Unknown => Some(NOWHERE),
        }
    }
}

impl Here<'_> {
    /// The flob of this kind at a place. A thread that runs is stopped only while it is looked at.
    fn flob(&self, place: Place, kind: u8) -> Option<Flob> {
        let environment = &self.state.environment;
        let kind =
            FlobKind::from_number(kind.into()).filter(|kind| environment.kind_at(place) == Some(*kind))?;
        // What lies outside is nothing here, by whatever name.
        let bearings = Bearings::new(&[], &[]).ok()?;
        let mut found = None;
        let keep = |flob| {
            found = Some(flob);
            Ok(())
        };
        look_at_each(environment, (&bearings, &[]), HEAD, [Listed { place, kind }], keep).ok()?;
        found
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
    let memory = SpaceMemory::new(state, translator, wanted.0);
    let mut here = Here { state, memory, thread, registers: &seen.state.registers };
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
