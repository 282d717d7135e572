//! A thread in a space whose time-stamp counter traps and whose calls are reflected: its keeper gives it both.

use core::arch::naked_asm;

use flob_program_shared::{Desk, Failure, expect, leak};
use flob_runtime::abi::state::{group, space_flag};
use flob_runtime::abi::{
    ExceptionCode, ExceptionMessage, ExceptionReply, Protection, SpaceState, Status, ThreadState,
};
use flob_runtime::call::Transfer;
use flob_runtime::flob::{FlobAt, Links, Mapping, OwnedReference, Reference, Region, Space, Thread};
use flob_runtime::{named, start};
use zerocopy::{FromZeros, IntoBytes};

use crate::Outcome;

/// A number that no call has.
const FOREIGN_CALL: u32 = 0x00ab_cdef;
/// What the keeper makes of the two instructions.
const TIME: u64 = 77;
const RESULT: u64 = 99;

/// Reads the time-stamp counter, makes a foreign call, and ends with both results in registers. No stack.
#[unsafe(naked)]
unsafe extern "C" fn foreign() {
    naked_asm!(
        "rdtsc",
        "mov r12, rax",
        "mov eax, {call}",
        "syscall",
        "mov r13, rax",
        "ud2",
        call = const FOREIGN_CALL,
    )
}

/// A space that sees the program's code at its place.
fn space(keeper: FlobAt<Reference>) -> Result<&'static OwnedReference, Status> {
    let space: &'static Space = leak(Space::new());
    let to_space: &'static OwnedReference = leak(OwnedReference::new()?);
    space.at().create()?;
    space.at().reference(to_space.at())?;
    let state: SpaceState = space.at().get_state(&Links::NONE)?;
    let flags = space_flag::TRAP_TIME | space_flag::REFLECT_CALLS;
    space.at().set_state(&SpaceState { flags, ..state }, &Links::of(&[keeper]))?;
    let code = start::image().text;
    let (region, mapping) = (leak(Region::new()), leak(Mapping::new()));
    region.at().export(start::space(), code.start, code.end - code.start, Protection::READ_EXECUTE)?;
    let to_region = OwnedReference::new()?;
    region.at().reference(to_region.at())?;
    let (from, to) = ((to_region.at(), 0), (to_space.at(), code.start));
    mapping.at().map(from, to, code.end - code.start, Protection::READ_EXECUTE)?;
    Ok(to_space)
}

/// Answers the exception with this number and hears the next one. An answer may be lost: then the same one comes again.
fn next_exception(desk: &Desk, answered: u64) -> Result<ExceptionMessage, Failure> {
    loop {
        let answer = ExceptionReply { number: answered, ..ExceptionReply::default() };
        let mut message = ExceptionMessage::new_zeroed();
        let transfer =
            Transfer { send: answer.as_bytes(), receive: message.as_mut_bytes(), ..Transfer::default() };
        let heard = named::reply_wait_receive(desk.set, transfer);
        expect("status", heard.status as u64, 0)?;
        if message.number != answered {
            return Ok(message);
        }
    }
}

pub fn reflected() -> Outcome {
    let desk = Desk::new(4)?;
    let to_space = space(desk.port)?;
    let thread: &'static Thread = leak(Thread::new());
    let entry = (foreign as *const ()).expose_provenance() as u64;
    thread.at().prepare(to_space.at(), &thread.at().fresh_state(entry, 0, 0))?;
    thread.at().resume(false)?;
    let mut answered = 0;
    for (code, result) in [
        (ExceptionCode::GeneralProtection, TIME),
        (ExceptionCode::ReflectedCall, RESULT),
        (ExceptionCode::InvalidOpcode, 0),
    ] {
        let message = next_exception(&desk, answered)?;
        expect("code", u64::from(message.code), code as u64)?;
        let mut state: ThreadState = thread.at().get_groups(&Links::NONE, group::ALL & !group::VECTORS)?;
        if code == ExceptionCode::ReflectedCall {
            expect("call", state.registers.rax, u64::from(FOREIGN_CALL))?;
        }
        if code == ExceptionCode::InvalidOpcode {
            expect("time", state.registers.r12, TIME)?;
            expect("result", state.registers.r13, RESULT)?;
        }
        // Both instructions take two bytes.
        state.registers.rip += 2;
        state.registers.rax = result;
        thread.at().set_groups(&state, &Links::NONE, group::REGISTERS)?;
        if code != ExceptionCode::InvalidOpcode {
            thread.at().resume(false)?;
        }
        answered = message.number;
    }
    thread.at().destroy().map_err(Into::into)
}
