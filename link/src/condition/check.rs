//! Instructions, and what makes a program of them.

use super::{Binary, LOADS, MAX_CODE, MAX_DEPTH, Malformed, REGISTERS, code};

/// One instruction.
#[derive(Clone, Copy)]
pub enum Step {
    Push(u64),
    Register(u8),
    Thread,
    Field { kind: u8, offset: u16, bytes: u8 },
    Link { kind: u8, link: u8 },
    Load(u32, bool),
    Binary(Binary),
    Negate,
    Complement,
    Not,
    Skip { count: usize, if_zero: bool },
}

/// The instruction at this offset, and the offset behind it.
pub fn step(program: &[u8], at: usize) -> Result<(Step, usize), Malformed> {
    let code = *program.get(at).ok_or(Malformed::Skip)?;
    let bad = Malformed::Code(code);
    let operand = || program.get(at + 1).copied().ok_or(bad);
    let index = |from: u8| usize::from(code - from);
    Ok(match code {
        code::PUSH => {
            let bytes = program.get(at + 1..at + 9).and_then(|bytes| bytes.try_into().ok()).ok_or(bad)?;
            (Step::Push(u64::from_le_bytes(bytes)), at + 9)
        }
        code::REGISTER if usize::from(operand()?) < REGISTERS.len() => (Step::Register(operand()?), at + 2),
        code::THREAD => (Step::Thread, at + 1),
        code::FIELD => match *program.get(at + 1..at + 5).ok_or(bad)? {
            [kind, low, high, bytes @ (1 | 2 | 4 | 8)] => {
                (Step::Field { kind, offset: u16::from_le_bytes([low, high]), bytes }, at + 5)
            }
            _ => return Err(bad),
        },
        code::LINK => match *program.get(at + 1..at + 3).ok_or(bad)? {
            [kind, link] => (Step::Link { kind, link }, at + 3),
            _ => return Err(bad),
        },
        code::LOAD..=0x1f => {
            let (_, bytes, signed) = LOADS.get(index(code::LOAD)).ok_or(bad)?;
            (Step::Load(*bytes, *signed), at + 1)
        }
        code::BINARY..=0x3f => (Step::Binary(*Binary::ALL.get(index(code::BINARY)).ok_or(bad)?), at + 1),
        code::NEGATE => (Step::Negate, at + 1),
        code::COMPLEMENT => (Step::Complement, at + 1),
        code::NOT => (Step::Not, at + 1),
        code::SKIP_IF_ZERO | code::SKIP_UNLESS_ZERO => {
            (Step::Skip { count: operand()?.into(), if_zero: code == code::SKIP_IF_ZERO }, at + 2)
        }
        _ => return Err(bad),
    })
}

/// Checks a program: afterwards it can only come to a value, or to memory that is not there or a division by zero ([`super::Fault`]).
pub fn check(program: &[u8]) -> Result<(), Malformed> {
    if program.is_empty() || program.len() > MAX_CODE {
        return Err(Malformed::Size);
    }
    // How many values there are where a skip leads to, one more than that; 0 where none does.
    let mut expected = [0u8; MAX_CODE + 1];
    let (mut at, mut depth) = (0, 0usize);
    while at < program.len() {
        let here = expected.get(at).copied().unwrap_or_default();
        if here != 0 && usize::from(here) != depth + 1 {
            return Err(Malformed::Stack);
        }
        let (step, next) = step(program, at)?;
        // A skip into this instruction's operand would never be looked at again.
        if expected.get(at + 1..next).is_some_and(|inner| inner.iter().any(|target| *target != 0)) {
            return Err(Malformed::Skip);
        }
        let (takes, leaves) = match step {
            Step::Push(_) | Step::Register(_) | Step::Thread => (0, 1),
            Step::Field { .. } | Step::Link { .. } => (1, 1),
            Step::Load(..) | Step::Negate | Step::Complement | Step::Not => (1, 1),
            Step::Binary(_) => (2, 1),
            Step::Skip { .. } => (1, 0),
        };
        let rest = depth.checked_sub(takes).ok_or(Malformed::Stack)?;
        if let Step::Skip { count, .. } = step {
            let target = expected.get_mut(next + count).filter(|_| next + count <= program.len());
            let target = target.ok_or(Malformed::Skip)?;
            // Where it leads to its value is still there.
            if count == 0 || *target != 0 && usize::from(*target) != depth + 1 {
                return Err(Malformed::Stack);
            }
            *target = depth as u8 + 1;
        }
        depth = rest + leaves;
        if depth > MAX_DEPTH {
            return Err(Malformed::Depth);
        }
        at = next;
    }
    let end = expected.get(program.len()).copied().unwrap_or_default();
    if depth == 1 && (end == 0 || end == 2) { Ok(()) } else { Err(Malformed::Stack) }
}
