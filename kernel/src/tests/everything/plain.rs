//! Every call that is no set of IPC steps.

use flob_abi::{Call, FlobKind, PAGE_SIZE, Protection, RegionState, group};

use super::LINE;
use crate::tests::explore::programs::{consumer, producer};
use crate::tests::program::*;
use crate::tests::scene::*;

/// Where flobs are made, and where they are moved to: in the guarded region.
const HERE: u64 = data(8);
const THERE: u64 = data(9);
/// A buffer for states in the guarded region, as seen through it.
const BUFFER: u64 = GUARDED + 2 * PAGE_SIZE;
/// The state that guards the region.
pub const READ_ONLY: u64 = data(2);
/// For what is not compared in the end.
pub const SCRAP: u64 = data(12);
/// The thread that is interrupted.
pub const BESIDE: u64 = 3;
/// Where a sleeper says that it is awake.
const AWAKE: u64 = data(1);
/// A mutex that the handler makes.
const LATE: u64 = THERE + 6 * 512;

/// The region's state in which nothing can be written through it.
pub fn read_only_region() -> RegionState {
    let size = (GUARDED_PAGES.end - GUARDED_PAGES.start) * PAGE_SIZE;
    let start = data(GUARDED_PAGES.start);
    RegionState { start, size, protection: Protection::READ.0, ..RegionState::default() }
}

/// Makes a call and says its status.
fn make(program: Program, channel: usize, call: Call, args: &[u64]) -> Program {
    program.call(call, args).output(channel, Rax)
}

/// The life of a flob of some kind, with all the calls that kinds have in common.
fn life(program: Program, channel: usize, kind: FlobKind) -> Program {
    let guard = |program| make(program, channel, Call::RegionSetState, &[REGION, READ_ONLY, 0, group::ALL]);
    let common: [&[u64]; 6] = [
        &[HERE, 5],
        &[THERE],
        &[HERE, THERE],
        &[HERE, OWN],
        &[HERE, BUFFER, 0, group::ALL],
        &[HERE, BUFFER, 0, group::ALL],
    ];
    [0, 3, 4, 5, 2, 1].into_iter().fold(program, |program, place| {
        let call = Call::from_number((kind as u64) << 4 | place as u64);
        match call {
            Some(call) if place < 3 || kind != FlobKind::Reference => {
                let program = if place == 4 { guard(program) } else { program };
                make(program, channel, call, common[place])
            }
            _ => program,
        }
    })
}

/// Adds what exercises a call. `None`: nobody has said yet how that is done.
fn exercise(program: Program, channel: usize, call: Call) -> Option<Program> {
    let number = call as u64;
    if let Some(kind) = FlobKind::from_number((number >> 4) as u32) {
        let places = if kind == FlobKind::Reference { 3 } else { 6 };
        match number & 0xf {
            0 => return Some(life(program, channel, kind)),
            place if place < places => return Some(program),
            _ => {}
        }
    }
    let one = |args: &[u64]| make(program.clone(), channel, call, args);
    Some(match call {
        Call::Null | Call::ThreadSelf => one(&[]).output(channel, Rdi),
        Call::InterruptWait => one(&[u64::from(LINE)]),
        Call::KernelLog => one(&[READ_ONLY, 8]),
        Call::MachineExit => one(&[0]),
        Call::RegionSearch => {
            let program = make(program, channel, Call::MutexCreate, &[HERE + 512, 5]);
            let size = (GUARDED_PAGES.end - GUARDED_PAGES.start) * PAGE_SIZE;
            let program = program.set(R9, 0).call(call, &[REGION, 0, size, BUFFER + 1024, 4]);
            let program = program.output(channel, Rax).output(channel, R8).output(channel, Rsi);
            make(program, channel, Call::MutexDestroy, &[HERE + 512])
        }
        Call::RegionExport => {
            let program = make(program, channel, Call::MutexCreate, &[HERE + 512, 5]);
            let offset = HERE - data(GUARDED_PAGES.start);
            let program = program.call(call, &[REGION, offset, PAGE_SIZE, BUFFER + 1024, 1024]);
            let program = program.output(channel, Rax).output(channel, R8).output(channel, Rsi);
            make(program, channel, Call::MutexDestroy, &[HERE + 512])
        }
        Call::ReferenceLocate => {
            let program = make(program, channel, Call::MutexCreate, &[HERE + 512, 5]);
            let program = make(program, channel, Call::MutexReference, &[HERE + 512, OWN]);
            let program = make(program, channel, call, &[OWN, REGION]).output(channel, Rdi);
            make(program, channel, Call::MutexDestroy, &[HERE + 512])
        }
        Call::MutexTryLock => {
            let program = program.call(call, &[MUTEX]);
            // It was free or it was not: then there is nothing to unlock.
            let end = program.here() + 4;
            program.op(Op::JumpUnless(Rax, 0, end)).call(Call::MutexUnlock, &[MUTEX])
        }
        Call::ReturnFromException => {
            let program = make(program, channel, Call::MutexLock, &[LATE]);
            let program = make(program, channel, Call::MutexUnlock, &[LATE]);
            make(program, channel, Call::MutexDestroy, &[LATE])
        }
        // What they say depends on what was written and when: that they can be gone on with is all that is wanted here.
        Call::EpochBegin => program.call(call, &[]),
        Call::RegionDirty => {
            let size = (GUARDED_PAGES.end - GUARDED_PAGES.start) * PAGE_SIZE;
            program.call(call, &[REGION, 0, size, SCRAP, 4, 0])
        }
        Call::RegionProtect => one(&[REGION, Protection::READ.0.into()]),
        Call::MappingProtect => one(&[GUARDED_MAPPING, Protection::ALL.0.into()]),
        Call::ThreadInterrupt => one(&[Scene::address_of(BESIDE)]),
        Call::ThreadDisableExceptions | Call::ThreadEnableExceptions => one(&[]),
        Call::ThreadGetHandlers | Call::ThreadSetHandlers => one(&[BUFFER]),
        Call::ThreadGetSavedState | Call::ThreadSetSavedState => one(&[BUFFER]),
        Call::ReferenceCheck => one(&[SENT]),
        Call::ReferenceCopy => one(&[SENT, OWN]),
        Call::ReferenceCompare => one(&[SENT, TO_PORT]),
        Call::ReferenceType | Call::ReferenceHash => one(&[SENT]).output(channel, Rdi),
        // The threads beside this one.
        Call::TimerWait | Call::ThreadGetServer | Call::ThreadSetServer => program,
        Call::ThreadGetClient | Call::ThreadSetClient => program,
        // The box, below.
        Call::MutexLock | Call::MutexUnlock => program,
        Call::ConditionWait | Call::ConditionSleep => program,
        Call::ConditionSignal | Call::ConditionBroadcast => program,
        _ => return None,
    })
}

/// All of them, then the consumer of a box; then a sleep that is begun in its second stage.
pub fn all(channel: usize) -> Program {
    let all = Call::ALL.iter().fold(Program::new(), |program, call| {
        exercise(program, channel, *call)
            .unwrap_or_else(|| panic!("{} is exercised nowhere: say in {} how", call.name(), file!()))
    });
    let program = make(consumer(all, channel), channel, Call::ConditionSleep, &[CONDITION, MUTEX]);
    let program = make(program, channel, Call::MutexUnlock, &[MUTEX]);
    program.set(R14, AWAKE).set(R15, 1).op(Op::Store(R14, 0, R15))
}

/// The other side of that: the producer; then it signals until the sleeper says that it is awake.
pub fn beside() -> Program {
    let program = producer();
    let again = program.here();
    let program =
        program.call(Call::ConditionBroadcast, &[CONDITION]).set(R14, AWAKE).op(Op::Load(R15, R14, 0));
    let end = program.here() + 5;
    let program = program.op(Op::JumpIf(R15, 1, end)).call(Call::InterruptWait, &[u64::from(LINE)]);
    program.op(Op::Jump(again))
}

/// What the thread in the first space does.
pub fn in_the_first_space(channel: usize) -> Program {
    make(Program::new(), channel, Call::TimerWait, &[3_000_000])
}

/// Says that somebody has interrupted.
pub fn interrupted(channel: usize) -> Program {
    Program::new().output(channel, Rsi).call(Call::ReturnFromException, &[]).end()
}

/// Makes the mutex whose lack was the exception.
pub fn handler() -> Program {
    Program::new().call(Call::MutexCreate, &[LATE, 5]).call(Call::ReturnFromException, &[]).end()
}
